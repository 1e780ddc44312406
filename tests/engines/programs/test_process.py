"""Programs end with all they started, whoever ends them, and nobody else is taken for one."""

import asyncio
import os
import socket
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from aldgate.core.errors import UpstreamBroken, UpstreamError, UpstreamUnreachable
from aldgate.core.generation import Generation
from aldgate.engines.programs.diffrhythm import build
from aldgate.engines.programs.process import end, environment_for, lines, running
from aldgate.engines.section import Surroundings
from aldgate.testing.engines import FakePrograms
from tests.engines.runs import RecordedRun

SONG = Generation(operation="music", prompt="folk")
FAMILY = "import subprocess,sys,time;subprocess.Popen(['sleep','60']);print('up',flush=True);time.sleep(60)"


def family_of(pid: int) -> list[int]:
    """The processes of a group that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group, *_ = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(group) == pid and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc")


@linux
async def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    async with running([sys.executable, "-c", FAMILY], tmp_path, "", os.environ) as process:
        async with aclosing(lines(process)) as printed:
            assert await anext(printed) == "up"
        assert len(family_of(process.pid)) == 2
    assert family_of(process.pid) == []


@linux
async def test_another_worker_ends_it(tmp_path: Path) -> None:
    async with running([sys.executable, "-c", FAMILY], tmp_path, "", os.environ) as process:
        async with aclosing(lines(process)) as printed:
            await anext(printed)
        await end(tmp_path)
        assert family_of(process.pid) == []
        await end(tmp_path)


async def test_a_process_that_has_its_number_by_chance_is_left_alone(tmp_path: Path) -> None:
    async with running(["sleep", "60"], tmp_path / "", "", os.environ) as process:
        told = (tmp_path / "process").read_text() if (tmp_path / "process").exists() else ""
        while not told:
            await asyncio.sleep(0.01)
            told = (tmp_path / "process").read_text() if (tmp_path / "process").exists() else ""
        head, _, fields = told.rpartition(")")
        early = fields.split()
        early[19] = "1"
        (tmp_path / "process").write_text(f"{head}) {' '.join(early)}\n")
        await end(tmp_path)
        assert process.returncode is None
        os.kill(process.pid, 0)


async def test_the_job_of_a_worker_that_is_gone_is_ended(tmp_path: Path) -> None:
    async with FakePrograms(tmp_path) as fake:
        ours, theirs = (engine(fake, tmp_path) for _ in range(2))
        fake.hold()
        run = RecordedRun()
        work = asyncio.create_task(theirs.generate(SONG, run))
        await fake.until_working()
        await ours.stop(run.handles[0])
        assert len(fake.stopped) == 1
        with pytest.raises(UpstreamError):
            await work
        await ours.stop(run.handles[0])


async def test_what_runs_on_another_machine_is_not_said_to_have_ended(tmp_path: Path) -> None:
    async with FakePrograms(tmp_path) as fake:
        with pytest.raises(UpstreamError, match="elsewhere"):
            await engine(fake, tmp_path).stop("00000000-0000-0000-0000-000000000000@elsewhere")


async def test_a_handle_leads_nowhere_else(tmp_path: Path) -> None:
    async with FakePrograms(tmp_path) as fake:
        with pytest.raises(ValueError, match="UUID"):
            await engine(fake, tmp_path).stop(f"../../x@{socket.gethostname()}")


@pytest.mark.parametrize("table", [{"command": ["/no/such/program"]}, {"working_dir": "/no/such/folder"}])
async def test_a_program_that_is_not_there(tmp_path: Path, table: dict[str, Any]) -> None:
    async with FakePrograms(tmp_path) as fake:
        broken = engine(fake, tmp_path, **table)
        for ask in (broken.state, lambda: broken.generate(SONG, RecordedRun())):
            with pytest.raises(UpstreamUnreachable, match="`mine`"):
                await ask()


async def test_a_job_leaves_no_folder(tmp_path: Path) -> None:
    async with FakePrograms(tmp_path) as fake:
        mine = engine(fake, tmp_path)
        await mine.generate(SONG, RecordedRun())
        fake.fault = "dies"
        with pytest.raises(UpstreamBroken, match="signal 9"):
            await mine.generate(SONG, RecordedRun())
        assert list((tmp_path / "engines" / "mine").iterdir()) == []


async def test_bars_are_progress(tmp_path: Path) -> None:
    async with FakePrograms(tmp_path) as fake:
        run = RecordedRun()
        await engine(fake, tmp_path).generate(SONG, run)
        assert [(told.message, told.step, told.steps) for told in run.told] == [
            ("Stage1 inference", 1, 2),
            ("Stage1 inference", 2, 2),
        ]


def test_a_program_sees_no_credential() -> None:
    theirs = environment_for({"PATH": "/bin", "OPENAI_API_KEY": "sk-x", "CUDA_VISIBLE_DEVICES": "1"}, {"HOME": "/x"})
    assert theirs == {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "1", "HOME": "/x"}


def engine(fake: FakePrograms, data: Path, **table: Any) -> Any:
    return build("mine", {**fake.table("diffrhythm"), **table}, Surroundings(data, {}))
