"""An engine together with its own process: started by the first work, and never by a question."""

from __future__ import annotations

from aldgate.core.errors import UpstreamUnreachable
from aldgate.core.generation import EngineState, Generated, Generation, Recovery
from aldgate.engines.process import EngineProcess
from aldgate.making import Engine, Run


class Started:
    """An `Engine` whose process the gate starts. Attributes as of `Engine`.

    Args:
        engine: The adapter to what the process serves.
        is_kept: It is stopped when it is idle and when this gate ends; otherwise another one works with it.
    """

    def __init__(self, engine: Engine, process: EngineProcess, *, is_kept: bool = True) -> None:
        self._engine = engine
        self.process = process
        self.is_kept = is_kept
        self.name, self.kind, self.operations = engine.name, engine.kind, engine.operations
        # Where nothing else can be asked, the process can always be ended.
        self.recovery: Recovery = "kill" if engine.recovery == "wait" else engine.recovery

    async def state(self) -> EngineState:
        """See `Engine`. It is not started for that."""
        if self.process.pid is None:
            raise UpstreamUnreachable(f"The process of the engine `{self.name}` does not run.")
        return await self._engine.state()

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`."""
        async with self.process.working():
            return await self._engine.generate(asked, run)

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """See `Engine`. What a process knew ends with it."""
        if self.process.pid is None:
            return None
        async with self.process.working():
            return await self._engine.adopt(handle, asked, run)

    async def stop(self, handle: str) -> None:
        """See `Engine`."""
        if self.process.pid is None:
            return
        if self.recovery == "kill":
            await self.process.stop()
        else:
            await self._engine.stop(handle)

    async def unload(self, model: str = "") -> None:
        """See `Engine`. Without its process it holds nothing."""
        if self.process.pid is not None:
            await self._engine.unload(model)

    async def aclose(self) -> None:
        """See `Engine`. Its process ends too, unless another gate or worker keeps it."""
        if self.is_kept:
            await self.process.stop()
        await self._engine.aclose()
