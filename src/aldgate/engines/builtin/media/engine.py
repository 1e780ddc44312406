"""The builtin models as one engine. They need no device, and can be as slow as asked: they stand in for real ones in tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Annotated, Any

from msgspec import Meta

from aldgate import __version__
from aldgate.core.errors import InvalidRequest, ModelNotFound, NotSupported
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.builtin.media import clip, image, mesh, tone, transcribe
from aldgate.engines.builtin.media.bounds import MOST_PACE_MS, number
from aldgate.engines.builtin.media.libraries import is_there
from aldgate.engines.builtin.media.speech import Speech, Voice
from aldgate.engines.builtin.media.steps import Made, MediaModel, Step
from aldgate.engines.builtin.media.studio import Studio
from aldgate.engines.section import EngineSection, Surroundings, decode_section
from aldgate.engines.threads import in_thread
from aldgate.making import Run


class MediaSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of the builtin engine may have."""

    exclusive: bool = False
    """Alone on its device while it works; it has none."""
    places: Annotated[int, Meta(ge=1)] = 2
    """Works on so many jobs at once."""
    pace_ms: Annotated[float, Meta(ge=0, le=MOST_PACE_MS)] = 0.0
    """Milliseconds that each step takes longer than it has to."""


class BuiltinMedia:
    """An `Engine`.

    Args:
        name: As configured.
        section: Its table.
        environment: The process environment.
    """

    kind = "builtin"
    recovery: Recovery = "cancel"

    def __init__(self, name: str, section: MediaSection, environment: Mapping[str, str]) -> None:
        self.name = name
        self._section = section
        self._speech = Speech(environment)
        self._studio = Studio(environment)
        found = (
            image.model(self._studio),
            clip.model(self._studio),
            tone.MODEL,
            self._speech.model,
            mesh.MODEL,
            transcribe.MODEL,
        )
        wanted = section.models
        self._models = {each.name: each for each in found if wanted is None or each.name in wanted}
        self._absent = {each.name: each for each in self._models.values() if not all(map(is_there, each.needs))}
        for name in self._absent:
            del self._models[name]
        self.operations: frozenset[Operation] = frozenset().union(*(each.operations for each in self._models.values()))
        self._pool = ThreadPoolExecutor(section.places, f"engine-{name}")
        self._under_way: dict[str, asyncio.Event] = {}

    async def state(self) -> EngineState:
        """See `Engine`."""
        models = tuple(EngineModel(name=each.name, operations=each.operations) for each in self._models.values())
        return EngineState(models=models, version=__version__, is_busy=bool(self._under_way))

    async def voices(self) -> tuple[Voice, ...]:
        """The voices of `espeak`.

        Raises:
            UpstreamError: eSpeak NG does not run.
        """
        return await self._speech.voices()

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`."""
        pace_s = self._pace_s(asked)
        work = self._model(asked).begin(asked)
        await run.submitting(run.reference)
        over = self._under_way[run.reference] = asyncio.Event()
        try:
            async with aclosing(self._in_threads(work) if isinstance(work, Generator) else work) as steps:
                return await _kept(steps, run, pace_s)
        finally:
            del self._under_way[run.reference]
            over.set()

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """See `Engine`. Nothing is known of what another process began."""
        return None

    async def stop(self, handle: str) -> None:
        """See `Engine`. The task that was cancelled ends with its step."""
        over = self._under_way.get(handle)
        if over is not None:
            await over.wait()

    async def unload(self, model: str = "") -> None:
        """See `Engine`. Nothing is held between two jobs."""

    async def aclose(self) -> None:
        """See `Engine`."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
        self._studio.close()

    def _model(self, asked: Generation) -> MediaModel:
        found = _named(self._models, asked)
        if found is None and (absent := _named(self._absent, asked)) is not None:
            raise NotSupported(f"`builtin/{absent.name}` needs what is not installed: {', '.join(absent.needs)}.")
        if found is None:
            raise ModelNotFound(
                f"The engine `{self.name}` has no model `{asked.model[:100]}` for {asked.operation}.", param="model"
            )
        return found

    def _pace_s(self, asked: Generation) -> float:
        wanted: Any = asked.options.get("pace_ms", self._section.pace_ms)
        if isinstance(wanted, bool) or not isinstance(wanted, int | float):
            raise InvalidRequest("`pace_ms` is a number.", param="pace_ms")
        return number(wanted, "pace_ms", 0, 0, MOST_PACE_MS) / 1000

    async def _in_threads(self, work: Generator[Step]) -> AsyncGenerator[Step]:
        """The steps, each made in a thread. Whoever is cancelled leaves when the step has ended: then nothing runs any more."""
        try:
            while True:
                step = await in_thread(self._pool, next, work, None)
                if step is None:
                    return
                yield step
        finally:
            work.close()


def _named(models: Mapping[str, MediaModel], asked: Generation) -> MediaModel | None:
    able = (each for each in models.values() if asked.operation in each.operations and asked.model in ("", each.name))
    return next(able, None)


async def _kept(steps: AsyncGenerator[Step], run: Run, pace_s: float) -> Generated:
    """Hand on what the steps give; the last one is what came of it all."""
    async for step in steps:
        if isinstance(step, Progress):
            run.progress(step)
            await asyncio.sleep(pace_s)
        elif isinstance(step, Made):
            await run.save(step.data, mime=step.mime, name=step.name, facts=step.facts)
        else:
            return step
    raise RuntimeError("a builtin model ended without a result")


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> BuiltinMedia:
    """The builtin engine; see `section.Build`."""
    return BuiltinMedia(name, decode_section(name, table, MediaSection), surroundings.environment)
