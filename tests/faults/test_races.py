"""Callers who race: a budget and every limit let through what they allow, and not one call more."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.testing.upstream import Valve, faults
from tests.faults.lab import HELLO, Lab, running_lab, within

CALLERS = 64
PRICES = '[prices."lab/gpt-4.1"]\nrequest = "0.01"\n[prices."lab/dear"]\ninput = 1000\noutput = 1000\n'
MODELS = {"models": ["gpt-4.1", "dear"]}


async def race(lab: Lab, key: str, **fields: Any) -> list[httpx2.Response]:
    """Everybody at once."""
    return await within(30, asyncio.gather(*(lab.post({**HELLO, **fields}, key) for _ in range(CALLERS))))


def codes(replies: list[httpx2.Response]) -> Counter[tuple[int, str | None]]:
    return Counter((reply.status_code, None if reply.status_code == 200 else reply.json()["error"]["code"]) for reply in replies)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_budget_of_ten_calls_passes_ten(stream: bool, tmp_path: Path) -> None:
    async with running_lab(tmp_path, config=PRICES, **MODELS) as lab:
        key = await lab.gate.key(budget="0.10/total")
        assert codes(await race(lab, key, stream=stream)) == {(200, None): 10, (402, "budget_exceeded"): 54}
        assert len(lab.upstream.requests) == 10
        assert [row["cost_microusd"] for row in await lab.rows()] == [10_000] * 10
        await lab.is_quiet()
        other = await lab.gate.key(budget="0.01/day")
        assert codes(await race(lab, other, stream=stream)) == {(200, None): 1, (402, "budget_exceeded"): 63}


async def test_money_is_held_before_it_is_spent(tmp_path: Path) -> None:
    """While ten calls are under way the budget is gone, though nothing was billed yet; what they do not use comes back."""
    valve = Valve()
    async with running_lab(tmp_path, config=PRICES, **MODELS) as lab:
        key = await lab.gate.key(budget="10/total")
        call = {**HELLO, "model": "dear", "max_tokens": 850}  # a call's bound is 0.95 dollars, its bill 0.015
        lab.upstream.script(*(faults.hang_before_head(valve) for _ in range(10)))
        waiting = [asyncio.create_task(lab.post(call, key)) for _ in range(10)]
        await within(5, lab.upstream.saw_requests(10))
        refused = await lab.post(call, key)
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_exceeded")
        assert "held by calls under way" in refused.json()["error"]["message"]
        valve.open()
        assert codes(await asyncio.gather(*waiting)) == {(200, None): 10}
        assert (await lab.post(call, key)).status_code == 200
        assert [row["cost_microusd"] for row in await lab.rows()] == [15_000] * 11


async def test_a_refused_call_spends_nothing(tmp_path: Path) -> None:
    async with running_lab(tmp_path, config=PRICES, **MODELS) as lab:
        key = await lab.gate.key(rpm=100, tpm=1_000_000, tpd=1_000_000, budget="0.02/total")
        large = {**HELLO, "model": "dear"}
        for _ in range(50):
            assert (await lab.post(large, key)).status_code == 402
        replies = [await lab.post(HELLO, key) for _ in range(3)]
        assert [reply.status_code for reply in replies] == [200, 200, 402]
        assert replies[0].headers["x-ratelimit-remaining-requests"] == "99"
        assert [row["cost_microusd"] for row in await lab.rows()] == [10_000] * 2


@pytest.mark.parametrize(
    ("limits", "passing", "code"),
    [
        ({"rpm": 10}, 10, "rate_limit_exceeded"),
        ({"rpm": 1}, 1, "rate_limit_exceeded"),
        ({"tpm": 1000}, 10, "rate_limit_exceeded"),
        ({"tpd": 1000}, 10, "rate_limit_exceeded"),
        ({"rpm": 1000, "tpm": 100_000, "tpd": 500}, 5, "rate_limit_exceeded"),
        ({"concurrency": 7}, 7, "concurrency_limit_exceeded"),
    ],
    ids=str,
)
async def test_so_many_at_once_pass_and_no_more(limits: dict[str, int], passing: int, code: str, tmp_path: Path) -> None:
    valve = Valve()
    async with running_lab(tmp_path, **MODELS) as lab:
        key = await lab.gate.key(**limits)
        lab.upstream.script(*(faults.hang_before_head(valve) for _ in range(passing)))
        size = 4 * 60  # bytes of the body, so that a call is expected to take 100 tokens
        call = {**HELLO, "max_tokens": 40, "user": ""}
        call["user"] = "x" * (size - len(httpx2.Request("POST", "http://gate", json=call).content))
        racing = [
            asyncio.create_task(lab.gate.http.post("/v1/chat/completions", json=call, headers=bearer(key))) for _ in range(64)
        ]
        await within(5, lab.upstream.saw_requests(passing))
        while sum(task.done() for task in racing) < CALLERS - passing:
            await asyncio.sleep(0)
        refused = [task.result() for task in racing if task.done()]
        assert codes(refused) == {(429, code): CALLERS - passing}
        assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
        waits = {(int(reply.headers["retry-after"]) <= 60, reply.headers["x-should-retry"]) for reply in refused}
        assert waits <= {(True, "true"), (False, "false")}
        valve.open()
        assert codes(await asyncio.gather(*racing)) == {(200, None): passing, (429, code): CALLERS - passing}
        assert len(lab.upstream.requests) == passing
        await lab.is_quiet()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_a_place_is_free_again_once_its_call_has_ended(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        key = await lab.gate.key(concurrency=1)
        lab.upstream.script(faults.status(500), faults.die_mid_stream(), faults.garbage(), faults.bad_event())
        for stream in (False, True, True, True, False):
            assert (await lab.post({**HELLO, "stream": stream}, key)).status_code != 429
        await lab.is_quiet()


async def test_the_builtin_models_keep_budgets_and_limits_too(tmp_path: Path) -> None:
    config = '[prices."builtin/echo"]\nrequest = "0.01"\n'
    async with running_lab(tmp_path, config=config) as lab:
        key = await lab.gate.key(budget="0.10/total")
        assert codes(await race(lab, key, model="builtin/echo")) == {(200, None): 10, (402, "budget_exceeded"): 54}
        limited = await lab.gate.key(rpm=10)
        assert codes(await race(lab, limited, model="builtin/echo")) == {(200, None): 10, (429, "rate_limit_exceeded"): 54}
        await lab.is_quiet()
