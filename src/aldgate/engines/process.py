"""An engine's own process: started when it is needed, stopped when it is idle, known again by a gate that starts after it.

What is known of its group is kept in a file, so that a gate that was killed finds it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from aldgate.core.errors import UpstreamError, UpstreamUnreachable
from aldgate.devices.processes import with_descendants
from aldgate.engines.group import Group
from aldgate.engines.section import ProcessSection

log = logging.getLogger("aldgate.engines")

PAUSE_S = 0.1
PATIENCE_S = 10.0
"""How long a process may take to end before it is killed."""
LONGEST_REST_S = 60.0
MOST_LOG_BYTES = 10 * 2**20
LOGS_KEPT = 3

Ask = Callable[[], Awaitable[object]]


class EngineProcess:
    """The process of one engine.

    Args:
        name: The engine's.
        section: How to start it.
        folder: Where its log and what is known of it are kept.
        environment: The whole of its environment.
        ask: Returns once it answers. Raises `UpstreamError` while it does not.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        section: ProcessSection,
        folder: Path,
        environment: Mapping[str, str],
        ask: Ask,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._section = section
        self._folder = folder
        self._environment = dict(environment)
        self._ask = ask
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None
        self._known: Group | None = self._read()
        self._starting = asyncio.Lock()
        self._failures = 0
        self._rests_until = 0.0
        self._working = 0
        self._used_at = clock()

    @property
    def log_path(self) -> Path:
        """What it printed."""
        return self._folder / f"{self._name}.log"

    @property
    def pid(self) -> int | None:
        """Its number while it runs."""
        self._reap()
        return self._known.pid if self._known is not None and self._known.has_leader else None

    def pids(self) -> frozenset[int]:
        """The process and those that it started."""
        pid = self.pid
        return frozenset() if pid is None else with_descendants([pid])

    @contextlib.asynccontextmanager
    async def working(self):
        """While it is needed: started if it does not run, and not stopped before the end.

        Raises:
            UpstreamUnreachable: It cannot be started, ended at once, or does not answer in its time.
        """
        self._working += 1
        try:
            await self.start()
            yield
        finally:
            self._working -= 1
            self._used_at = self._clock()

    async def start(self) -> None:
        """See that it runs and answers. After failures it rests, for longer each time.

        Raises:
            UpstreamUnreachable: It cannot be started, ended at once, rests, or does not answer in its time.
        """
        async with self._starting:
            if self.pid is not None and self._failures == 0:
                return
            rest_s = self._rests_until - self._clock()
            if rest_s > 0:
                message = f"The process of the engine `{self._name}` has failed {self._failures} times; see {self.log_path.name}."
                raise UpstreamUnreachable(message, retry_after_s=max(1, round(rest_s)))
            try:
                if self.pid is None:
                    self._known = self._read()  # another gate on this machine may have started it
                if self.pid is None:
                    await self.stop()  # something that it started may have outlived it
                    self._spawn()
                await self._until_it_answers()
            except UpstreamUnreachable:
                self._failures += 1
                self._rests_until = self._clock() + min(LONGEST_REST_S, 2.0 ** (self._failures - 1))
                await self.stop()
                raise
            self._failures = 0

    async def stop(self) -> None:
        """End its group: asked first, then killed. Returns when all of it is gone.

        Raises:
            UpstreamError: It does not end.
        """
        if self._known is not None and await self._known.end(PATIENCE_S, (signal.SIGTERM, signal.SIGKILL)):
            self._known = None
            self._record.unlink(missing_ok=True)
            log.info("the process of the engine `%s` was stopped", self._name)
        self._reap()

    async def tend(self) -> None:
        """Stop it if it was idle for its time, and keep its log short. To be called every few seconds."""
        idle_s = self._section.idle_stop_s
        if idle_s is not None and not self._working and self.pid is not None and self._clock() - self._used_at >= idle_s:
            await self.stop()
        self._shorten_log()

    @property
    def _record(self) -> Path:
        return self._folder / f"{self._name}.process"

    def _read(self) -> Group | None:
        try:
            return msgspec.json.decode(self._record.read_bytes(), type=Group)
        except (OSError, msgspec.DecodeError):
            return None

    def _spawn(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with self.log_path.open("ab") as output:  # appended to, so that it can be shortened while it is written
                self._child = subprocess.Popen(
                    self._section.command,
                    cwd=self._section.working_dir or None,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UpstreamUnreachable(f"The process of the engine `{self._name}` cannot be started: {reason}.") from error
        self._known = Group.led_by(self._child.pid)
        self._record.write_bytes(msgspec.json.encode(self._known))
        log.info("the process of the engine `%s` was started as %d", self._name, self._child.pid)

    async def _until_it_answers(self) -> None:
        until = self._clock() + self._section.startup_timeout_s
        while True:
            with contextlib.suppress(UpstreamError):
                await self._ask()
                return
            if self.pid is None:
                raise UpstreamUnreachable(f"The process of the engine `{self._name}` ended; see {self.log_path.name}.")
            if self._clock() >= until:
                raise UpstreamUnreachable(f"The engine `{self._name}` did not answer in its time to start.")
            await asyncio.sleep(PAUSE_S)

    def _reap(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            self._child = None  # only a child that was waited for is gone

    def _shorten_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log_path.stat().st_size <= MOST_LOG_BYTES:
                return
            for number in range(LOGS_KEPT - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    self.log_path.with_suffix(f".log.{number}").replace(self.log_path.with_suffix(f".log.{number + 1}"))
            self.log_path.with_suffix(".log.1").write_bytes(self.log_path.read_bytes())
            os.truncate(self.log_path, 0)
