"""Which process it was: its number, when it began, and on which start of which machine. A number alone is used again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from pathlib import Path

from aldgate.core.errors import UpstreamError, UpstreamTimeout

PROC = Path("/proc")
_START = 19
"""The place of the start time behind the name in `/proc/PID/stat` (https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html)."""
_LOOK_S = 0.02


def identify(pid: int) -> str:
    """Names a process that runs, in a way that is never used again.

    Raises:
        ProcessLookupError: It does not run.
    """
    started = _started(pid)
    if started is None:
        raise ProcessLookupError(pid)
    return "/".join((socket.gethostname(), _boot(), str(pid), started))


def is_alive(identity: str) -> bool:
    """Whether that very process runs on this machine."""
    parts = identity.split("/")
    if len(parts) != 4 or not parts[2].isdigit() or parts[:2] != [socket.gethostname(), _boot()]:
        return False
    return _started(int(parts[2])) == parts[3]


async def kill(identity: str, *, patience_s: float = 10.0) -> None:
    """End that very process, and return when it has ended. One that has, or that was before this machine last started, is none.

    Raises:
        UpstreamError: It runs on another machine.
        UpstreamTimeout: It does not end.
    """
    host, _, rest = identity.partition("/")
    if rest and host != socket.gethostname():
        raise UpstreamError(f"The process runs on another machine, `{host[:100]}`.")
    if not is_alive(identity):
        return
    pid = int(identity.split("/")[2])
    try:
        # Its children are in its group, of which it is the first.
        os.killpg(pid, signal.SIGKILL) if os.getpgid(pid) == pid else os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(patience_s):
            while is_alive(identity):  # noqa: ASYNC110 - nobody tells when it is not a child of ours
                await asyncio.sleep(_LOOK_S)
    except ProcessLookupError:
        return
    except TimeoutError:
        raise UpstreamTimeout(f"The process {pid} does not end.") from None


def _boot() -> str:
    """Which start of the machine, and which view of its processes; both empty where nobody tells."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}.{(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When it began; None: it does not run."""
    if not (PROC / "self").exists():
        told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return told.stdout.strip().replace("/", "-") or None
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[_START]
