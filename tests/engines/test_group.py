"""Groups end with all that is in them, and nobody else is taken for one."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from aldgate.core.errors import UpstreamError
from aldgate.engines import group as under_test
from aldgate.engines.group import Group, check_host, environment_for

HEADLESS = "import subprocess,sys;subprocess.Popen(['sleep','60']);print('up',flush=True)"
DEAF = "import signal,sys\nfor each in (2, 15): signal.signal(each, signal.SIG_IGN)\nprint('up',flush=True)\nsignal.pause()"


async def started(program: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    return process


async def test_one_that_does_not_heed_is_killed() -> None:
    process = await started(DEAF)
    group = Group.led_by(process.pid)
    assert group.has_leader and group.is_alive
    assert await group.end(0.1)
    assert not group.has_leader and not group.is_alive
    assert await process.wait() == -signal.SIGKILL
    assert not await group.end(0.1)


async def test_one_that_cannot_be_ended_is_told() -> None:
    process = await started(DEAF)
    group = Group.led_by(process.pid)
    with pytest.raises(UpstreamError, match="does not end"):
        await group.end(0.05, (signal.SIGTERM,))
    await group.end(5, (signal.SIGKILL,))
    await process.wait()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="members of groups are seen in /proc")
async def test_those_who_outlive_their_leader_are_ended() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input();" + HEADLESS, stdin=asyncio.subprocess.PIPE, start_new_session=True
    )
    group = Group.led_by(process.pid)
    await process.communicate(b"\n")
    assert not group.has_leader and group.is_alive
    assert await group.end(5)
    assert not group.is_alive


async def test_a_process_that_has_its_number_by_chance_is_left_alone() -> None:
    process = await started(DEAF)
    group = Group.led_by(process.pid)
    other = Group(process.pid, "1")
    assert not other.is_alive
    assert not await other.end(0)
    assert group.is_alive
    await group.end(5, (signal.SIGKILL,))
    await process.wait()


async def test_ps_tells_what_proc_does_not() -> None:
    process = await started(DEAF)
    since = under_test._started_by_ps(process.pid)
    assert since and since == under_test._started_by_ps(process.pid)
    process.kill()
    while under_test._started_by_ps(process.pid):
        await asyncio.sleep(0)
    await process.wait()
    assert under_test._started_by_ps(process.pid) == ""


async def test_what_could_not_be_known_is_not_alive() -> None:
    assert not Group(os.getpid(), "").is_alive
    assert not Group(os.getpid(), "").has_leader


def test_what_runs_elsewhere_is_not_ended_here() -> None:
    with pytest.raises(UpstreamError, match="elsewhere"):
        check_host("mine", "elsewhere")


def test_a_process_sees_no_credential() -> None:
    passed = {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "1", "TORCH_HOME": "/t"}
    gate = {**passed, "OPENAI_API_KEY": "sk-x", "ANTHROPIC_AUTH_TOKEN": "x"}
    assert environment_for(gate, {"HOME": "/x"}) == {**passed, "HOME": "/x"}
