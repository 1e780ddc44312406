"""What engines have in common that are a library in a process of its own."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from aldgate.core.errors import UpstreamOverloaded, UpstreamUnreachable
from aldgate.core.generation import Generated, Generation, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.endings import failed, interrupted, within
from aldgate.engines.group import Group, check_host, environment_for
from aldgate.engines.library.child import Child, Said
from aldgate.engines.section import EngineSection, Seconds, Surroundings
from aldgate.making import Run

_OF = "#"
"""Between a process and the attempt that it works on: to stop one that has ended must not stop the next."""


class ChildSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of such an engine may have."""

    python: str = "python3"
    """The interpreter that has the library, that of a virtual environment, say; empty: the gate's own."""
    library_path: list[str] = []
    """Folders to import from, before all others."""
    env: dict[str, str] = {}
    """Added to the little of the gate's environment that it sees."""
    torch_device: str = ""
    """As PyTorch names it; empty chooses: `cuda` where there is one."""
    stop_s: Seconds = 10.0
    """Seconds to leave its work, before the process is ended."""


class ChildEngine:
    """The half of an `Engine` that is the same for all of them.

    Args:
        name: As configured.
        section: Its table.
        surroundings: Where logs and downloads go.
        work: The file that says what to do with the library.
        settings: What that file is told.
    """

    kind = ""
    operations: frozenset[Operation] = frozenset()
    recovery: Recovery = "kill"

    def __init__(
        self, name: str, section: ChildSection, surroundings: Surroundings, work: Path, settings: Mapping[str, Any]
    ) -> None:
        self.name = name
        self._run_timeout_s = section.run_timeout_s
        self._stop_s = section.stop_s
        self._python = section.python or sys.executable
        self._environment = environment_for(surroundings.environment, section.env)
        self._child = Child(
            name,
            self._python,
            work,
            settings={"device": section.torch_device, **settings},
            path=section.library_path,
            environment=self._environment,
            working_dir=surroundings.data / "engines" / name,
            log=surroundings.data / "engines" / f"{name}.log",
        )
        self._turn = asyncio.Lock()
        self._reference = ""

    async def _check_python(self) -> None:
        """See that there is an interpreter to start. Its process is not started.

        Raises:
            UpstreamUnreachable: There is none.
        """
        if await asyncio.to_thread(shutil.which, self._python, path=self._environment.get("PATH")) is None:
            raise UpstreamUnreachable(f"The engine `{self.name}` has no Python at `{self._python}`.")

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """See `Engine`. What a process says, only the worker hears that started it."""
        return None

    async def stop(self, handle: str) -> None:
        """See `Engine`. A process of ours leaves its work and keeps its model, if it can; another worker's is ended."""
        host, pid, rest = handle.split("/", 2)
        started, _, reference = rest.partition(_OF)
        check_host(self.name, host)
        group = Group(int(pid), started)
        if group != self._child.group:
            await group.end(self._stop_s)
        elif reference == self._reference:
            await self._child.stop(self._stop_s)

    async def unload(self, model: str = "") -> None:
        """See `Engine`. Its process ends; the next job starts another.

        Raises:
            UpstreamOverloaded: It works.
        """
        if self._turn.locked():
            raise UpstreamOverloaded(f"The engine `{self.name}` works, and keeps its memory until it is done.")
        await self._child.end()

    async def aclose(self) -> None:
        """See `Engine`. Nobody else could hear what the process says: it ends."""
        await self._child.end()

    async def _working(self, asked: Mapping[str, Any], run: Run, inputs: Sequence[bytes] = ()) -> AsyncGenerator[Said]:
        """Have it done in the process: what that says, until it is done.

        Raises:
            UpstreamError: It failed, was stopped, took too long, or the process ended.
        """
        async with self._turn:
            await self._child.stop(self._stop_s)  # whatever somebody left it with
            group, self._reference = await self._child.start(), run.reference
            await run.submitting(f"{socket.gethostname()}/{group.pid}/{group.started}{_OF}{run.reference}")
            async with within(self.name, self._run_timeout_s), aclosing(self._child.work(asked, inputs)) as told:
                async for said in told:
                    if said.event == "failed":
                        raise failed(self.name, said.reason, kind=said.kind)
                    if said.event == "stopped":
                        raise interrupted(self.name)
                    yield said
