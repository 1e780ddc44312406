"""Devices and engines as the configuration has them."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from aldgate.app.devices import placing_of, with_processes
from aldgate.config.devices import DeviceEntry
from aldgate.config.errors import ConfigError
from aldgate.config.settings import Settings
from aldgate.core.errors import UpstreamUnreachable
from aldgate.core.placement import Needs
from aldgate.engines.started import Started
from aldgate.jobs.job_shop import nobody_minds
from aldgate.store.stores import open_url
from tests.jobs.test_placing import Painter

TABLE = {"device": "desk", "memory_mb": 9_000, "exclusive": False, "places": 2, "workflow_of_its_kind": "x"}


def settings(folder: Path, **more) -> Settings:
    engines = {"painter": TABLE | more, "echo": {"chunk_ms": 1}}
    return Settings(data=str(folder), engines=engines, devices={"desk": DeviceEntry(vram_mb=24_000)})


async def test_engines_with_a_device_are_placed_on_it(tmp_path: Path):
    store = open_url(f"sqlite:///{tmp_path}/aldgate.db", "here")
    engines = {"painter": Painter("painter", None), "echo": Painter("echo", None)}
    placing = placing_of(settings(tmp_path), store, engines, lambda: None, nobody_minds)
    assert placing.engines() == ["painter"]
    assert placing.devices.device("desk").total_mb == 24_000
    assert placing._posts["painter"].needs == Needs(memory_mb=9_000, exclusive=False, places=2)


async def test_an_engine_does_not_inherit_what_is_the_gates_alone(tmp_path: Path):
    shows = {"process": {"command": ["env"], "startup_timeout_s": 0.1, "env": {"HF_KEY": "given"}}}
    environment = {"PATH": "/usr/bin:/bin", "ALDGATE_ADMIN_KEY": "a", "OPENAI_API_KEY": "b", "HF_HOME": "/models"}
    chosen = msgspec.structs.replace(settings(tmp_path, **shows), environment=environment)
    started = with_processes(chosen, {"painter": Painter("painter", None)}, {"painter"})["painter"]
    assert isinstance(started, Started)
    async with started.process.working():
        while started.process.pid is not None:
            await asyncio.sleep(0)
    await started.aclose()
    lines = started.process.log_path.read_text().split()
    assert {"HF_HOME=/models", "HF_KEY=given"} <= set(lines)
    assert not [line for line in lines if line.startswith(("ALDGATE_", "OPENAI_"))]


@pytest.mark.parametrize(("device", "is_known"), [("desk", True), ("gpu0", True), ("desc", False), ("gpu", False)])
async def test_a_device_that_nobody_knows_is_a_mistake_in_the_configuration(tmp_path: Path, device: str, is_known: bool):
    store = open_url(f"sqlite:///{tmp_path}/aldgate.db", "here")
    wrong = settings(tmp_path, device=device)
    if is_known:
        assert placing_of(wrong, store, {"painter": Painter("painter", None)}, lambda: None, nobody_minds).engines() == [
            "painter"
        ]
        return
    with pytest.raises(ConfigError, match="no device"):
        placing_of(wrong, store, {"painter": Painter("painter", None)}, lambda: None, nobody_minds)


async def test_an_engine_with_a_process_is_started_by_its_first_work(tmp_path: Path):
    own = {"process": {"command": ["sleep", "600"], "health": "/up", "startup_timeout_s": 0.1}, "base_url": "http://127.0.0.1:9"}
    plain = {"painter": Painter("painter", None), "echo": Painter("echo", None)}
    engines = with_processes(settings(tmp_path, **own), plain, plain)
    painter = engines["painter"]
    assert isinstance(painter, Started) and not isinstance(engines["echo"], Started)
    with pytest.raises(UpstreamUnreachable, match="does not run"):
        await painter.state()
    with pytest.raises(UpstreamUnreachable, match="did not answer in its time"):
        await painter.process.start()
    await painter.aclose()
    assert (tmp_path / "engines" / "painter.log").exists()


async def test_a_process_without_a_device_is_stopped_when_it_is_idle(tmp_path: Path):
    own = {"device": "", "process": {"command": ["sleep", "600"], "idle_stop_s": 1e-9}}
    chosen = settings(tmp_path, **own)
    engines = with_processes(chosen, {"painter": Painter("painter", None)}, {"painter"})
    placing = placing_of(chosen, open_url(f"sqlite:///{tmp_path}/aldgate.db", "here"), engines, lambda: None, nobody_minds)
    painter = engines["painter"]
    assert isinstance(painter, Started) and placing.has_work() and placing.engines() == []
    await painter.process.start()
    await asyncio.gather(*(process.tend() for process in placing._processes))
    assert painter.process.pid is None


async def test_who_does_not_work_for_an_engine_leaves_its_process_running(tmp_path: Path):
    chosen = settings(tmp_path, process={"command": ["sleep", "600"], "idle_stop_s": 1e-9})
    store = open_url(f"sqlite:///{tmp_path}/aldgate.db", "here")
    worker = with_processes(chosen, {"painter": Painter("painter", None)}, {"painter"})["painter"]
    assert isinstance(worker, Started)
    await worker.process.start()
    gate = with_processes(chosen, {"painter": Painter("painter", None)}, ())
    assert placing_of(chosen, store, gate, lambda: None, nobody_minds)._processes == []
    assert isinstance(gate["painter"], Started) and gate["painter"].process.pid == worker.process.pid
    await gate["painter"].aclose()
    assert worker.process.pid is not None
    await worker.aclose()
    assert worker.process.pid is None
