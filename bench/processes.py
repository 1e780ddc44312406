"""Processes under measurement: starting and pinning them, and reading what they used from /proc."""

import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_TIMEOUT_S = 30.0


class NotAvailable(Exception):
    """A contestant cannot take part; says why."""


class Process:
    """A running server with all its children."""

    def __init__(self, popen: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self.popen = popen
        self._log = log

    def last_words(self) -> str:
        """The end of what it printed."""
        self._log.seek(0)
        return " | ".join(self._log.read().decode(errors="replace").strip().splitlines()[-3:])

    def pids(self) -> list[int]:
        """The process and its descendants."""
        found, new = [], [self.popen.pid]
        while new:
            found += new
            new = [child for pid in new for child in _children(pid)]
        return found

    def cpu_s(self) -> float:
        """User and system time of all of them so far, in seconds (steps of 10 ms)."""
        return sum(_cpu_ticks(pid) for pid in self.pids()) / TICKS_PER_S

    def rss_kb(self) -> int:
        """Resident memory of all of them."""
        return sum(_rss_kb(pid) for pid in self.pids())


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _rss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cores() -> tuple[int, int]:
    """The core of the gateway under test, and the core of everything else (the same one when there is only one)."""
    usable = sorted(os.sched_getaffinity(0) if not _ALL else _ALL)
    return usable[0], usable[-1] if len(usable) == 1 else usable[1]


_ALL: set[int] = set()


def pin_self() -> None:
    """Move this process, and what it starts unpinned, to the second core."""
    _ALL.update(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores()[1]})


@contextmanager
def running(command: Sequence[str], *, core: int, env: dict[str, str] | None = None, cwd: str | None = None) -> Iterator[Process]:
    """Run a server pinned to `core`; what it prints to stderr is shown only when it fails to start."""
    with tempfile.TemporaryFile() as log:
        popen = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        try:
            yield Process(popen, log)
        finally:
            popen.terminate()
            try:
                popen.wait(10)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()


def wait_for(process: Process, url: str, *, status: int = 200) -> float:
    """Wait until `url` answers with `status`; returns seconds waited.

    Raises:
        NotAvailable: The process ended, or did not answer in time.
    """
    started = time.perf_counter()
    while time.perf_counter() - started < START_TIMEOUT_S:
        if process.popen.poll() is not None:
            raise NotAvailable(f"ended with status {process.popen.returncode}: {process.last_words()}")
        try:
            with urllib.request.urlopen(url, timeout=1) as reply:
                if reply.status == status:
                    return time.perf_counter() - started
        except urllib.error.HTTPError as error:
            if error.code == status:
                return time.perf_counter() - started
            time.sleep(0.005)
        except (urllib.error.URLError, OSError):
            time.sleep(0.005)
    raise NotAvailable(f"{url} did not answer within {START_TIMEOUT_S:g} s: {process.last_words()}")
