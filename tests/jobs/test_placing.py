"""Jobs on a device: who begins, who leaves, what is seen, what is refused; with fake GPUs and engines that hold their memory."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aldgate.config.devices import DeviceEntry
from aldgate.core.errors import NotSupported, UpstreamBroken, UpstreamUnreachable
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Recovery
from aldgate.core.job_decisions import ByPlaces
from aldgate.core.placement import Needs
from aldgate.jobs import devices as device_module
from aldgate.jobs import evictions
from aldgate.jobs.devices import Devices, Post
from aldgate.jobs.evictions import Evictor
from aldgate.jobs.placing import Placing
from aldgate.making import Run
from aldgate.storage import Store
from aldgate.store.stores import open_url
from aldgate.testing.gpus import FakeGpus
from tests.store.test_jobs import DONE, job

LONG_S = 60.0
NOT_OURS = 1


class Painter:
    """An engine that holds memory of a fake GPU, as one of this machine's processes."""

    kind = "fake"
    operations = frozenset({"image"})
    recovery: Recovery = "cancel"

    def __init__(self, name: str, gpus: FakeGpus | None, pid: int = 0) -> None:
        self.name = name
        self.pid = pid or os.getpid()
        self.is_loaded = False
        self.keeps = 0
        self.error: Exception | None = None
        self.asked = 0
        self.is_away = False
        self._gpus = gpus

    def load(self, memory_mb: int) -> None:
        self.is_loaded = True
        if self._gpus is not None:
            self._gpus.hold(self.pid, memory_mb)

    async def state(self) -> EngineState:
        self.asked += 1
        if self.is_away:
            raise UpstreamUnreachable("gone")
        return EngineState(models=(EngineModel(name="m", is_loaded=self.is_loaded),))

    async def generate(self, asked: Generation, run: Run) -> Generated:
        return Generated()

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        return None

    async def stop(self, handle: str) -> None:
        return None

    async def unload(self, model: str = "") -> None:
        if self.error is not None:
            raise self.error
        self.load(self.keeps)
        self.is_loaded = bool(self.keeps)

    async def aclose(self) -> None:
        return None


class Bench:
    def __init__(self, store: Store, gpus: FakeGpus | None, monkeypatch: pytest.MonkeyPatch, **entry) -> None:
        self.store = store
        self.gpus = gpus
        self.painter, self.filmer = Painter("painter", gpus), Painter("filmer", gpus, os.getppid())
        posts = {
            "painter": Post(self.painter, "gpu0", Needs(memory_mb=14_000), "http://127.0.0.1:1"),
            "filmer": Post(self.filmer, "gpu0", Needs(memory_mb=20_000), "http://127.0.0.1:2"),
        }
        devices = Devices({"gpu0": DeviceEntry(**entry)} if entry else {}, gpus, "here")
        by_port = {1: frozenset({self.painter.pid}), 2: frozenset({self.filmer.pid})}
        monkeypatch.setattr(device_module, "listening_on", by_port.__getitem__)
        monkeypatch.setattr(device_module, "with_descendants", frozenset)
        monkeypatch.setattr(evictions, "PAUSE_S", 0.0)
        self.woken = 0
        self.placing = Placing(store, devices, posts, Evictor(store, devices, posts, patience_s=0.05), self._wake)

    def _wake(self) -> None:
        self.woken += 1

    async def begin(self) -> list[str]:
        claims = await self.placing.claim_jobs(["painter", "filmer", "echo"], ByPlaces({}), LONG_S)
        return [claim.job.engine for claim in claims]

    async def does(self, number: int, engine: str = "painter", memory_mb: int = 14_000) -> None:
        """A job from its beginning to its end; its engine holds memory after it."""
        await self.store.enqueue_job(job(number, engine=engine))
        (claim,) = await self.placing.claim_jobs([engine], ByPlaces({}), LONG_S)
        getattr(self, engine).load(memory_mb)
        await self.placing.look()
        await self.store.submit_job(claim.job.lease, "h")
        await self.store.finish_job(claim.job.lease, DONE, None)

    async def states(self) -> dict[str, str]:
        return {each.engine: each.state for each in await self.store.list_residencies()}


@asynccontextmanager
async def a_bench(folder: Path, gpus: FakeGpus | None, patch: pytest.MonkeyPatch, **entry) -> AsyncIterator[Bench]:
    store = open_url(f"sqlite:///{folder}/aldgate.db", "worker-1")
    await store.open()
    yield Bench(store, gpus, patch, **entry)
    await store.aclose()


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with a_bench(tmp_path, FakeGpus(), monkeypatch) as bench:
        await bench.placing.look()
        yield bench


async def test_the_idle_one_leaves_for_the_other_and_only_then_that_one_begins(bench: Bench):
    await bench.does(1)
    await bench.store.enqueue_job(job(2, engine="filmer"))
    assert await bench.begin() == []
    assert await bench.states() == {"painter": "evicting"}
    await bench.placing.look()
    assert (await bench.states(), bench.woken, bench.painter.is_loaded) == ({}, 1, False)
    assert await bench.begin() == ["filmer"]


async def test_an_engine_without_a_device_begins_as_it_has_places(bench: Bench):
    await bench.store.enqueue_job(job(1, engine="echo"))
    assert await bench.begin() == ["echo"]


