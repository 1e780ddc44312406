"""kill -9: what was answered is in the ledger, no budget is freed, no limit forgotten, and nothing is called twice."""

import asyncio
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from aldgate.testing.upstream import FakeUpstream, faults
from tests.faults.lab import read_ledger, within
from tests.faults.serving import Serving, serving

CALLERS = 12
STRICT = '[ledger]\ndurability = "strict"\n'
BATCHED = "[ledger]\nwindow_s = 0.1\n"
PRICES = '[prices."lab/gpt-4.1"]\nrequest = "0.01"\n'
SLACK_S = 1.0
"""A commit takes its time on a busy machine."""


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


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
    with closing(sqlite3.connect(data / "aldgate.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_strict_loses_no_call_that_was_answered(tmp_path: Path, upstream: FakeUpstream) -> None:
    async with serving(tmp_path, upstream, STRICT) as gate:
        load = Load(gate, await gate.key(rpm=1_000_000, tpd=10**9, budget="1000/total"))
        await load.until_killed(after=200)
    recorded = {row["call_id"]: row for row in read_ledger(tmp_path)}
    assert set(load.answered) <= set(recorded)
    assert {recorded[call_id]["usage_source"] for call_id in load.answered} == {"reported"}
    check_database(tmp_path)
    async with serving(tmp_path, upstream, STRICT) as gate:
        assert (await gate.http.get("/ready")).json()["ready"] is True


async def test_batched_loses_no_more_than_its_window(tmp_path: Path, upstream: FakeUpstream) -> None:
    async with serving(tmp_path, upstream, BATCHED) as gate:
        load = Load(gate, await gate.key(budget="1000/total"))
        killed_at = await load.until_killed(after=100, least_s=SLACK_S + 0.5)
    recorded = {row["call_id"] for row in read_ledger(tmp_path)}
    due = {call_id for call_id, at in load.answered.items() if at < killed_at - SLACK_S}
    assert due and due <= recorded
    check_database(tmp_path)


async def test_no_budget_is_freed(tmp_path: Path, upstream: FakeUpstream) -> None:
    """Three calls are paid, two are with the provider: whatever becomes of those, ten is the most there ever is."""
    async with serving(tmp_path, upstream, STRICT + PRICES) as gate:
        key = await gate.key(budget="0.10/total")
        assert [(await gate.post(key)).status_code for _ in range(3)] == [200] * 3
        upstream.script(faults.hang_before_head(), faults.hang_before_head())
        hanging = [asyncio.create_task(gate.post(key)) for _ in range(2)]
        await within(5, upstream.saw_requests(5))
        await gate.ended(signal.SIGKILL)
        assert all(isinstance(each, httpx2.TransportError) for each in await asyncio.gather(*hanging, return_exceptions=True))
    async with serving(tmp_path, upstream, STRICT + PRICES) as gate:
        statuses = [(await gate.post(key)).status_code for _ in range(12)]
        passed = statuses.count(200)
        assert statuses == [200] * passed + [402] * (12 - passed)
        assert 3 + 2 + passed <= 10
    assert sum(row["cost_microusd"] for row in read_ledger(tmp_path)) == (3 + passed) * 10_000


async def test_no_limit_is_forgotten(tmp_path: Path, upstream: FakeUpstream) -> None:
    wanted: list[dict[str, int]] = [{"rpm": 4}, {"tpm": 60}, {"tpd": 60}]
    keys: list[str] = []
    for is_restarted in (False, True):
        async with serving(tmp_path, upstream, STRICT) as gate:
            keys = keys or [await gate.key(**limits) for limits in wanted]
            statuses = [[(await gate.post(key)).status_code for _ in range(4)] for key in keys]
            if is_restarted:
                assert statuses == [[429] * 4] * 3
            else:
                assert statuses[0] == [200] * 4
                assert statuses[1] == statuses[2] and statuses[1][0] == 200 and statuses[1][3] == 429
            await gate.ended(signal.SIGKILL)


async def test_a_call_that_was_cut_off_is_not_made_again(tmp_path: Path, upstream: FakeUpstream) -> None:
    async with serving(tmp_path, upstream, STRICT) as gate:
        key = await gate.key()
        kept = await gate.post(key, **{"idempotency-key": "finished"})
        upstream.script(faults.hang_before_head())
        hanging = asyncio.create_task(gate.post(key, **{"idempotency-key": "cut-off"}))
        await within(5, upstream.saw_requests(2))
        await gate.ended(signal.SIGKILL)
        assert isinstance((await asyncio.gather(hanging, return_exceptions=True))[0], httpx2.TransportError)
    async with serving(tmp_path, upstream, STRICT) as gate:
        for _ in range(2):
            refused = await gate.post(key, **{"idempotency-key": "cut-off"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_unknown")
        again = await gate.post(key, **{"idempotency-key": "finished"})
        assert (again.content, again.headers["idempotent-replayed"]) == (kept.content, "true")
        assert len(upstream.requests) == 2
        assert (await gate.post(key, **{"idempotency-key": "new"})).status_code == 200
