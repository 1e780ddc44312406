"""kill -9: what was answered is in the ledger, no budget is freed, no limit forgotten, and nothing is called twice."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from aldgate.testing.upstream import FakeUpstream, faults
from tests.databases import KIND, ask
from tests.faults.lab import read_ledger, within
from tests.faults.serving import Serving, serving

CALLERS = 12
STRICT = '[ledger]\ndurability = "strict"\n'
BATCHED = "[ledger]\nwindow_s = 0.1\n"
PRICES = '[prices."lab/gpt-4.1"]\nrequest = "0.01"\n'
SLACK_S = 1.0
"""A commit takes its time on a busy machine."""


class Load:
    """Callers who call until the gate is gone, and remember every answer they got in full."""

    def __init__(self, gate: Serving, key: str) -> None:
        self._gate = gate
        self._key = key
        self.answered: dict[str, float] = {}
        self._count = asyncio.Event()
        self._wanted = 0

    async def _caller(self, *, stream: bool) -> None:
        while True:
            try:
                reply = await self._gate.post(self._key, stream)
            except httpx2.TransportError:
                return
            assert reply.status_code == 200
            assert not stream or reply.content.endswith(b"data: [DONE]\n\n")
            self.answered[reply.headers["x-request-id"]] = time.monotonic()
            if len(self.answered) >= self._wanted:
                self._count.set()

    async def until_killed(self, *, after: int, least_s: float = 0) -> float:
        """Run, kill the gate once so many are answered, and return when that was."""
        self._wanted = after
        async with asyncio.timeout(40), asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(self._caller(stream=number % 2 == 0))
            began = time.monotonic()
            await self._count.wait()
            while time.monotonic() < began + least_s:
                self._count.clear()
                await self._count.wait()
            killed_at = time.monotonic()
            await self._gate.ended(signal.SIGKILL)
        return killed_at


def check_database(data: Path) -> None:
    if KIND == "sqlite":
        assert ask(data, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]


@dataclass
class Restarted:
    """A gate that was killed under load and runs again.

    Attributes:
        poor: Has a budget of ten calls; three are paid, two were with the provider.
        limited: Have spent their limits.
        caller: Has finished a call under `finished`, and begun one under `cut-off`.
    """

    gate: Serving
    upstream: FakeUpstream
    data: Path
    load: Load
    poor: str
    limited: list[str]
    caller: str
    finished: httpx2.Response


@pytest.fixture(scope="module")
async def restarted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Restarted]:
    data = tmp_path_factory.mktemp("gate")
    async with FakeUpstream() as upstream:
        async with serving(data, upstream, STRICT + PRICES) as gate:
            poor, caller = await gate.key(budget="0.10/total"), await gate.key()
            assert [(await gate.post(poor)).status_code for _ in range(3)] == [200] * 3
            finished = await gate.post(caller, **{"idempotency-key": "finished"})
            limited = [await gate.key(rpm=1), await gate.key(tpm=60), await gate.key(tpd=60)]
            for key in limited:
                statuses = [(await gate.post(key)).status_code for _ in range(5)]
                assert (statuses[0], statuses[4]) == (200, 429)
            load = Load(gate, await gate.key(rpm=1_000_000, tpd=10**9, budget="1000/total"))
            upstream.requests.clear()
            upstream.script(*(faults.hang_before_head() for _ in range(3)))
            hanging = [asyncio.create_task(gate.post(poor)) for _ in range(2)]
            hanging.append(asyncio.create_task(gate.post(caller, **{"idempotency-key": "cut-off"})))
            await within(5, upstream.saw_requests(3))
            await load.until_killed(after=200)
            cut_off = await asyncio.gather(*hanging, return_exceptions=True)
            assert all(isinstance(each, httpx2.TransportError) for each in cut_off)
        check_database(data)
        async with serving(data, upstream, STRICT + PRICES) as gate:
            yield Restarted(gate, upstream, data, load, poor, limited, caller, finished)


async def test_strict_loses_no_call_that_was_answered(restarted: Restarted) -> None:
    recorded = {row["call_id"]: row for row in read_ledger(restarted.data)}
    assert set(restarted.load.answered) <= set(recorded)
    assert {recorded[call_id]["usage_source"] for call_id in restarted.load.answered} == {"reported"}
    assert (await restarted.gate.http.get("/ready")).json()["ready"] is True


async def test_no_budget_is_freed(restarted: Restarted) -> None:
    """Whatever becomes of the two calls that were with the provider: ten is the most there ever is."""
    statuses = [(await restarted.gate.post(restarted.poor)).status_code for _ in range(12)]
    passed = statuses.count(200)
    assert statuses == [200] * passed + [402] * (12 - passed)
    assert 3 + 2 + passed <= 10
    reply = await restarted.gate.http.get("/v1/usage", headers={"authorization": f"Bearer {restarted.poor}"})
    assert sum(row["cost_microusd"] for row in reply.json()["data"]) == (3 + passed) * 10_000


async def test_no_limit_is_forgotten(restarted: Restarted) -> None:
    for key in restarted.limited:
        refused = await restarted.gate.post(key)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_a_call_that_was_cut_off_is_not_made_again(restarted: Restarted) -> None:
    restarted.upstream.requests.clear()
    for _ in range(2):
        refused = await restarted.gate.post(restarted.caller, **{"idempotency-key": "cut-off"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_unknown")
    again = await restarted.gate.post(restarted.caller, **{"idempotency-key": "finished"})
    assert (again.content, again.headers["idempotent-replayed"]) == (restarted.finished.content, "true")
    assert restarted.upstream.requests == []
    assert (await restarted.gate.post(restarted.caller, **{"idempotency-key": "new"})).status_code == 200


async def test_batched_loses_no_more_than_its_window(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream, serving(tmp_path, upstream, BATCHED) as gate:
        load = Load(gate, await gate.key(budget="1000/total"))
        killed_at = await load.until_killed(after=100, least_s=SLACK_S + 0.5)
    recorded = {row["call_id"] for row in read_ledger(tmp_path)}
    due = {call_id for call_id, at in load.answered.items() if at < killed_at - SLACK_S}
    assert due and due <= recorded
    check_database(tmp_path)