async def test_memory_that_stays_is_counted_until_it_is_gone(bench: Bench):
    await bench.does(1)
    bench.painter.keeps = 13_000
    assert not await bench.placing.stop("painter")
    assert await bench.states() == {"painter": "unknown"}
    await bench.store.enqueue_job(job(2, engine="filmer"))
    assert await bench.begin() == []
    bench.painter.keeps = 0
    await bench.placing.look()
    assert await bench.begin() == ["filmer"]


async def test_what_an_engine_keeps_of_its_context_is_no_hindrance_but_counts(bench: Bench):
    await bench.does(1)
    bench.painter.keeps = 600
    assert await bench.placing.stop("painter")
    await bench.placing.look()
    (device,) = await bench.store.list_devices()
    assert device.foreign_mb == 600
    assert device.foreign == ()


async def test_an_engine_that_cannot_unload_stays_and_goes_on_working(bench: Bench):
    await bench.does(1)
    bench.painter.error = NotSupported("no")
    assert not await bench.placing.stop("painter")
    assert await bench.states() == {"painter": "ready"}
    await bench.store.enqueue_job(job(2, engine="filmer"))
    await bench.store.enqueue_job(job(3))
    assert await bench.begin() == ["painter"]


async def test_who_cannot_unload_has_left_when_its_process_was_ended_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with a_bench(tmp_path, None, monkeypatch, vram_mb=24_000) as bench:
        await bench.does(1)
        bench.painter.error = NotSupported("no")
        assert not await bench.placing.stop("painter")
        bench.painter.is_away = True
        assert await bench.placing.stop("painter")
        assert await bench.states() == {}


@pytest.mark.parametrize("error", [UpstreamBroken("broke"), UpstreamUnreachable("gone")])
async def test_whatever_unloading_says_the_device_is_looked_at(bench: Bench, error: Exception):
    await bench.does(1)
    bench.painter.error = error
    assert not await bench.placing.stop("painter")
    assert await bench.states() == {"painter": "unknown"}
    bench.painter.load(0)
    await bench.placing.look()
    assert await bench.states() == {}


async def test_where_the_driver_does_not_say_whose_memory_it_is_the_sum_tells(bench: Bench):
    assert bench.gpus is not None
    bench.gpus.is_shy = True
    await bench.does(1)
    (device,) = await bench.store.list_devices()
    assert device.foreign_mb == 0
    assert await bench.placing.stop("painter")


@pytest.mark.parametrize("is_shy", [False, True])
async def test_memory_that_came_back_before_it_was_looked_at_is_seen_free(bench: Bench, is_shy: bool):
    assert bench.gpus is not None
    await bench.does(1)
    bench.gpus.is_shy = is_shy
    bench.painter.load(0)
    bench.painter.error = UpstreamUnreachable("gone")
    assert await bench.placing.stop("painter")


async def test_other_programs_are_named_and_waited_for(bench: Bench):
    assert bench.gpus is not None
    bench.gpus.hold(NOT_OURS, 20_000, "/usr/bin/game")
    await bench.placing.look()
    kept = await bench.store.enqueue_job(job(1))
    assert await bench.begin() == []
    found = await bench.store.find_job(kept.id)
    assert found is not None and found.state == "queued" and "game (1), 20000 MiB" in found.reason
    bench.gpus.hold(NOT_OURS, 0)
    await bench.placing.look()
    assert await bench.begin() == ["painter"]


async def test_other_programs_are_a_reason_to_refuse_where_that_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gpus = FakeGpus()
    async with a_bench(tmp_path, gpus, monkeypatch, index=0, on_foreign="refuse") as bench:
        gpus.hold(NOT_OURS, 20_000, "/usr/bin/game")
        await bench.placing.look()
        kept = await bench.store.enqueue_job(job(1))
        assert await bench.begin() == []
        found = await bench.store.find_job(kept.id)
        assert found is not None and found.error is not None
        assert (found.state, found.error.code) == ("failed", "vram_conflict")
        assert "game (1)" in found.error.message


async def test_a_job_that_no_device_could_ever_take_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with a_bench(tmp_path, None, monkeypatch, host="elsewhere", vram_mb=16_000) as bench:
        kept = await bench.store.enqueue_job(job(1, engine="filmer"))
        await bench.begin()
        found = await bench.store.find_job(kept.id)
        assert found is not None and found.error is not None and found.error.code == "vram_conflict"


async def test_a_device_that_cannot_be_seen_is_known_by_its_figures_and_its_engines_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with a_bench(tmp_path, None, monkeypatch, vram_mb=24_000) as bench:
        await bench.does(1)
        await bench.store.enqueue_job(job(2, engine="filmer"))
        assert await bench.begin() == []
        await bench.placing.look()
        assert await bench.begin() == ["filmer"]


async def test_to_look_at_the_state_asks_no_engine(bench: Bench):
    await bench.does(1)
    status = await bench.placing.status()
    (gpu,) = status["gpus"]
    assert (gpu["used_mb"], gpu["free_mb"], gpu["residencies"][0]["engine"]) == (14_000, 10_576, "painter")
    assert status["aggregate"]["total_mb"] == 24_576
    assert bench.painter.asked == 0


async def test_a_sick_driver_changes_nothing_that_is_known(bench: Bench):
    assert bench.gpus is not None
    await bench.does(1)
    bench.gpus.is_sick = True
    await bench.placing.look()
    assert await bench.states() == {"painter": "ready"}
    assert (await bench.placing.status())["gpus"][0]["used_mb"] == 14_000


async def test_all_that_are_idle_can_be_stopped(bench: Bench):
    await bench.does(1)
    assert await bench.placing.stop_all() == {"painter": True}
    assert await bench.states() == {}
