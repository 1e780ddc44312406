"""An engine's own process: started on demand, known again, stopped with all that it started."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from aldgate.core.errors import UpstreamUnreachable
from aldgate.devices.processes import started_at
from aldgate.engines import process as under_test
from aldgate.engines.process import EngineProcess
from aldgate.engines.section import ProcessSection

SERVES = "import sys, time, pathlib; print('up', flush=True); pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
WITH_CHILD = (
    "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
    + SERVES.replace("import sys,", "import")
)
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVES


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sign = folder / "up"
        self.clock = Clock()
        self.made: list[EngineProcess] = []

    async def ask(self) -> None:
        if not self.sign.exists():
            raise UpstreamUnreachable("not yet")

    def make(self, program: str = SERVES, **more) -> EngineProcess:
        section = ProcessSection(command=[sys.executable, "-c", program, str(self.sign)], **more)
        made = EngineProcess("painter", section, self.folder / "engines", dict(os.environ), self.ask, clock=self.clock)
        self.made.append(made)
        return made


@pytest.fixture
async def bench(tmp_path: Path):
    bench = Bench(tmp_path)
    yield bench
    for each in bench.made:
        await each.stop()


async def test_it_starts_when_it_is_needed_and_once(bench: Bench):
    made = bench.make()
    assert made.pid is None
    await asyncio.gather(made.start(), made.start())
    pid = made.pid
    assert pid is not None and started_at(pid) is not None
    await made.start()
    assert made.pid == pid
    assert made.log_path.read_text() == "up\n"


async def test_it_is_stopped_with_all_that_it_started(bench: Bench):
    made = bench.make(WITH_CHILD)
    await made.start()
    pids = made.pids()
    assert len(pids) == 2
    await made.stop()
    assert made.pid is None
    assert all(started_at(pid) is None for pid in pids)


async def test_one_that_does_not_listen_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(under_test, "PATIENCE_S", 0.3)
    made = bench.make(DEAF)
    await made.start()
    await made.stop()
    assert made.pid is None


async def test_a_gate_that_starts_again_knows_its_own(bench: Bench):
    first = bench.make()
    await first.start()
    again = bench.make()
    assert again.pid == first.pid is not None
    await again.start()
    assert again.pid == first.pid
    await again.stop()
    assert first.pid is None


async def test_another_process_of_that_number_is_not_taken_for_it(bench: Bench):
    folder = bench.folder / "engines"
    folder.mkdir()
    (folder / "painter.process").write_text(f'{{"pid": {os.getpid()}, "started": "1"}}')
    assert bench.make().pid is None
    (folder / "painter.process").write_text("garbage")
    assert bench.make().pid is None


async def test_one_that_ends_at_once_rests_before_it_is_tried_again(bench: Bench):
    made = bench.make("raise SystemExit('no model')")
    with pytest.raises(UpstreamUnreachable, match="ended"):
        await made.start()
    assert "no model" in made.log_path.read_text()
    with pytest.raises(UpstreamUnreachable, match="failed 1 times") as refused:
        await made.start()
    assert refused.value.retry_after_s == 1
    bench.clock.now += 1.1
    with pytest.raises(UpstreamUnreachable, match="ended"):
        await made.start()
    with pytest.raises(UpstreamUnreachable) as refused:
        await made.start()
    assert refused.value.retry_after_s == 2


async def test_a_program_that_is_not_there_is_said(bench: Bench):
    section = ProcessSection(command=["/no/such/program"])
    made = EngineProcess("painter", section, bench.folder, {}, bench.ask)
    with pytest.raises(UpstreamUnreachable, match="No such file"):
        await made.start()


async def test_one_that_does_not_answer_in_its_time_is_stopped(bench: Bench):
    made = bench.make("import time; time.sleep(600)", startup_timeout_s=0.01)
    bench.clock = made._clock = iter(range(100)).__next__
    with pytest.raises(UpstreamUnreachable, match="in its time"):
        await made.start()
    assert made.pid is None


async def test_it_is_stopped_when_idle_but_not_while_it_works(bench: Bench):
    made = bench.make(idle_stop_s=60.0)
    async with made.working():
        bench.clock.now += 61
        await made.tend()
        assert made.pid is not None
    bench.clock.now += 59
    await made.tend()
    assert made.pid is not None
    bench.clock.now += 1
    await made.tend()
    assert made.pid is None


async def test_its_log_stays_short(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(under_test, "MOST_LOG_BYTES", 10)
    made = bench.make()
    await made.start()
    for text in ("a" * 11, "b" * 11):
        made.log_path.write_text(text)
        await made.tend()
    assert made.log_path.read_text() == ""
    assert made.log_path.with_suffix(".log.1").read_text() == "b" * 11
    assert made.log_path.with_suffix(".log.2").read_text() == "a" * 11
