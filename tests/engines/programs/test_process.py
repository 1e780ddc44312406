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
from aldgate.devices.processes import members_of
from aldgate.engines.programs.diffrhythm import build
from aldgate.engines.programs.process import group_in, lines, running
from aldgate.engines.section import Surroundings
from aldgate.testing.engines import FakePrograms
from tests.engines.runs import RecordedRun

SONG = Generation(operation="music", prompt="folk")
FAMILY = "import subprocess,sys,time;subprocess.Popen(['sleep','60']);print('up',flush=True);time.sleep(60)"


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc")


@linux
async def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    async with running([sys.executable, "-c", FAMILY], tmp_path, "", os.environ, patience_s=3) as process:
        async with aclosing(lines(process)) as printed:
            assert await anext(printed) == "up"
        assert len(members_of(process.pid)) == 2
    assert members_of(process.pid) == frozenset()


@linux
async def test_another_worker_ends_it(tmp_path: Path) -> None:
    async with running([sys.executable, "-c", FAMILY], tmp_path, "", os.environ, patience_s=3) as process:
        async with aclosing(lines(process)) as printed:
            await anext(printed)
        group = group_in(tmp_path)
        assert group is not None
        assert await group.end(3)
        assert members_of(process.pid) == frozenset()
        assert not await group.end(3)


@pytest.mark.parametrize("written", [None, b"", b'{"pid": 1'])
def test_what_was_not_written_down_never_began(written: bytes | None, tmp_path: Path) -> None:
    if written is not None:
        (tmp_path / "process").write_bytes(written)
    assert group_in(tmp_path) is None


async def test_a_program_does_not_begin_where_it_cannot_be_written_down(tmp_path: Path) -> None:
    (tmp_path / "process").mkdir()
    with pytest.raises(IsADirectoryError):
        async with running(["touch", "begun"], tmp_path, "", os.environ, patience_s=3):
            pass
    assert not (tmp_path / "begun").exists()


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


def engine(fake: FakePrograms, data: Path, **table: Any) -> Any:
    return build("mine", {**fake.table("diffrhythm"), **table}, Surroundings(data, {}))
