"""Two gates race for one budget over real PostgreSQL: it is spent to the cent, and a kill lets nobody spend a cent twice."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.testing.upstream import FakeUpstream, Reply
from tests.limiter.valkey.server import Server
from tests.processes.fleet import CENT, CHAT, HELLO, PATIENT, Host, hosts, until
from tests.servers import NewUrl

pytestmark = pytest.mark.anyio
CALLERS = 64
CALLS = 400
"""What the budget is good for, at a cent each."""
STREAMED, PAID_TOKENS, PER_TOKEN = 200, 2_000, 10
"""Words of a stream; of how many the budget pays for, at so many micro-dollars."""


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def two(tmp_path: Path, upstream: FakeUpstream, new_postgres: NewUrl) -> AsyncIterator[list[Host]]:
    async with hosts(tmp_path, upstream, new_postgres(), 2, CENT + PATIENT) as two:
        yield two


class Race:
    """Callers of one key at some gates, who call until there is no money."""

    def __init__(self, gates: list[Host], key: str) -> None:
        self._key = key
        self.statuses: Counter[int] = Counter()
        self.lost = 0
        self.callers = [asyncio.create_task(self._call(gate)) for gate in gates for _ in range(CALLERS)]

    async def _call(self, gate: Host) -> None:
        while True:
            try:
                reply = await gate.post(self._key)
            except httpx2.TransportError:
                self.lost += 1
                return
            self.statuses[reply.status_code] += 1
            if reply.status_code != 200:
                return

    async def has_answered(self, count: int) -> None:
        async def enough() -> bool:
            return self.statuses[200] >= count or all(caller.done() for caller in self.callers)

        await until(enough)

    async def over(self) -> None:
        async with asyncio.timeout(60):
            await asyncio.gather(*self.callers)


async def budget(gate: Host, **query: str) -> dict[str, Any]:
    reply = await gate.http.get("/admin/budgets", params=query)
    (found,) = reply.json()["data"]
    return found


async def test_128_callers_of_two_gates_spend_the_budget_to_the_cent(two: list[Host], upstream: FakeUpstream) -> None:
    key = await two[0].key(budget=f"{CALLS / 100:.2f}/total")
    race = Race(two, key)
    await race.over()
    assert race.statuses == {200: CALLS, 402: 2 * CALLERS}
    assert len(upstream.requests) == CALLS

    async def is_settled() -> bool:
        found = await budget(two[0])
        return (found["settled_microusd"], found["outstanding_microusd"]) == (CALLS * 10_000, 0)

    await until(is_settled)


async def test_valkey_emptied_in_the_middle_changes_nothing(
    tmp_path: Path, upstream: FakeUpstream, new_postgres: NewUrl, valkey: Server
) -> None:
    more = {"ALDGATE_VALKEY_URL": valkey.url, "ALDGATE_VALKEY_TIMEOUT_MS": "20000"}
    async with hosts(tmp_path, upstream, new_postgres(), 2, CENT + PATIENT, **more) as two:
        race = Race(two, await two[0].key(budget=f"{CALLS / 100:.2f}/total", rpm=600_000))
        await race.has_answered(CALLS // 4)
        valkey.ask("FLUSHALL")
        await race.over()
        assert race.statuses == {200: CALLS, 402: 2 * CALLERS}
        assert len(upstream.requests) == CALLS


async def test_a_kill_frees_no_cent_until_an_operator_says_so(two: list[Host], upstream: FakeUpstream) -> None:
    one, mortal = two
    key = await one.key(budget=f"{CALLS / 100:.2f}/total")
    race = Race(two, key)
    await race.has_answered(CALLS // 4)
    await mortal.ended(signal.SIGKILL)
    await race.over()
    assert race.lost <= CALLERS
    assert len(upstream.requests) <= CALLS

    async def is_given_up() -> bool:
        found = await budget(one)
        return found["outstanding_microusd"] == 0 and found["settled_microusd"] + found["presumed_microusd"] >= CALLS * 10_000

    await until(is_given_up)
    lost = await budget(one, lost="true")
    assert lost["settled_microusd"] + lost["presumed_microusd"] == CALLS * 10_000
    assert len(lost["lost"]) == 1, "at most one slice is missing, that of the process that was killed"
    assert (await one.post(key)).status_code == 402

    released = (await one.http.post("/admin/budgets/release", json={"process": lost["lost"][0]["process"]})).json()
    assert released == {"released_microusd": lost["presumed_microusd"]}

    async def can_call() -> bool:  # that it was refused is remembered for a moment
        return (await one.post(key)).status_code == 200

    await until(can_call)
    statuses = [(await one.post(key)).status_code for _ in range(released["released_microusd"] // 10_000)]
    assert statuses[:-1].count(200) == len(statuses) - 1 and statuses[-1] == 402


async def test_streams_of_two_gates_spend_what_the_budget_pays_for_and_are_then_cut(tmp_path: Path, new_postgres: NewUrl) -> None:
    reply = Reply(chunks=STREAMED, completion_tokens=STREAMED, pace_s=0.001)
    config = f'[prices."lab/gpt-4.1"]\noutput = {PER_TOKEN}\n[limits]\nrecall_ms = 20000\nstream_step_tokens = 16\n'
    async with FakeUpstream(reply=reply) as upstream, hosts(tmp_path, upstream, new_postgres(), 2, config) as two:
        key = await two[0].key(budget=f"{PAID_TOKENS * PER_TOKEN / 1e6:.6f}/total")
        ask = {**HELLO, "stream": True, "max_tokens": STREAMED}
        headers = {"authorization": f"Bearer {key}"}
        replies = await asyncio.gather(*(gate.http.post(CHAT, json=ask, headers=headers) for gate in two for _ in range(8)))
        ended = Counter(_end_of(reply) for reply in replies)
        assert ended["[DONE]"] + ended["budget_exceeded"] == len(replies) and ended["budget_exceeded"] > 0

        async def is_settled() -> bool:
            return (await budget(two[0]))["outstanding_microusd"] == 0

        await until(is_settled)
        assert (await budget(two[0]))["settled_microusd"] <= PAID_TOKENS * PER_TOKEN
        rows = [row for gate in two[:1] for row in (await gate.http.get("/v1/usage", headers=headers)).json()["data"]]
        tokens = sum(row["completion_tokens"] for row in rows)
        assert PAID_TOKENS - 16 * len(replies) <= tokens <= PAID_TOKENS, "all of it, but for the steps that streams end in"


def _end_of(reply: httpx2.Response) -> str:
    if reply.status_code != 200:
        return reply.json()["error"]["code"]
    last = reply.text.strip().rpartition("data: ")[2]
    return last if last == "[DONE]" else json.loads(last)["error"]["code"]
