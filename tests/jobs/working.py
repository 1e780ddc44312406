"""Workers of jobs in tests: a store on a file, engines on a folder, and waiting for what becomes of a job."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aldgate.core.generation import Generation
from aldgate.core.job_decisions import ByPlaces
from aldgate.core.jobs import Job, Made, Owner, encoded
from aldgate.jobs.job_shop import JobShop
from aldgate.jobs.worker import Worker
from aldgate.making import Engine
from aldgate.queueing import JobStore
from aldgate.store.writer import wait_for_event

OWNER = Owner("key-1", "key-1")
PATIENCE_S = 30.0


def job(number: int = 1, **more: Any) -> Job:
    asked = Generation(operation="image", prompt=f"prompt-{number}")
    given = {"owner": OWNER, "operation": "image", "engine": "painter", "asked": encoded(asked)} | more
    return Job(id=f"job-{number:024x}", **given)


def saver(folder: Path) -> Any:
    async def save(job: Job, data: Any, *, mime: str, name: str, facts: Mapping[str, Any]) -> Made:
        sha256 = hashlib.sha256(data).hexdigest()
        (folder / sha256).write_bytes(data)
        return Made(f"art-{sha256[:8]}", mime, len(data), sha256, name, dict(facts))

    return save


def shop(store: JobStore, folder: Path, *engines: Engine, **more: Any) -> JobShop:
    return JobShop(
        store=store,
        engines={engine.name: engine for engine in engines},
        save=saver(folder),
        choose=more.pop("choose", ByPlaces(dict.fromkeys((engine.name for engine in engines), 10))),
        now=time.time,
        clock=more.pop("clock", time.monotonic),
        random=random.Random(7).random,
        wait=wait_for_event,
        **{"lease_s": 3.0, "poll_s": 0.05, "tell_s": 0.0, "backoff_s": 0.01, **more},
    )


@asynccontextmanager
async def working(shop: JobShop) -> AsyncIterator[Worker]:
    worker = Worker(shop)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await killed(task)


async def killed(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(store: JobStore, job_id: str, is_so: Callable[[Job], bool] = lambda job: job.has_ended) -> Job:
    """The job, once it is so."""
    changed = asyncio.Event()
    listening = asyncio.create_task(store.listen_to_jobs(lambda *_: changed.set()))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                changed.clear()
                found = await store.find_job(job_id)
                assert found is not None
                if is_so(found):
                    return found
                await wait_for_event(changed, 0.05)
    finally:
        await killed(listening)
