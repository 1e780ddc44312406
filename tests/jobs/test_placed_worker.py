"""A worker whose jobs begin as a device has room: nobody is over-committed, nobody disturbed, everybody done."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from pathlib import Path

import pytest

from aldgate.core.generation import Generated, Generation
from aldgate.core.jobs import Claim
from aldgate.core.placement import Needs
from aldgate.engines.process import EngineProcess
from aldgate.engines.section import ProcessSection
from aldgate.engines.started import Started
from aldgate.jobs import devices as device_module
from aldgate.jobs import evictions
from aldgate.jobs.devices import Devices, Post
from aldgate.jobs.evictions import Evictor
from aldgate.jobs.placing import Placing
from aldgate.making import Run
from aldgate.queueing import Choose
from aldgate.store.store import SqlStore
from aldgate.store.stores import open_url
from aldgate.testing.gpus import FakeGpus
from tests.jobs.test_placing import Painter
from tests.jobs.working import job, killed, shop, until, working

TOTAL_MB = 24_576


class Works(Painter):
    """Holds its memory from its first job on, and sees who else is on the device meanwhile."""

    at_work: set[str]
    loads = 0

    def __init__(self, name: str, gpus: FakeGpus, pid: int, memory_mb: int, at_work: set[str]) -> None:
        super().__init__(name, gpus, pid)
        self._memory_mb, self.at_work, self._seen = memory_mb, at_work, gpus

    async def generate(self, asked: Generation, run: Run) -> Generated:
        await run.submitting("handle")
        assert not self.at_work, "somebody else works here"
        self.at_work.add(self.name)
        self.loads += not self.is_loaded
        self.load(self._memory_mb)
        assert self._seen.read()[0].used_mb <= TOTAL_MB
        await asyncio.sleep(0)
        self.at_work.discard(self.name)
        return Generated()


class PlacedStore:
    """The store, with claims as devices have room."""

    def __init__(self, store: SqlStore, placing: Placing) -> None:
        self._store, self._placing = store, placing

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    async def claim_jobs(self, engines: Collection[str], choose: Choose, lease_s: float) -> list[Claim]:
        return await self._placing.claim_jobs(engines, choose, lease_s)


async def test_engines_that_do_not_fit_together_take_turns_until_all_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gpus, at_work = FakeGpus(TOTAL_MB), set[str]()
    engines = {
        "painter": Works("painter", gpus, os.getpid(), 14_000, at_work),
        "filmer": Works("filmer", gpus, os.getppid(), 20_000, at_work),
    }
    posts = {
        "painter": Post(engines["painter"], "gpu0", Needs(memory_mb=14_000), "http://127.0.0.1:1"),
        "filmer": Post(engines["filmer"], "gpu0", Needs(memory_mb=20_000), "http://127.0.0.1:2"),
    }
    monkeypatch.setattr(device_module, "listening_on", {1: frozenset({os.getpid()}), 2: frozenset({os.getppid()})}.__getitem__)
    monkeypatch.setattr(device_module, "with_descendants", frozenset)
    monkeypatch.setattr(evictions, "PAUSE_S", 0.0)
    store = open_url(f"sqlite:///{tmp_path}/aldgate.db", "worker-1")
    await store.open()
    devices = Devices({}, gpus, "here")
    placing = Placing(store, devices, posts, Evictor(store, devices, posts, patience_s=1.0))
    jobs = [await store.enqueue_job(job(number, engine=("painter", "filmer")[number % 2])) for number in range(10)]
    placed = PlacedStore(store, placing)
    looking = asyncio.create_task(placing.run())
    async with working(shop(placed, tmp_path, *engines.values())):
        ended = [await until(store, each.id) for each in jobs]
    await killed(looking)
    await store.aclose()
    assert {each.state for each in ended} == {"succeeded"}
    assert sum(engine.loads for engine in engines.values()) <= 3


async def test_an_engines_process_starts_with_its_first_job_and_not_before(tmp_path: Path):
    painter = Painter("painter", None)
    process = EngineProcess("painter", ProcessSection(command=["sleep", "600"]), tmp_path, dict(os.environ), painter.state)
    started = Started(painter, process)
    store = open_url(f"sqlite:///{tmp_path}/aldgate.db", "worker-1")
    await store.open()
    try:
        async with working(shop(store, tmp_path, started)):
            assert process.pid is None
            done = await until(store, (await store.enqueue_job(job(1))).id)
            assert (done.state, process.pid is not None) == ("succeeded", True)
    finally:
        await started.aclose()
        await store.aclose()
    assert process.pid is None
