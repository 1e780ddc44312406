"""An engine that is a program: a folder and a process for each job."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from uuid import UUID

from aldgate.core.errors import UpstreamBroken, UpstreamInvalid, UpstreamUnreachable
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Recovery
from aldgate.engines.endings import failed, interrupted, within
from aldgate.engines.group import check_host, environment_for
from aldgate.engines.mimes import mime_of_name
from aldgate.engines.programs.process import group_in, lines, running
from aldgate.engines.programs.program import Program
from aldgate.engines.programs.section import ProgramSection
from aldgate.engines.section import Surroundings
from aldgate.engines.seeds import seed_of
from aldgate.making import Run

_MISSING = (126, 127)
"""What a shell answers where a program cannot be run or found (POSIX, 2.8.2)."""
_INTERRUPTED = (130, -2)
PIECE = 256 * 1024


class ProgramEngine:
    """Runs a program per job. Its handle names the job's folder, and the machine where the process is.

    Args:
        name: As configured.
        section: Its table.
        program: What it is.
        surroundings: Where folders are made; what it may see of the environment.
    """

    recovery: Recovery = "kill"

    def __init__(self, name: str, section: ProgramSection, program: Program, surroundings: Surroundings) -> None:
        self.name = name
        self.kind = program.kind
        self.operations = program.operations
        self._section = section
        self._program = program
        self._folder = surroundings.data / "engines" / name
        self._environment = environment_for(surroundings.environment, section.env)
        self._working = 0

    async def state(self) -> EngineState:
        """See that there is a program to start. It is not started."""
        program, folder = self._section.command[0], self._section.working_dir or "."
        if not await asyncio.to_thread(_is_there, program, folder, self._environment.get("PATH")):
            raise UpstreamUnreachable(f"The engine `{self.name}` is not installed: there is no `{program}` for `{folder}`.")
        models = tuple(EngineModel(name=each, operations=self.operations) for each in self._section.models or [self.kind])
        return EngineState(models=models, is_busy=bool(self._working))

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Start it and wait until it has ended. See `Engine.generate`."""
        self._program.check(asked)
        seed = seed_of(asked, run.reference, most=self._program.most_seed)
        await run.submitting(f"{run.reference}@{socket.gethostname()}")
        folder = self._folder / run.reference
        folder.mkdir(parents=True, mode=0o700)
        self._working += 1
        try:
            arguments = await asyncio.to_thread(self._program.arguments, asked, folder, seed)
            command = [*self._section.command, *arguments]
            async with within(self.name, self._section.run_timeout_s):
                await self._run(command, folder, run)
            await self._keep(folder, seed, run)
        finally:
            self._working -= 1
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
        return Generated(seed=seed if self._program.takes_seed else None, details=self._program.details(asked))

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """None: its process is ended, and it is begun anew."""
        return None

    async def stop(self, handle: str) -> None:
        """End its process group. See `Engine.stop`."""
        reference, _, host = handle.partition("@")
        check_host(self.name, host)
        folder = self._folder / str(UUID(reference))
        if (group := group_in(folder)) is not None:
            await group.end(self._section.stop_s)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def unload(self, model: str = "") -> None:
        """Nothing to do: its memory is free when its process has ended, which is when its job has."""

    async def aclose(self) -> None:
        """See `Engine.aclose`. It has no connections."""

    async def _run(self, command: Sequence[str], folder: Path, run: Run) -> None:
        last, heard, section = "", self._program.listener(), self._section
        try:
            async with running(command, folder, section.working_dir, self._environment, patience_s=section.stop_s) as process:
                async with aclosing(lines(process)) as printed:
                    async for line in printed:
                        if (progress := heard(line)) is None:
                            last = line
                        else:
                            run.progress(progress)
                status = await process.wait()
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise UpstreamUnreachable(f"The engine `{self.name}` cannot be started: {error.strerror}.") from None
        if status in _MISSING:
            raise UpstreamUnreachable(f"The engine `{self.name}` cannot be started: {last or status}.")
        if status in _INTERRUPTED:
            raise interrupted(self.name)
        if status < 0:
            raise UpstreamBroken(f"The process of the engine `{self.name}` was ended by signal {-status}.")
        if status:
            raise failed(self.name, last or f"it ended with {status}")

    async def _keep(self, folder: Path, seed: int, run: Run) -> None:
        files = [path for path in self._program.made(folder) if path.stat().st_size]
        if not files:
            raise UpstreamInvalid(f"The engine `{self.name}` made no file.")
        facts = {"seed": seed} if self._program.takes_seed else {}
        for path in files:
            await run.save(_pieces(path), mime=mime_of_name(path.name), name=path.name, facts=facts)


def _is_there(program: str, folder: str, path: str | None) -> bool:
    return Path(folder).is_dir() and shutil.which(program, path=path) is not None


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
