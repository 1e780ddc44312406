"""The Gradio engine: one function of an app, called through its queue."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Literal

import msgspec

from aldgate.config.secret import resolve_reference
from aldgate.core.errors import GatewayError, InvalidRequest, NotSupported, UpstreamBroken, UpstreamError, UpstreamInvalid
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation
from aldgate.core.levels import Operation
from aldgate.engines.address import reach
from aldgate.engines.endings import within
from aldgate.engines.gradio.app import GradioApp
from aldgate.engines.gradio.arguments import MOST_SEED, Filled, check_section, fill
from aldgate.engines.gradio.files import UNKNOWN, Found, file_value, found_in, is_of, third_value
from aldgate.engines.gradio.messages import Call
from aldgate.engines.gradio.section import GradioSection
from aldgate.engines.gradio.third import third_messages
from aldgate.engines.gradio.wire import GradioWire
from aldgate.engines.section import Surroundings, decode_section
from aldgate.engines.seeds import seed_of
from aldgate.making import Run

USUAL = "http://127.0.0.1:7860"


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> GradioEngine:
    """An engine of kind `gradio`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    return built(name, decode_section(name, table, GradioSection), surroundings, "gradio")


def built(name: str, section: GradioSection, surroundings: Surroundings, kind: str) -> GradioEngine:
    """An engine of that table, as that kind.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    check_section(name, section)
    if not section.username:
        return GradioEngine(name, section, GradioWire(reach(name, section, surroundings, usual=USUAL)), kind)
    password = resolve_reference(section.api_key, surroundings.environment)
    http = reach(name, msgspec.structs.replace(section, api_key=""), surroundings, usual=USUAL)
    return GradioEngine(name, section, GradioWire(http, section.username, password), kind)


class GradioEngine:
    """A function of a Gradio app. The handle of an attempt is its session, which is ours to choose.

    Args:
        name: As configured.
        section: Its table.
        wire: Its app.
        kind: `gradio`, or the preset's.
    """

    def __init__(self, name: str, section: GradioSection, wire: GradioWire, kind: str = "gradio") -> None:
        self.name = name
        self.kind = kind
        self.operations: frozenset[Operation] = frozenset(section.operations)
        self.recovery: Literal["cancel", "wait"] = section.recovery
        self._section = section
        self._wire = wire
        self._events: dict[str, str] = {}

    async def state(self) -> EngineState:
        """Version, and the models that the function lets one choose of."""
        app = await self._wire.app(self._section.endpoint)
        place = self._section.arguments.get("model")
        parameter = None if place is None else app.find(place)
        names = self._section.models or [str(each) for each in (parameter.choices if parameter else ())]
        return EngineState(
            models=tuple(EngineModel(name=each, operations=self.operations) for each in names), version=app.version
        )

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Call the function. See `Engine.generate`."""
        if asked.operation not in self.operations:
            raise InvalidRequest(f"The engine `{self.name}` does not do `{asked.operation}`.")
        async with within(self.name, self._section.run_timeout_s):
            app = await self._wire.app(self._section.endpoint)
            filled = fill(app, self._section, asked, seed_of(asked, run.reference, most=MOST_SEED))
            await run.submitting(run.reference)
            try:
                values = await self._values(app, await self._bring(app, filled), run)
            except GatewayError:
                self._events.pop(run.reference, None)
                raise
            self._events.pop(run.reference, None)
            return await self._keep(app, values, asked, filled.seed, run)

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """None: what a session was told, nobody else can ask for."""
        return None

    async def stop(self, handle: str) -> None:
        """Cancel what the session has in the queue. See `Engine.stop`."""
        async with within(self.name, self._section.request_timeout_s, "To stop"):
            app = await self._wire.app(self._section.endpoint)
            if app.protocol == "sse":
                await self._wire.cancel(app, handle, self._events.pop(handle, ""))
        if self.recovery == "wait":
            raise UpstreamError(f"Nobody can know whether the engine `{self.name}` has stopped.")

    async def unload(self, model: str = "") -> None:
        """Gradio has no word for it."""
        raise NotSupported(f"The engine `{self.name}` holds its memory until its process is stopped.")

    async def aclose(self) -> None:
        """See `Engine.aclose`."""
        await self._wire.http.aclose()

    async def _bring(self, app: GradioApp, filled: Filled) -> list[Any]:
        """The values, with the files brought to the app."""
        values = list(filled.values)
        for at, given in filled.files.items():
            parameter = app.slots[at]
            assert parameter is not None
            if app.protocol == "ws":
                values[at] = third_value(parameter, given)
            else:
                ending = given.mime.rpartition("/")[2].removeprefix("x-")
                path = await self._wire.upload(app, given, given.name or f"{given.role}.{ending}")
                values[at] = file_value(parameter, path, given)
        return values

    async def _values(self, app: GradioApp, values: list[Any], run: Run) -> list[Any]:
        """The outputs of a call with these values."""
        if not app.is_queued:
            return await self._wire.answer(app, values, run.reference, self._section.run_timeout_s)
        call = Call(self.name)
        async with aclosing(self._messages(app, values, run.reference)) as messages:
            async for message in messages:
                if (progress := call.take(message)) is not None:
                    run.progress(progress)
                if call.is_done:
                    return call.values
        raise UpstreamBroken(f"The engine `{self.name}` stopped telling of the call before it was done.")

    async def _messages(self, app: GradioApp, values: list[Any], session: str) -> AsyncGenerator[dict[str, Any]]:
        if app.protocol == "ws":
            messages = third_messages(self._wire, app, values, session, self._section.run_timeout_s)
        else:
            event_id = self._events[session] = await self._wire.join(app, values, session)
            messages = self._wire.messages(app, session, event_id)
        async with aclosing(messages):
            async for message in messages:
                yield message

    async def _keep(self, app: GradioApp, values: list[Any], asked: Generation, seed: int | None, run: Run) -> Generated:
        """Save the files among the outputs, at once: apps clear away what they made."""
        texts = [value for value in values if isinstance(value, str) and value and not value.startswith("data:")]
        files = self._wanted(app, values, asked.operation)
        if not files and asked.operation not in ("transcribe", "chat", "complete"):
            raise UpstreamInvalid(f"The engine `{self.name}` gave no file.")
        facts = {} if seed is None else {"seed": seed}
        for found in files:
            if found.path:
                async with aclosing(self._wire.download(app, found)) as pieces:
                    await run.save(pieces, mime=found.mime, name=found.name, facts=facts)
            else:
                await run.save(found.data, mime=found.mime, name=found.name, facts=facts)
        return Generated(text=None if files else next(iter(texts), ""), seed=seed)

    def _wanted(self, app: GradioApp, values: list[Any], operation: Operation) -> list[Found]:
        components = [*app.outputs, *[""] * len(values)]
        positions = self._section.outputs or range(len(values))
        found = [each for at in positions if at < len(values) for each in found_in(values[at], components[at])]
        if not self._section.outputs:
            known = [each for each in found if is_of(each, operation)]
            found = known or [each for each in found if each.mime == UNKNOWN]
        return list({each.path or each.data: each for each in found}.values())
