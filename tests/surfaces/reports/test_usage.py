from datetime import UTC, datetime
from typing import Any

import pytest

from aldgate.core.levels import Level
from aldgate.core.principals import ADMIN, Principal
from aldgate.surfaces.reports.ledger_query import seen_by
from aldgate.surfaces.reports.sheets import cell
from tests.support import RunningGate

HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}


async def call(gate: RunningGate, key: str, **fields: Any) -> int:
    headers = {"authorization": f"Bearer {key}"}
    return (await gate.http.post("/v1/chat/completions", json={**HELLO, **fields}, headers=headers)).status_code


@pytest.mark.anyio
async def test_a_key_sees_its_own_calls_and_an_admin_everybodys(gate: RunningGate) -> None:
    mine, theirs = await gate.key("mine"), await gate.key("theirs")
    assert [await call(gate, mine), await call(gate, mine, model="lab/org/model:free"), await call(gate, theirs)] == [200] * 3
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    rows = await gate.usage(mine)
    assert {(row["key"], row["model"], row["day"], row["calls"]) for row in rows} == {
        ("mine", "lab/gpt-4.1", today, 1),
        ("mine", "lab/org/model:free", today, 1),
    }
    assert {row["key"] for row in await gate.usage()} >= {"mine", "theirs"}
    (row,) = await gate.usage(mine, group_by="key")
    assert row["key_id"].startswith("key-") and row["model"] is None and row["day"] is None
    assert (row["calls"], row["errors"], row["prompt_tokens"], row["completion_tokens"]) == (2, 0, 20, 10)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("group_by", "fields"),
    [("key", {"key", "key_id"}), ("model", {"model"}), ("day,model", {"day", "model"}), ("", set()), (",,day,", {"day"})],
)
async def test_rows_are_grouped_by_what_was_asked(gate: RunningGate, group_by: str, fields: set[str]) -> None:
    key = await gate.key()
    await call(gate, key)
    (row,) = await gate.usage(key, group_by=group_by)
    assert {name for name in ("key", "key_id", "model", "day") if row[name] is not None} == fields


@pytest.mark.anyio
async def test_a_span_includes_its_start_and_not_its_end(gate: RunningGate) -> None:
    key = await gate.key()
    before = datetime.now(UTC)
    await call(gate, key)
    assert len(await gate.usage(key, since=before.isoformat())) == 1
    assert len(await gate.usage(key, since=before.strftime("%Y-%m-%d"))) == 1
    assert len(await gate.usage(key, since=str(int(before.timestamp())), until=str(int(before.timestamp()) + 60))) == 1
    assert await gate.usage(key, until=before.isoformat()) == []
    for far in ("9999-12-31T23:59:59-23:59", "9999-12-31", "99999999999"):
        assert await gate.usage(key, since=far) == [] != await gate.usage(key, until=far)
    assert await gate.usage(key, until="0001-01-01T00:00:00+23:59") == []
    assert len(await gate.usage(key, since="", until="")) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"group_by": "colour"}, "group_by"),
        ({"group_by": "key,key"}, "group_by"),
        ({"since": "yesterday"}, "since"),
        ({"since": "-1"}, "since"),
        ({"since": "1" * 12}, "since"),
        ({"since": "\u0661"}, "since"),
        ({"until": "nan"}, "until"),
        ({"until": "2026-13-01"}, "until"),
    ],
)
async def test_a_parameter_that_cannot_be_read_is_named(gate: RunningGate, query: dict[str, str], param: str) -> None:
    reply = await gate.http.get("/v1/usage", params=query)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.anyio
