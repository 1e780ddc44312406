"""A hundred workers killed at random moments (`kill -9`): every job ends once, with one result and one bill."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from aldgate.core.job_decisions import ByPlaces
from aldgate.core.jobs import HeldPart, Hold, Job, JobFilter, Price
from aldgate.queueing import Handover
from aldgate.storage import SliceRequest
from aldgate.store.job_tables import job_events
from aldgate.store.store import SqlStore
from aldgate.store.stores import STORES, open_url
from aldgate.store.tables import ledger
from aldgate.store.writer import wait_for_event
from aldgate.testing.making import FolderEngine
from tests.jobs.working import job, shop, working
from tests.servers import postgres_server, sqlite_files

KILLS = 100
JOBS = 100
COST = 3
HELD = 10
RECOVERIES = ("adopt", "cancel", "kill", "wait")
LONGEST_S = 2.0
"""Of the engine whose lost attempts can only be waited for."""
SERVERS = {"sqlite": sqlite_files, "postgresql": postgres_server}
AT_ONCE = {"sqlite": 1, "postgresql": 2}
"""Workers that share the database; an embedded one has one process at a time."""


@pytest.fixture(params=STORES.names())
def kind(request: pytest.FixtureRequest) -> str:
    """Which database."""
    return request.param


@pytest.fixture
def url(kind: str) -> Iterator[str]:
    """An empty database."""
    server = SERVERS[kind]()
    yield next(server)()
    next(server, None)


def engines(folder: Path) -> list[FolderEngine]:
    return [FolderEngine(recovery, folder, recovery, takes_s=0.03) for recovery in RECOVERIES]


def work(url: str, folder: str) -> None:
    """A worker that goes on until it is killed."""

    async def main() -> None:
        store = open_url(url, uuid4().hex)
        await store.open()
        more = {"lease_s": 1.0, "tell_s": 1.0, "backoff_s": 1e-6, "choose": ByPlaces(dict.fromkeys(RECOVERIES, 4))}
        async with working(shop(store, Path(folder), *engines(Path(folder)), **more)):
            await asyncio.Event().wait()

    asyncio.run(main())


class Workers:
    """Processes that work, some at once; each that is killed is followed by another."""

    def __init__(self, at_once: int, url: str, folder: Path) -> None:
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__, "aiosqlite", "asyncpg", "aldgate.store.sqlite", "aldgate.store.postgres"])
        self._arguments = url, str(folder)
        self.processes: list[BaseProcess] = [self._started() for _ in range(at_once)]

    def _started(self) -> BaseProcess:
        process = self._context.Process(target=work, args=self._arguments, daemon=True)
        process.start()
        return process

    def kill(self, place: int, *, is_last: bool = False) -> None:
        process = self.processes[place]
        assert process.is_alive()
        process.kill()
        process.join()
        if not is_last:
            self.processes[place] = self._started()

    def kill_some(self, chance: random.Random) -> None:
        for _ in range(KILLS):
            place = chance.randrange(len(self.processes))
            self.processes[place].join(timeout=chance.uniform(0.02, 0.4 / len(self.processes)))
            self.kill(place)


async def enqueued(store: SqlStore) -> None:
    """Jobs for each engine, each with money of its own."""
    await store.refill("maker", 1, [SliceRequest("org-1", "total", 10**6, 0, 0, JOBS * HELD, JOBS * HELD)])
    hold = Hold(price=Price(job=COST * 1_000_000), most_microusd=HELD, parts=(HeldPart("org-1", "total", HELD),))
    more = {"hold": hold, "most_failures": 1_000}
    wanted = [job(number, engine="wait" if number % 10 == 9 else RECOVERIES[number % 3], **more) for number in range(JOBS)]
    wanted = [replace(each, timeout_s=LONGEST_S) if each.engine == "wait" else each for each in wanted]
    money = [Handover("org-1", "total", 10**6, 0, HELD)]
    await asyncio.gather(*(store.enqueue_job(each, money) for each in wanted))


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    """The store of who makes the jobs."""
    store = open_url(url, "maker")
    await store.open()
    yield store
    await store.aclose()


async def test_every_job_ends_once_with_one_result_and_one_bill(kind: str, url: str, store: SqlStore, tmp_path: Path):
    await enqueued(store)
    workers = Workers(AT_ONCE[kind], url, tmp_path)
    try:
        await asyncio.to_thread(workers.kill_some, random.Random(1301))
        ended = await all_ended(store)
    finally:
        for place in range(len(workers.processes)):
            workers.kill(place, is_last=True)
    await check_ends(store, ended)
    await check_money(store)
    await check_engines(store, ended, tmp_path)


async def all_ended(store: SqlStore) -> list[Job]:
    async with asyncio.timeout(60):
        while await store.count_unfinished_jobs("key-1"):
            await wait_for_event(asyncio.Event(), 0.1)
    found = [await store.find_job(job(number).id) for number in range(JOBS)]
    return [each for each in found if each is not None]


async def check_ends(store: SqlStore, ended: list[Job]) -> None:
    assert Counter(each.state for each in ended) == {"succeeded": JOBS}
    assert all(each.result is not None and len(each.made) == 1 for each in ended)
    over = select(job_events.c.job, func.count()).where(job_events.c.state == "succeeded").group_by(job_events.c.job)
    async with store._database.read() as connection:
        assert {row[1] for row in await connection.execute(over)} == {1}
    assert await store.list_jobs(JobFilter(states=frozenset({"queued", "scheduled", "running"}))) == []


async def check_money(store: SqlStore) -> None:
    bills = select(ledger.c.call_id, func.count(), func.sum(ledger.c.cost_microusd)).group_by(ledger.c.call_id)
    async with store._database.read() as connection:
        found = [tuple(row) for row in await connection.execute(bills)]
    assert sorted(found) == sorted((job(number).call_id, 1, COST) for number in range(JOBS))
    (standing,) = await store.budget_standings("org-1", is_lost=False, limit=1)
    assert (standing.settled, standing.outstanding, standing.presumed_spent) == (JOBS * COST, 0, 0)


async def check_engines(store: SqlStore, ended: list[Job], folder: Path) -> None:
    """No attempt began before the one before it was recovered, and what was computed twice its history tells."""
    engine = FolderEngine("any", folder, "adopt")
    assert engine.overlaps == []
    lost = 0
    for each in ended:
        attempts = await store.job_attempts(each.id)
        handles = {attempt.handle for attempt in attempts if attempt.handle}
        computed = {handle for handle, _ in engine._pieces(f"prompt-{int(each.id[4:], 16)}")}
        assert computed <= handles
        assert [attempt.end for attempt in attempts[:-1]] == ["lost"] * (len(attempts) - 1)
        assert attempts[-1].end == "succeeded"
        assert each.engine != "adopt" or len(computed) == 1
        lost += len(attempts) - 1
    assert lost, "nobody was killed at work"
