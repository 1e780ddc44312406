"""A program that works for one job: a process group of its own, known again by number and start time."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from aldgate.core.errors import UpstreamError

PATIENCE_S = 3.0
"""For a program that was asked to end, before it is killed."""
LOOK_S = 0.02
_RECORD = "process"
_SCRIPT = (
    'umask 077; { echo $$; cat /proc/$$/stat 2>/dev/null || ps -o lstart= -p $$; } >"$0.new" && mv "$0.new" "$0" && exec "$@"'
)
"""Writes down who it is before it becomes the program: whenever the gate is killed, there is a record of what runs."""
_ENDS = re.compile(rb"[\r\n]")
_KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
_KEPT_PREFIXES = ("CUDA_", "NVIDIA_", "HF_", "TORCH_", "XDG_")


class Known(msgspec.Struct, frozen=True):
    """A process: its number means it only together with when it started."""

    pid: int
    started: str


def environment_for(environment: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """What a program sees of the gate's environment: where things are, and no credential."""
    kept = {name: value for name, value in environment.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    return {**kept, **added}


@asynccontextmanager
async def running(
    command: Sequence[str], folder: Path, working_dir: str, environment: Mapping[str, str]
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a program while the body runs; its whole group has ended when the body has.

    Raises:
        UpstreamError: It does not end.
    """
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        _SCRIPT,
        str(folder / _RECORD),
        *command,
        cwd=working_dir or folder,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            _signal(process.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await process.wait()
        _signal(process.pid, signal.SIGKILL)
        await process.wait()
        if not await _ends_within(PATIENCE_S, lambda: not _has_living_group(process.pid)):
            raise UpstreamError(f"The process {process.pid} does not end.")


async def lines(process: asyncio.subprocess.Process) -> AsyncGenerator[str]:
    """What it prints, line by line; progress bars end theirs with a carriage return."""
    assert process.stdout is not None
    rest = b""
    while piece := await process.stdout.read(4096):
        *whole, rest = _ENDS.split(rest + piece)
        for line in (*whole, *([rest] if len(rest) > 65536 else [])):
            if text := line.decode(errors="replace").strip():
                yield text
        rest = b"" if len(rest) > 65536 else rest
    if text := rest.decode(errors="replace").strip():
        yield text


async def end(folder: Path) -> None:
    """End the program whose folder this is, whoever started it. One that has ended, or never began, has ended.

    Raises:
        UpstreamError: It does not end.
    """
    known = _known(folder)
    if known is None:
        return
    for kind, patience_s in ((signal.SIGTERM, PATIENCE_S), (signal.SIGKILL, PATIENCE_S)):
        if not _is_there(known):
            return
        _signal(known.pid, kind)
        if await _ends_within(patience_s, lambda: not _is_there(known)):
            return
    raise UpstreamError(f"The process {known.pid} does not end.")


async def _ends_within(patience_s: float, has_ended: Callable[[], bool]) -> bool:
    for _ in range(round(patience_s / LOOK_S)):
        if has_ended():
            return True
        await asyncio.sleep(LOOK_S)
    return has_ended()


def _known(folder: Path) -> Known | None:
    try:
        pid, _, told = (folder / _RECORD).read_text().partition("\n")
    except FileNotFoundError:
        return None
    return Known(int(pid), _started(told))


def _started(told: str) -> str:
    """When a process started, out of `/proc/PID/stat` (its 22nd field, in ticks since boot) or as `ps` says it."""
    return told.rpartition(")")[2].split()[19] if ")" in told else told.strip()


def _is_there(known: Known) -> bool:
    """Whether the process or one of its group is left. While one is, no other process gets its number."""
    started = _started_now(known.pid)
    if started is not None:
        return started == known.started
    try:
        os.killpg(known.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return Path("/proc/self/stat").exists() and _has_living_group(known.pid)


def _has_living_group(group: int) -> bool:
    """Whether a process of the group runs: what has ended and waits for its parent to see that does not count."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group, *_ = file.read_text().rpartition(")")[2].split()
            if int(its_group) == group and state not in "ZX":
                return True
    return False


def _started_now(pid: int) -> str | None:
    """When the process of that number started; None: there is none that runs."""
    if Path("/proc/self/stat").exists():
        try:
            told = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        return None if told.rpartition(")")[2].split()[0] in "ZX" else _started(told)
    told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return told.strip() or None


def _signal(group: int, kind: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, kind)
