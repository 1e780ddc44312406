from datetime import UTC, datetime
from typing import Any

import pytest

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
