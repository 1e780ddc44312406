"""Statements and reconciliation, out of a real gate."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import RunningGate


def month() -> str:
    return datetime.now(UTC).strftime("%Y-%m")


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}


async def used(gate: RunningGate, name: str, **wanted: Any) -> str:
    """The id of a key that made two calls of 10 and 5 tokens."""
    key = await gate.key(name, **wanted)
    for _ in range(2):
        reply = await gate.http.post("/v1/chat/completions", json=HELLO, headers={"authorization": f"Bearer {key}"})
        assert reply.status_code == 200
    return (await gate.usage(key, group_by="key"))[0]["key_id"]


@pytest.mark.anyio
async def test_a_statement_is_json_csv_and_text(gate: RunningGate) -> None:
    account = await used(gate, "stated", budget="10.00/month")
    path = f"/admin/statements/{account}"
    made = (await gate.http.get(path, params={"month": month()})).json()
    assert (made["kind"], made["name"], made["total"]["calls"], made["total"]["prompt_tokens"]) == ("key", "stated", 2, 20)
    assert [line["name"] for line in made["models"]] == ["lab/gpt-4.1"] and [line["name"] for line in made["days"]] == [today()]
    (budget,) = made["budgets"]
    assert (budget["name"], budget["limit_microusd"], budget["opening_microusd"]) == (month(), 10_000_000, 10_000_000)
    assert budget["closing_microusd"] == 10_000_000 - made["total"]["cost_microusd"]
    text = await gate.http.get(path, params={"month": month(), "format": "text"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Statement for key stated" in text.text and "$10.00" in text.text
    sheet = await gate.http.get(path, params={"month": month()}, headers={"accept": "text/csv"})
    assert [line.split(",")[0] for line in sheet.text.splitlines()] == ["part", "model", "day", "total"]
    empty = (await gate.http.get(path, params={"month": "2020-01"})).json()
    assert (empty["total"]["calls"], empty["days"]) == (0, [])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("account", "query", "status"),
    [
        ("key-nobody", {"month": month()}, 404),
        ("team:nobody", {"month": month()}, 404),
        ("a%00b", {"month": month()}, 404),
        ("admin", {"month": month()}, 200),
        ("admin", {}, 400),
        ("admin", {"month": "2026-13"}, 400),
        ("admin", {"month": month(), "format": "xml"}, 400),
        ("admin", {"month": month(), "colour": "red"}, 400),
    ],
)
async def test_whose_statement_and_when(gate: RunningGate, account: str, query: dict[str, str], status: int) -> None:
    assert (await gate.http.get(f"/admin/statements/{account}", params=query)).status_code == status


async def reconciled(gate: RunningGate, text: str, **query: Any) -> dict[str, Any]:
    headers = {"content-type": "text/csv"}
    reply = await gate.http.post("/admin/reconcile", params={"provider": "lab", **query}, content=text.encode(), headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.anyio
async def test_an_export_is_compared_with_the_ledger(gate: RunningGate) -> None:
    await used(gate, "reconciled")
    rows = await gate.usage(group_by="model,provider", provider="lab", day=today())
    head = "start_time_iso,num_model_requests,model,input_tokens,output_tokens\n"
    lines = [
        f"{today()}T00:00:00+00:00,{row['calls']},{row['model'].removeprefix('lab/')},{row['prompt_tokens']},{row['completion_tokens']}"
        for row in rows
    ]
    good = await reconciled(gate, head + "\n".join(lines))
    assert (good["layout"], good["differences"], good["agreeing"]) == ("openai", [], len(rows))
    assert good["ours"]["input"] == good["theirs"]["input"] == sum(row["prompt_tokens"] for row in rows)
    foreign = f"{today()}T00:00:00+00:00,1,somebody-else,5,5"
    bad = await reconciled(gate, head + "\n".join([*lines[1:], foreign]), month=month())
    assert sorted(each["kind"] for each in bad["differences"]) == ["only_here", "only_there"]


@pytest.mark.anyio
async def test_an_export_with_request_ids_is_compared_call_by_call(gate: RunningGate) -> None:
    await used(gate, "one by one")
    rows = (await gate.http.get("/admin/ledger", params={"provider": "lab", "day": today()})).json()["data"]
    lines = [f"{today()},{row['model']},{row['input_tokens']},{row['output_tokens']},{row['call_id']}" for row in rows[1:]]
    report = await reconciled(gate, "Date,model,input_tokens,output_tokens,request_id\n" + "\n".join(lines), column="day=Date")
    assert [(each["kind"], each["request_id"]) for each in report["requests"]] == [("only_here", rows[0]["call_id"])]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"provider": ""}, "day,model,cost\n"),
        ({"provider": "lab"}, "day,model,cost\n"),
        ({"provider": "lab", "month": "x"}, "day,model,cost\n"),
        ({"provider": "lab", "column": "day"}, "day,model,cost\n"),
        ({"provider": "lab", "colour": "red"}, "day,model,cost\n"),
        ({"provider": "lab"}, "no export"),
    ],
)
async def test_what_cannot_be_compared_is_refused(gate: RunningGate, query: dict[str, str], text: str) -> None:
    assert (await gate.http.post("/admin/reconcile", params=query, content=text.encode())).status_code == 400
