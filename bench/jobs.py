"""What jobs cost: new ones per second, claiming one among many that have ended, and from making one to starting it."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from statistics import median

from sqlalchemy import text
from tests.servers import postgres_binaries, postgres_server, sqlite_files

from aldgate.core.generation import Generation
from aldgate.core.job_decisions import ByPlaces
from aldgate.core.jobs import Choice, End, Job, Made, Owner, Queue, encoded
from aldgate.jobs.job_shop import JobShop
from aldgate.jobs.worker import Worker
from aldgate.store.job_tables import jobs
from aldgate.store.store import SqlStore
from aldgate.store.stores import open_url
from aldgate.store.writer import wait_for_event
from aldgate.testing.making import FolderEngine
from bench.processes import NotAvailable
from bench.report import Line
from bench.rows import Plan, Row

FEW, MANY = 10, 1_000_000
NEW, CLAIMS, STARTS = 5_000, 200, 100
AT_ONCE = 50_000
"""Rows of one statement that fills the table."""
CALLERS = 64
PER_SECOND = {"sqlite": 500, "postgresql": 2_000}
OWNER = Owner("key-1", "key-1")
ASKED = encoded(Generation(operation="image", prompt="a gate at night"))
_numbers = count(1)


def _job(engine: str = "painter") -> Job:
    return Job(id=f"job-{next(_numbers):024x}", owner=OWNER, operation="image", engine=engine, asked=ASKED)


@contextmanager
def _database(kind: str) -> Iterator[str]:
    if kind == "postgresql" and postgres_binaries() is None:
        raise NotAvailable("PostgreSQL is not installed")
    urls = sqlite_files() if kind == "sqlite" else postgres_server(is_durable=True)
    try:
        yield next(urls)()
    finally:
        next(urls, None)


@asynccontextmanager
async def _store(kind: str) -> AsyncIterator[SqlStore]:
    with _database(kind) as url:
        store = open_url(url, "bench", durability="strict")
        await store.open()
        try:
            yield store
        finally:
            await store.aclose()


async def jobs_of(kind: str, plan: Plan) -> list[Line]:
    """The figures of one kind of database; each commit of a new job is on the disk."""
    async with _store(kind) as store:
        rates = [await _enqueued_per_s(store, plan.calls(NEW)) for _ in range(plan.repeat)]
        few = await _claim_ms(store, plan.calls(CLAIMS))
        many = max(FEW, int(MANY * plan.scale))
        await _fill(store, many)
        crowded = await _claim_ms(store, plan.calls(CLAIMS))
        start_ms = await _start_ms(store, plan.calls(STARTS))
    note = f"{few:.3g} ms with {FEW}, {crowded:.3g} ms with {many:,}"
    return [
        Line(row="jobs", label=f"{kind}: new ones", value=median(rates), unit="/s", bar=PER_SECOND[kind], best="high", raw=rates),
        Line(row="jobs", label=f"{kind}: claim among {many:,} ended", value=crowded / few, unit="x", bar=1.5, note=note),
        Line(row="jobs", label=f"{kind}: from making to starting, p50", value=start_ms, unit="ms", bar=20),
    ]


async def _enqueued_per_s(store: SqlStore, calls: int) -> float:
    each = calls // CALLERS

    async def caller() -> None:
        for _ in range(each):
            await store.enqueue_job(_job("nobody"))

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return each * CALLERS / (time.perf_counter() - began)


async def _claim_ms(store: SqlStore, calls: int) -> float:
    """Milliseconds to claim one job of ten that wait, at the median."""
    found: list[float] = []
    for _ in range(FEW):
        await store.enqueue_job(_job())
    for _ in range(calls):
        await store.enqueue_job(_job())
        began = time.perf_counter()
        (claim,) = await store.claim_jobs(["painter"], ByPlaces({}), 60.0)
        found.append((time.perf_counter() - began) * 1e3)
        await store.finish_job(claim.job.lease, End(state="succeeded", attempt="succeeded"), None)
    for claim in await store.claim_jobs(["painter"], _all, 60.0):
        await store.finish_job(claim.job.lease, End(state="succeeded", attempt="succeeded"), None)
    return median(found)


def _all(queue: Queue) -> Choice:
    return Choice(tuple(each.id for waiting in queue.waiting.values() for each in waiting))


async def _fill(store: SqlStore, rows: int) -> None:
    """Jobs that have ended, as copies of one: through the queue they would take half an hour."""
    columns = ", ".join(f'"{column.name}"' for column in jobs.columns if column.name != "id")
    one = "(SELECT * FROM jobs WHERE state = 'succeeded' LIMIT 1) AS one"
    for first in range(0, rows, AT_ONCE):  # a statement may not take as long as all of them would
        last = min(first + AT_ONCE, rows) - 1
        numbers = f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})"
        copy = f"INSERT INTO jobs (id, {columns}) {numbers} SELECT 'old-' || n.i, {columns} FROM n CROSS JOIN {one}"
        async with store._database.write() as connection:
            await connection.execute(text(copy))


async def _start_ms(store: SqlStore, calls: int) -> float:
    """Milliseconds from making a job to its engine being asked, at the median, with a worker that waits to be told."""
    with tempfile.TemporaryDirectory() as folder:
        engine = FolderEngine("painter", Path(folder), "cancel")
        worker = asyncio.create_task(Worker(_shop(store, engine)).run())
        found: list[float] = []
        asked = asyncio.Event()
        engine.before_submitting = asked.set
        for _ in range(calls):
            asked.clear()
            began = time.perf_counter()
            job = await store.enqueue_job(_job())
            await asked.wait()
            found.append((time.perf_counter() - began) * 1e3)
            await _ended(store, job)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return median(found)


async def _ended(store: SqlStore, job: Job) -> None:
    changed = asyncio.Event()
    listening = asyncio.create_task(store.listen_to_jobs(lambda *_: changed.set()))
    while (found := await store.find_job(job.id)) is not None and not found.has_ended:
        changed.clear()
        await wait_for_event(changed, 0.01)
    listening.cancel()


def _shop(store: SqlStore, engine: FolderEngine) -> JobShop:
    async def save(job: Job, data: object, **known: object) -> Made:
        return Made("art-1", str(known["mime"]), 1, "00")

    return JobShop(
        store=store,
        engines={engine.name: engine},
        save=save,
        choose=ByPlaces({engine.name: 10}),
        now=time.time,
        clock=time.monotonic,
        random=random.random,
        wait=wait_for_event,
    )


async def jobs_sqlite(plan: Plan) -> list[Line]:
    """Jobs in SQLite."""
    return await jobs_of("sqlite", plan)


async def jobs_postgresql(plan: Plan) -> list[Line]:
    """Jobs in PostgreSQL."""
    return await jobs_of("postgresql", plan)


ROWS: dict[str, Row] = {"jobs-sqlite": jobs_sqlite, "jobs-postgresql": jobs_postgresql}
