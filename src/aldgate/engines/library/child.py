"""A process around a library, from this side: started when there is work, asked, stopped, ended."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from aldgate.core.errors import UpstreamBroken, UpstreamInvalid, UpstreamUnreachable
from aldgate.engines.group import Group

PROGRAM = Path(__file__).with_name("program.py")
MOST_LINE_BYTES = 1024 * 1024
MOST_FILE_BYTES = 1024 * 1024 * 1024
KILL_PATIENCE_S = 5.0
ENDS = frozenset({"done", "stopped", "failed"})


class Said(msgspec.Struct):
    """A line of the program's; see `program.py`. The fields are those of all events."""

    event: Literal["progress", "file", "done", "stopped", "failed"]
    size: int = 0
    step: int | None = None
    steps: int | None = None
    message: str = ""
    text: str = ""
    mime: str = ""
    name: str = ""
    result: dict[str, Any] = {}
    kind: str = ""
    reason: str = ""
    data: bytes = b""


_said = msgspec.json.Decoder(Said)


class Child:
    """One process at a time, which does one piece of work at a time.

    Args:
        name: The engine's, for messages.
        python: The interpreter that has the library.
        work: The file that says what to do with it.
        settings: What that file is told.
        path: Folders to import from, before all others.
        environment: The process's whole environment.
        working_dir: Where it runs.
        log: What it prints; begun anew with each process.
    """

    def __init__(
        self,
        name: str,
        python: str,
        work: Path,
        *,
        settings: Mapping[str, Any],
        path: Sequence[str],
        environment: Mapping[str, str],
        working_dir: Path,
        log: Path,
    ) -> None:
        self._name = name
        self._command = (python, "-I", "-u", str(PROGRAM), str(work))
        self._begin = {"settings": dict(settings), "path": list(path)}
        self._environment = dict(environment)
        self._working_dir = working_dir
        self._log = log
        self._process: Process | None = None
        self._owed = 0
        self.group: Group | None = None
        self.is_busy = False

    @property
    def is_running(self) -> bool:
        """It holds whatever memory it took."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> Group:
        """See that it runs.

        Raises:
            UpstreamUnreachable: It cannot be started.
        """
        if self.is_running and self.group is not None:
            return self.group
        await self.end()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._working_dir.mkdir(parents=True, exist_ok=True)
        try:
            with self._log.open("wb") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, stdin=PIPE, stdout=PIPE, stderr=log, env=self._environment, cwd=self._working_dir,
                    start_new_session=True, limit=MOST_LINE_BYTES,
                )  # fmt: skip
        except OSError as error:
            raise UpstreamUnreachable(f"The process of the engine `{self._name}` cannot be started: {error}") from None
        self.group = Group.led_by(self._process.pid)
        await self._send(self._begin)
        return self.group

    async def work(self, asked: Mapping[str, Any], inputs: Sequence[bytes] = ()) -> AsyncGenerator[Said]:
        """Have it work, and hear of it until it is done, stopped or has failed.

        Raises:
            UpstreamBroken: The process ended.
            UpstreamInvalid: It says what is no line of its.
        """
        self.is_busy = True
        await self._send({"asked": dict(asked), "inputs": [len(data) for data in inputs]}, *inputs)
        while True:
            said = await self._next()
            if said.event in ENDS:
                self.is_busy = False
            yield said
            if said.event in ENDS:
                return

    async def stop(self, patience_s: float) -> None:
        """Have it leave what it does; a process that does not, within so many seconds, is ended."""
        if not self.is_busy:
            return
        try:
            async with asyncio.timeout(patience_s):
                await self._send({"stop": True})
                while (await self._next()).event not in ENDS:
                    pass
            self.is_busy = False
        except (TimeoutError, UpstreamBroken, UpstreamInvalid):
            await self.end()

    async def end(self) -> None:
        """End the process, and return when it has ended."""
        process, group = self._process, self.group
        self._process, self.group, self._owed, self.is_busy = None, None, 0, False
        if process is None or group is None:
            return
        await group.end(KILL_PATIENCE_S, (signal.SIGKILL,))
        await process.communicate()

    async def _send(self, message: Mapping[str, Any], *more: bytes) -> None:
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(b"".join((msgspec.json.encode(message), b"\n", *more)))
            await process.stdin.drain()
        except (ConnectionError, RuntimeError):
            raise self._ended() from None

    async def _next(self) -> Said:
        """The next thing it says. What was owed to somebody who left is left out first."""
        process = self._running()
        assert process.stdout is not None
        try:
            if self._owed:
                await process.stdout.readexactly(self._owed)
                self._owed = 0
            line = await process.stdout.readline()
            if not line:
                raise self._ended()
            said = _said.decode(line)
            if not 0 <= said.size <= MOST_FILE_BYTES:
                raise UpstreamInvalid(f"The engine `{self._name}` gave more than {MOST_FILE_BYTES} bytes.")
            self._owed = said.size
            said.data = await process.stdout.readexactly(said.size)
            self._owed = 0
        except (asyncio.IncompleteReadError, ConnectionError):
            raise self._ended() from None
        except (msgspec.DecodeError, ValueError) as error:
            raise UpstreamInvalid(f"The process of the engine `{self._name}` says what it should not: {error}") from None
        return said

    def _running(self) -> Process:
        if self._process is None:
            raise self._ended()
        return self._process

    def _ended(self) -> UpstreamBroken:
        return UpstreamBroken(f"The process of the engine `{self._name}` has ended; its log, `{self._log.name}`, may say why.")
