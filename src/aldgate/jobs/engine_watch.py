"""What engines have, asked in the background, and engines that nobody configured, looked for from time to time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aldgate.core.errors import GatewayError, UpstreamTimeout
from aldgate.core.generation import MEDIA_OPERATIONS, EngineState
from aldgate.core.routes import Deployment, Origin
from aldgate.engines.started import Started
from aldgate.gate.gate import Gate
from aldgate.making import Engine

log = logging.getLogger("aldgate.engines")

BUILTIN = "builtin"
ANSWER_S = 5.0
"""An engine that has not answered by then is away."""

Find = Callable[[], Awaitable[list[Engine]]]


class EngineWatch:
    """See above.

    Args:
        gate: Shows what was found.
        engines: By name; those that are found are put among them, behind those that are configured.
        find: Looks for such as nobody configured.
        interval_s: Seconds between two looks.
    """

    def __init__(self, gate: Gate, engines: dict[str, Engine], find: Find, interval_s: Callable[[], float]) -> None:
        self._gate = gate
        self._engines = engines
        self._find = find
        self._interval_s = interval_s
        self._found: set[str] = set()
        self._looking = asyncio.Lock()
        self._models: dict[str, list[Deployment]] = {}

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._interval_s())

    async def look(self) -> None:
        """Look around, and ask each engine how it is. None is made to load anything."""
        async with self._looking:
            for engine in await self._find():
                log.info("found an engine on this machine", extra={"engine": engine.name})
                self._found.add(engine.name)
                self._add(engine)
        await asyncio.gather(*(self.ask(engine) for engine in tuple(self._engines.values())))

    async def ask(self, engine: Engine) -> None:
        """Ask an engine what it has. One that does not answer keeps its last list."""
        heard = self._gate.engines_heard
        if isinstance(engine, Started) and engine.process.pid is None:
            heard[engine.name] = None  # it is started by the first work
            self._models.setdefault(engine.name, self._listed(engine, EngineState()))
            return self._show()
        try:
            async with asyncio.timeout(ANSWER_S):
                state = await engine.state()
        except GatewayError as error:
            heard[engine.name] = error.status, error.code
            self._models.setdefault(engine.name, self._listed(engine, EngineState()))
        except TimeoutError:
            heard[engine.name] = UpstreamTimeout.status, UpstreamTimeout.code
            self._models.setdefault(engine.name, self._listed(engine, EngineState()))
        else:
            heard[engine.name] = None
            self._models[engine.name] = self._listed(engine, state)
        self._show()

    def _show(self) -> None:
        self._gate.made_models = {
            each.id: each
            for name in self._engines
            for each in self._models.get(name, ())
            if each.operations and each.operations & MEDIA_OPERATIONS
        }

    def is_away(self, name: str) -> bool:
        """Whether it was found and is gone again: then only who names it is sent there. One that is configured is insisted on."""
        return name in self._found and self._gate.engines_heard.get(name) is not None

    async def aclose(self) -> None:
        """Let go of those that were found."""
        for name in self._found:
            await self._engines[name].aclose()

    def _add(self, engine: Engine) -> None:
        """Put it behind the others, but before what is built in where that comes last."""
        names = [*self._engines, engine.name]
        if names[-2:-1] == [BUILTIN]:
            names[-2:] = [engine.name, BUILTIN]
        every = {**self._engines, engine.name: engine}
        self._engines.clear()  # in place: who works on jobs, and who makes them, looks here
        self._engines.update((name, every[name]) for name in names)

    def _listed(self, engine: Engine, state: EngineState) -> list[Deployment]:
        """Its models; where it tells of none, itself."""
        origin: Origin = "builtin" if engine.kind == BUILTIN else "discovered" if engine.name in self._found else "file"
        models = [(f"{engine.name}/{each.name}", each.name, each.operations or engine.operations) for each in state.models]
        return [
            Deployment(full, engine.name, model, None, origin, operations)
            for full, model, operations in models or [(engine.name, engine.name, engine.operations)]
        ]
