"""Processes of ours that do an engine's work: begun only when their handle is kept, found and ended by it later."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from aldgate.core.errors import UpstreamError, UpstreamUnreachable

_WAITING = 'read -r go && exec "$@"'
"""Becomes the program when it is told to, under the same process id; ends when whoever started it is gone before that."""
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV")
_PASSED_PREFIXES = ("CUDA_", "HF_", "HIP_", "HSA_", "NVIDIA_", "PYTORCH_", "ROCR_", "XDG_")
LOOK_S = 0.02


def environment_for(environment: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """What a child sees: of the gate's environment only what programs and GPUs need, for the rest of it is full of keys."""
    passed = {name: value for name, value in environment.items() if name in _PASSED_ON or name.startswith(_PASSED_PREFIXES)}
    return {**passed, **added}


async def spawn(
    name: str, command: Sequence[str], *, folder: str, environment: Mapping[str, str], stderr: int | None
) -> asyncio.subprocess.Process:
    """Start a process that waits for one line before it becomes `command`; it leads a group of its own.

    Raises:
        UpstreamUnreachable: It cannot be started.
    """
    try:
        return await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            _WAITING,
            "sh",
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            cwd=folder or None,
            env=dict(environment),
            start_new_session=True,
            limit=1024 * 1024,
        )
    except OSError as error:
        raise UpstreamUnreachable(f"The engine `{name}` cannot be started: {error.strerror}.") from error


def identity_of(pid: int) -> str:
    """What a process is known by for good: host, process id, and when it began, for ids are used again."""
    return f"{socket.gethostname()}/{pid}/{_began(pid) or '-'}"


async def end(name: str, identity: str, *, patience_s: float) -> bool:
    """End a process and its group: interrupt, then terminate, then kill, with a while between; return when it has ended.

    Args:
        name: The engine's.
        identity: Of `identity_of`.
        patience_s: How long each signal is given.

    Returns:
        Whether there was anything to end.

    Raises:
        UpstreamError: It runs on another host, or does not end.
    """
    host, pid, _ = identity.split("/", 2)
    if host != socket.gethostname():
        raise UpstreamError(f"The work of the engine `{name}` runs on `{host}`, and can be ended only there.")
    if not is_alive(identity):
        return False
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        _signal(int(pid), number)
        if await _ended(identity, patience_s):
            return True
    raise UpstreamError(f"The process {pid} of the engine `{name}` does not end.")


def is_alive(identity: str) -> bool:
    """Whether the very process is there; one that ended and is not yet taken note of is not."""
    _, pid, began = identity.split("/", 2)
    return _began(int(pid)) == began


def interrupt(pid: int) -> None:
    """Ask a process and its group to stop."""
    _signal(pid, signal.SIGINT)


async def _ended(identity: str, patience_s: float) -> bool:
    loop = asyncio.get_running_loop()
    until = loop.time() + patience_s
    while is_alive(identity):
        if loop.time() > until:
            return False
        await asyncio.sleep(LOOK_S)
    return True


def _signal(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _began(pid: int) -> str | None:
    """When a process began, in ticks since the machine did; None: it is not there.

    Where there is no `/proc`, its id has to do.
    """
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except OSError:
            return None
        return "-"
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]
