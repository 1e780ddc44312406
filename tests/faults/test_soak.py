"""Some hundred calls with every kind of bad luck, in a fixed order: in the end nothing is held and every figure adds up."""

import asyncio
import random
from pathlib import Path
from typing import Any

import httpx2

from aldgate.testing.upstream import FAULTS, Step, faults
from tests.faults.lab import HELLO, Lab, Row, running_lab, within
from tests.faults.test_provider_faults import EXPECTED, FINE
from tests.faults.wire import request, wire

CALLS = 320
CALLERS = 8
NOT_HERE = {"refuse", "unasked_reply", "dead_on_reuse", "hang_before_head", "hang_after_head", "stall_mid_stream"}
NOT_HERE |= {"slow_drip", "endless_stream"}
"""What needs an order of events, or only takes time."""
OPTIONS = {"first_byte_timeout_s": 5, "idle_timeout_s": 5, "total_timeout_s": 10}


def bad_luck(luck: random.Random) -> list[Step]:
    names = sorted(set(FAULTS) - NOT_HERE)
    steps = [FAULTS[luck.choice(names)]() if luck.random() < 0.6 else faults.split_every(64) for _ in range(CALLS)]
    return steps


async def one_call(lab: Lab, luck: random.Random, keys: list[str]) -> httpx2.Response | None:
    """A call of a random kind. None if its caller left in the middle."""
    body: dict[str, Any] = {**HELLO, "stream": luck.random() < 0.5, "user": "x" * luck.choice([0, 10, 100_000])}
    key = luck.choice(keys)
    if luck.random() < 0.15:
        async with wire(lab.gate.port) as connection:
            connection.send(request(key, body))
            for _ in range(luck.randrange(200)):
                await asyncio.sleep(0)
        return None
    headers = {"idempotency-key": f"key-{luck.randrange(40)}"} if luck.random() < 0.1 else {}
    return await lab.post(body, key, **headers)


async def test_bad_luck_leaves_nothing_behind(tmp_path: Path) -> None:
    luck = random.Random(20_261_121)
    async with running_lab(tmp_path, flags={"server.max_reply_bytes": "300000"}, **OPTIONS) as lab:
        limits = [
            {"budget": "10/total"},
            {"rpm": 10_000, "tpm": 10**9, "concurrency": 20},
            {"budget": "0.02/total", "tpd": 10**9},
        ]
        keys = [await lab.gate.key(**wanted) for wanted in limits]
        lab.upstream.script(*bad_luck(luck))

        async def caller(seed: int) -> list[httpx2.Response | None]:
            mine = random.Random(seed)
            return [await one_call(lab, mine, keys) for _ in range(CALLS // CALLERS)]

        parts = await within(60, asyncio.gather(*map(caller, range(CALLERS))))
        await lab.is_quiet()
        replies = [reply for part in parts for reply in part if reply is not None]
        rows = {row["call_id"]: row for row in await lab.rows()}
        check_answers(replies, rows)
        await check_money(lab, list(rows.values()), keys)


def check_answers(replies: list[httpx2.Response], rows: dict[str, Row]) -> None:
    """Every answer is one of the kinds there are, and each that is no refusal is in the ledger with its status."""
    for reply in replies:
        row = rows.get(reply.headers["x-request-id"])
        if reply.status_code == 200:
            assert row is not None
            is_cut = b'data: {"error":' in reply.content
            assert (row["status"] != 200) is is_cut
        else:
            error = reply.json()["error"]
            assert row is None or (row["status"], row["cost_microusd"], row["usage_source"]) == (reply.status_code, 0, "none")
            assert row is not None or error["code"] in ("budget_exceeded", "idempotency_conflict")
    assert {reply.status_code for reply in replies} >= {200, 402, 429, 502}  # whose turn a status is depends on the loop


async def check_money(lab: Lab, rows: list[Row], keys: list[str]) -> None:
    """What was billed is what the budgets count, and what the provider reported is what it charged for."""
    assert all(row["cost_microusd"] == 2 * row["input_tokens"] + 8 * row["output_tokens"] for row in rows)
    for key, budget in ((keys[0], 10_000_000), (keys[2], 20_000)):
        (account,) = {row["account"] for row in rows} & {await account_of(lab, key)}
        spent = sum(row["cost_microusd"] for row in rows if row["account"] == account)
        assert spent <= budget
        assert sum(each["cost_microusd"] for each in await lab.gate.usage(key)) == spent
    reported = [row for row in rows if row["usage_source"] == "reported"]
    assert len(reported) > 50
    assert {row["input_tokens"] for row in reported} == {10}
    assert {5} <= {row["output_tokens"] for row in reported} <= {1, 2, 3, 4, 5}  # fewer: all that was left of a budget
    assert len(reported) <= lab.upstream.calls
    assert 10 * len(reported) <= lab.upstream.prompt_tokens


async def account_of(lab: Lab, key: str) -> str:
    listed = (await lab.gate.http.get("/admin/keys")).json()["keys"]
    return next(each["id"] for each in listed if key.startswith(each["prefix"]))


async def test_the_ledger_says_what_the_provider_charges(tmp_path: Path) -> None:
    """Where nobody leaves and nothing is cut, both count the same to the token."""
    fine = sorted(name for name, wants in EXPECTED.items() if set(wants) == {FINE} and name not in NOT_HERE)
    free = sorted(name for name in EXPECTED if name.startswith("status_"))
    luck = random.Random(7)
    async with running_lab(tmp_path, **OPTIONS) as lab:
        key = await lab.gate.key(tpd=10**9, budget="10/total")
        lab.upstream.script(*(FAULTS[luck.choice(luck.choice([fine, fine, free]))]() for _ in range(CALLS)))
        bodies = [{**HELLO, "stream": luck.random() < 0.5, "max_tokens": luck.choice([1, 3, 100])} for _ in range(CALLS)]

        async def caller(part: list[dict[str, Any]]) -> list[int]:
            return [(await lab.post(body, key)).status_code for body in part]

        parts = await within(60, asyncio.gather(*(caller(bodies[start::CALLERS]) for start in range(CALLERS))))
        await lab.is_quiet()
        answered = sum(part.count(200) for part in parts)
        assert 100 < answered < CALLS
        (sums,) = await lab.gate.usage(key, group_by="key")
        assert sums["prompt_tokens"] == lab.upstream.prompt_tokens == 10 * answered
        assert sums["completion_tokens"] == lab.upstream.completion_tokens
        assert sums["cost_microusd"] == 2 * lab.upstream.prompt_tokens + 8 * lab.upstream.completion_tokens
        assert (sums["calls"], sums["errors"], lab.upstream.calls) == (CALLS, CALLS - answered, answered)
