"""Several processes that serve on the same sockets, and their parent, which keeps them running and answers nobody itself.

The parent binds the sockets, so that connections wait in them while a worker is replaced. It has no threads and no event loop:
it forks, and forking with either is unsafe.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

log = logging.getLogger("aldgate.workers")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 30.0
"""Between the death of a worker and the next; doubled for each that dies young."""
YOUNG_S = 10.0
MARGIN_S = 10.0
"""What a worker gets beyond the drain before it is killed."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Seat(NamedTuple):
    """What a worker is told.

    Attributes:
        number: Its own, from 0; a successor has the same.
        places: How many workers there are.
        directory: Where they find each other.
        is_first_of_all: It starts before the others, and says to people what there is.
        is_successor: Another had its number, and the configuration may have changed since.
        parent: Can be read once the parent is gone.
        ready: To be called when it answers.
    """

    number: int
    places: int
    directory: Path
    is_first_of_all: bool
    is_successor: bool
    parent: int
    ready: Callable[[], None]


class _Worker(msgspec.Struct):
    number: int
    pid: int = 0
    ready: int = -1
    """The end of a pipe on which it says that it is."""
    is_ready: bool = False
    started_at: float = 0.0
    start_at: float = 0.0
    young_deaths: int = 0
    lives: int = 0


class Workers:
    """The parent.

    Args:
        count: How many to keep running.
        work: What each does, in a process of its own; ends when that is to end.
        close: Closes the parent's own hold of the sockets, so that who connects while all stop is refused.
        drain_s: How long workers may take to stop.
    """

    def __init__(self, count: int, work: Callable[[Seat], None], close: Callable[[], None], drain_s: float) -> None:
        self._work = work
        self._close = close
        self._drain_s = drain_s
        self._workers = [_Worker(number) for number in range(count)]
        self._stopped_at: float | None = None
        self._code = 0
        self._directory = Path(tempfile.mkdtemp(prefix="aldgate-"))
        self._life = os.pipe()
        self._wake = os.pipe()
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Keep the workers running until told to stop. Returns the exit code."""
        for end in self._wake:
            os.set_blocking(end, False)
        self._selector.register(self._wake[0], selectors.EVENT_READ)
        signal.set_wakeup_fd(self._wake[1])
        for number in _SIGNALS:
            signal.signal(number, _noted)
        gc.collect()
        gc.freeze()  # what was loaded so far stays one copy for all
        try:
            while self._is_wanted():
                self._start_due()
                self._wait()
                self._reap()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)
        return self._code

    def _is_wanted(self) -> bool:
        if self._stopped_at is None:
            return True
        alive = [worker for worker in self._workers if worker.pid]
        if alive and time.monotonic() > self._stopped_at + self._drain_s + MARGIN_S:
            log.error("workers killed that did not stop", extra={"count": len(alive)})
            self._send(signal.SIGKILL)
            self._stopped_at = time.monotonic()
        return bool(alive)

    def _start_due(self) -> None:
        """Start who is not running and due. Until the first worker of all is ready, nobody else."""
        if self._stopped_at is not None:
            return
        for worker in self._workers:
            if not worker.pid and time.monotonic() >= worker.start_at:
                self._start(worker)
            if worker.number == 0 and worker.lives == 1 and not worker.is_ready:
                return

    def _start(self, worker: _Worker) -> None:
        ours, theirs = os.pipe()
        is_first, is_successor = worker.number == 0 and not worker.lives, worker.lives > 0
        worker.lives += 1
        worker.started_at = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        worker.pid = os.fork()
        if not worker.pid:
            self._become(worker.number, theirs, is_first_of_all=is_first, is_successor=is_successor)
        os.close(theirs)
        worker.ready, worker.is_ready = ours, False
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _become(self, number: int, ready: int, *, is_first_of_all: bool, is_successor: bool) -> None:
        """Be a worker, and end with it."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent passes it on
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it listens: it reads the configuration now
            for other in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(other, signal.SIG_DFL)
            self._selector.close()
            for end in (*self._wake, self._life[1]):
                os.close(end)

            def is_ready() -> None:
                with suppress(BrokenPipeError):
                    os.write(ready, b"1")

            count = len(self._workers)
            self._work(Seat(number, count, self._directory, is_first_of_all, is_successor, self._life[0], is_ready))
            code = 0
        except SystemExit as end:
            code = _said(end)
        except Exception:  # a border: a copy of the parent must not run on as the parent
            traceback.print_exc()
        finally:
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _wait(self) -> None:
        """Until a signal comes, a worker is ready, or something is due."""
        now = time.monotonic()
        due = [worker.start_at - now for worker in self._workers if not worker.pid]
        if self._stopped_at is not None:
            due = [self._stopped_at + self._drain_s + MARGIN_S - now]
        timeout = max(0.01, min(due)) if due else None
        for key, _ in self._selector.select(timeout):
            if isinstance(key.data, _Worker):
                worker = key.data
                worker.is_ready = os.read(worker.ready, 1) == b"1"
                self._selector.unregister(worker.ready)
                os.close(worker.ready)
                worker.ready = -1
            else:
                for number in os.read(self._wake[0], 4096):
                    self._signalled(number)

    def _signalled(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            if self._stopped_at is None:
                self._stopped_at = time.monotonic()
                self._close()
            self._send(signal.SIGTERM)
        elif number == signal.SIGHUP:
            self._send(signal.SIGHUP)

    def _send(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.pid:
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, number)

    def _reap(self) -> None:
        for worker in self._workers:
            if worker.pid:
                pid, status = os.waitpid(worker.pid, os.WNOHANG)
                if pid:
                    self._died(worker, os.waitstatus_to_exitcode(status))

    def _died(self, worker: _Worker, code: int) -> None:
        pid, worker.pid = worker.pid, 0
        was_ready = worker.is_ready or (worker.ready >= 0 and os.read(worker.ready, 1) == b"1")
        if worker.ready >= 0:
            self._selector.unregister(worker.ready)
            os.close(worker.ready)
        worker.ready, worker.is_ready = -1, was_ready
        if self._stopped_at is not None:
            self._code = self._code or (code if code > 0 else 0)
            return
        if worker.number == 0 and worker.lives == 1 and not was_ready:  # what is wrong with one is wrong with all
            self._stopped_at, self._code = time.monotonic(), max(code, 1)
            self._close()
            return
        now = time.monotonic()
        worker.young_deaths = worker.young_deaths + 1 if now - worker.started_at < YOUNG_S else 0
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(worker.young_deaths, 16))
        worker.start_at = now + pause
        log.error("a worker died", extra={"worker": worker.number, "pid": pid, "code": code, "next_in_s": pause})


def _noted(number: int, frame: object) -> None:
    """What is to be done about a signal is done where it is read from the pipe."""


def _said(end: SystemExit) -> int:
    if isinstance(end.code, str):
        sys.stderr.write(f"{end.code}\n")
        return 1
    return end.code or 0
