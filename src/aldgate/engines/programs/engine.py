"""An engine that is a program: a folder and a process for each job."""

from __future__ import annotations

import re
import shutil
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Protocol
from uuid import UUID

from aldgate.core.errors import UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamUnreachable
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.endings import failed, within
from aldgate.engines.mimes import mime_of_name
from aldgate.engines.programs.process import end, environment_for, lines, running
from aldgate.engines.programs.section import ProgramSection
from aldgate.engines.section import Surroundings
from aldgate.engines.seeds import seed_of
from aldgate.making import Run

MOST_SEED = 2**32 - 1
_BAR = re.compile(r"^(?P<what>.*?)\s*\d{1,3}%\|[^|]*\|\s*(?P<step>\d+)/(?P<steps>\d+)")
"""A bar of tqdm."""
_MISSING = (126, 127)
"""What a shell answers where a program cannot be run or found (POSIX, 2.8.2)."""
LAST_LINES = 20


class Program(Protocol):
    """What one kind of program wants and gives."""

    kind: str
    takes_seed: bool

    def check(self, asked: Generation) -> None:
        """See that it can do that.

        Raises:
            InvalidRequest: It cannot.
        """
        ...

    def arguments(self, asked: Generation, folder: Path, seed: int) -> Sequence[str]:
        """Write its input files and say what it is started with."""
        ...

    def made(self, folder: Path) -> Sequence[Path]:
        """What it made."""
        ...


class ProgramEngine:
    """Runs a program per job. Its handle names the job's folder, and the machine where the process is.

    Args:
        name: As configured.
        section: Its table.
        program: What it is.
        surroundings: Where folders are made; what it may see of the environment.
    """

    recovery: Recovery = "kill"
    operations: frozenset[Operation] = frozenset({"music"})

    def __init__(self, name: str, section: ProgramSection, program: Program, surroundings: Surroundings) -> None:
        self.name = name
        self.kind = program.kind
        self._section = section
        self._program = program
        self._folder = surroundings.data / "engines" / name
        self._environment: Mapping[str, str] = environment_for(surroundings.environment, section.env)

    async def state(self) -> EngineState:
        """See that there is a program to start. It is not started."""
        if not self._is_installed():
            raise UpstreamUnreachable(f"The program of the engine `{self.name}` is not there: {self._section.command[0]}.")
        names = self._section.models or [self.kind]
        return EngineState(models=tuple(EngineModel(name=each, operations=self.operations) for each in names))

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Start it and wait until it has ended. See `Engine.generate`."""
        self._program.check(asked)
        seed = seed_of(asked, run.reference, most=MOST_SEED)
        await run.submitting(f"{run.reference}@{socket.gethostname()}")
        folder = self._folder / run.reference
        folder.mkdir(parents=True, mode=0o700)
        try:
            command = [*self._section.command, *self._program.arguments(asked, folder, seed)]
            async with within(self.name, self._section.run_timeout_s):
                await self._run(command, folder, run)
            await self._keep(folder, seed, run)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return Generated(seed=seed if self._program.takes_seed else None)

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """None: its process is ended, and it is begun anew."""
        return None

    async def stop(self, handle: str) -> None:
        """End its process group. See `Engine.stop`."""
        reference, _, host = handle.partition("@")
        if host != socket.gethostname():
            raise UpstreamError(f"The process of the engine `{self.name}` runs on `{host}`; only a worker there can end it.")
        folder = self._folder / str(UUID(reference))
        await end(folder)
        shutil.rmtree(folder, ignore_errors=True)

    async def unload(self, model: str = "") -> None:
        """Nothing to do: its memory is free when its process has ended, which is when its job has."""

    async def aclose(self) -> None:
        """See `Engine.aclose`. It has no connections."""

    def _is_installed(self) -> bool:
        found = shutil.which(self._section.command[0], path=self._environment.get("PATH"))
        return found is not None and Path(self._section.working_dir).is_dir()

    async def _run(self, command: Sequence[str], folder: Path, run: Run) -> None:
        last: deque[str] = deque(maxlen=LAST_LINES)
        try:
            async with running(command, folder, self._section.working_dir, self._environment) as process:
                async with aclosing(lines(process)) as printed:
                    async for line in printed:
                        if (bar := _BAR.match(line)) is None:
                            last.append(line)
                        else:
                            run.progress(Progress(None, int(bar["step"]), int(bar["steps"]), bar["what"].rstrip(":")))
                status = await process.wait()
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise UpstreamUnreachable(f"The engine `{self.name}` cannot be started: {error.strerror}.") from None
        if status in _MISSING:
            raise UpstreamUnreachable(f"The engine `{self.name}` cannot be started: {last[-1] if last else status}.")
        if status < 0:
            raise UpstreamBroken(f"The process of the engine `{self.name}` was ended by signal {-status}.")
        if status:
            raise failed(self.name, last[-1] if last else f"it ended with {status}")

    async def _keep(self, folder: Path, seed: int, run: Run) -> None:
        files = [path for path in self._program.made(folder) if path.stat().st_size]
        if not files:
            raise UpstreamInvalid(f"The engine `{self.name}` made no file.")
        facts = {"seed": seed} if self._program.takes_seed else {}
        for path in files:
            await run.save(path.read_bytes(), mime=mime_of_name(path.name), name=path.name, facts=facts)
