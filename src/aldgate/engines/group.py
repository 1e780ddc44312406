"""A process of ours and all that it started: a group that it leads, known again by its number and start time, ended whole.

Where there is no `/proc`, `ps` says when a process started, and of a group only its leader is seen.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from aldgate.core.errors import UpstreamError
from aldgate.devices.processes import members_of, started_at

LOOK_S = 0.02
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_PASSED_ON = frozenset({"HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV"})
_PASSED_PREFIXES = ("CUDA_", "HF_", "HIP_", "HSA_", "NVIDIA_", "PYTORCH_", "ROCR_", "TORCH_", "XDG_")


def environment_for(environment: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """What a process sees: of the gate's environment only what programs and GPUs need, for the rest of it is full of keys."""
    passed = {name: value for name, value in environment.items() if name in _PASSED_ON or name.startswith(_PASSED_PREFIXES)}
    return {**passed, **added}


class Group(msgspec.Struct, frozen=True):
    """A group: the number of its leader means it only together with when that started, for numbers are used again.

    Attributes:
        pid: Its leader's number, and its own.
        started: When the leader did, in whatever form this machine says it; empty: it had ended before it could be asked.
    """

    pid: int
    started: str

    @classmethod
    def led_by(cls, pid: int) -> Group:
        """The group of a process that was started to lead one."""
        return cls(pid, _started(pid))

    @property
    def has_leader(self) -> bool:
        """Whether its leader runs. One that has ended and is not yet waited for does not."""
        return bool(self.started) and _started(self.pid) == self.started

    @property
    def is_alive(self) -> bool:
        """Whether any of it runs. While one does, no other process gets its number."""
        started = _started(self.pid)
        if started:
            return started == self.started
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return bool(members_of(self.pid))

    async def end(self, patience_s: float, signals: Sequence[signal.Signals] = SIGNALS) -> bool:
        """End all of it: interrupt, then terminate, then kill; return when it has ended.

        Args:
            patience_s: How long each signal is given.
            signals: Others than those.

        Returns:
            Whether there was anything to end.

        Raises:
            UpstreamError: It does not end.
        """
        if not await self._is_alive_still():
            return False
        for each in signals:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, each)
            if await self._ends_within(patience_s):
                return True
        raise UpstreamError(f"The process {self.pid} does not end.")

    async def _ends_within(self, patience_s: float) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while await self._is_alive_still():  # nothing tells of the end of a process that is not our child
            if loop.time() > until:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    async def _is_alive_still(self) -> bool:
        return await asyncio.to_thread(lambda: self.is_alive)  # to look at every process takes a while where there are many


def check_host(name: str, host: str) -> None:
    """See that the work of an engine runs on this machine.

    Raises:
        UpstreamError: It runs on another.
    """
    if host != socket.gethostname():
        raise UpstreamError(f"The work of the engine `{name}` runs on `{host}`, and can be ended only there.")


def _started(pid: int) -> str:
    """When the process of that number started; empty: none runs."""
    if Path("/proc/self/stat").exists():
        at = started_at(pid)
        return "" if at is None else str(at)
    return _started_by_ps(pid)


def _started_by_ps(pid: int) -> str:
    """The same, as `ps` says it (POSIX has no `lstart`; Linux, macOS and the BSDs do)."""
    command = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
    environment = {"LC_ALL": "C", "TZ": "UTC0"}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    state, _, since = told.strip().partition(" ")
    return "" if state.startswith("Z") else " ".join(since.split())