async def test_usage_needs_its_scope(gate: RunningGate) -> None:
    key = await gate.key(scopes=["chat"])
    reply = await gate.http.get("/v1/usage", headers={"authorization": f"Bearer {key}"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "scope_denied")


@pytest.mark.anyio
async def test_only_admitted_calls_are_in_the_ledger_and_failed_ones_are_errors(gate: RunningGate) -> None:
    key = await gate.key(rpm=2, scopes=["chat", "usage"])
    assert [await call(gate, key), await call(gate, key), await call(gate, key)] == [200, 200, 429]
    assert await call(gate, await gate.key(), model="nothing") == 404
    (row,) = await gate.usage(key, group_by="")
    assert (row["calls"], row["errors"]) == (2, 0)


@pytest.mark.anyio
async def test_any_dimension_groups_and_filters(gate: RunningGate) -> None:
    key = await gate.key("dimensions")
    assert [await call(gate, key), await call(gate, key, model="lab/org/model:free")] == [200, 200]
    rows = await gate.usage(key, group_by="requested_model,provider,operation,status,month")
    assert {(row["requested_model"], row["provider"], row["operation"], row["status"]) for row in rows} == {
        ("gpt-4.1", "lab", "chat", 200),
        ("lab/org/model:free", "lab", "chat", 200),
    }
    (row,) = await gate.usage(key, group_by="", model="lab/gpt-4.1", month=datetime.now(UTC).strftime("%Y-%m"))
    assert (row["calls"], row["attempts"]) == (1, 1) and "provider" not in row
    assert (await gate.usage(key, group_by="", since="7d"))[0]["calls"] == 2
    assert (await gate.usage(key, group_by="", day="2020-01-01"))[0]["calls"] == 0
    headers = {"authorization": f"Bearer {key}"}
    page = (await gate.http.get("/v1/usage", params={"group_by": "model", "limit": 1}, headers=headers)).json()
    assert (len(page["data"]), page["has_more"]) == (1, True)


@pytest.mark.anyio
async def test_no_filter_shows_a_key_what_is_not_its_own(gate: RunningGate) -> None:
    mine, theirs = await gate.key("mine-alone"), await gate.key("theirs-alone")
    assert [await call(gate, mine), await call(gate, theirs)] == [200, 200]
    query, headers = {"key": "theirs-alone"}, {"authorization": f"Bearer {mine}"}
    assert (await gate.http.get("/v1/usage", params=query, headers=headers)).json()["data"] == []
    assert (await gate.http.get("/v1/usage", params=query)).json()["data"][0]["calls"] == 1
    all_rows = (await gate.http.get("/admin/usage", params={"group_by": "key"})).json()["data"]
    assert {"mine-alone", "theirs-alone"} <= {row["key"] for row in all_rows}


@pytest.mark.anyio
async def test_a_sheet_holds_no_formula(gate: RunningGate) -> None:
    key = await gate.key("=HYPERLINK(1)")
    await call(gate, key)
    reply = await gate.http.get("/v1/usage", params={"group_by": "key", "format": "csv", "key": "=HYPERLINK(1)"})
    head, row = reply.text.splitlines()
    assert head.startswith("key_id,key,calls,errors,attempts,prompt_tokens")
    assert row.split(",")[1] == "'=HYPERLINK(1)"
    assert reply.headers["content-disposition"] == 'attachment; filename="usage.csv"'


@pytest.mark.anyio
async def test_the_ledger_is_read_page_by_page_and_as_a_sheet(gate: RunningGate) -> None:
    key = await gate.key("rows")
    assert [await call(gate, key) for _ in range(3)] == [200] * 3
    seen: list[str] = []
    query = {"key": "rows", "limit": "2"}
    for _ in range(2):
        page = (await gate.http.get("/admin/ledger", params=query)).json()
        seen += [row["call_id"] for row in page["data"]]
        query["after"] = page["next"] or ""
    assert len(seen) == len(set(seen)) == 3 and page["has_more"] is False
    sheet = (await gate.http.get("/admin/ledger", params={"key": "rows"}, headers={"accept": "text/csv"})).text.splitlines()
    assert [line.split(",")[0] for line in sheet] == ["call_id", *seen]
    assert (await gate.http.get("/admin/ledger", params={"after": "x"})).status_code == 400


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"colour": "red"}, "colour"),
        ({"status": "abc"}, "status"),
        ({"month": "2026-13"}, "month"),
        ({"week": "2026-W60"}, "week"),
        ({"day": "9999-12-31"}, "day"),
        ({"hour": "2026-11-21T25"}, "hour"),
        ({"model": "a\0b"}, "model"),
        ({"limit": "0"}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"format": "xml"}, "format"),
        ({"key": ["x"] * 101}, "key"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_named(gate: RunningGate, query: dict[str, Any], param: str) -> None:
    reply = await gate.http.get("/v1/usage", params=query)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("kind", "where"),
    [("key", "key_id"), ("user", "user_id"), ("client", "client_id")],
)
def test_everybody_sees_their_own(kind: Any, where: str) -> None:
    assert seen_by(Principal.of(kind, Level(kind, "id-1", "somebody"))) == ((where, ("id-1",)),)
    assert seen_by(ADMIN) == ()


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "\tx", "\r", "  =x", "\uff1dx"])
def test_text_that_is_a_formula_gets_an_apostrophe(value: str) -> None:
    assert cell(value) == "'" + value
    assert (cell(-1), cell("a=b"), cell(None)) == (-1, "a=b", "")
