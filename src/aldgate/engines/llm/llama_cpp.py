"""llama.cpp's server, one model: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md.

Its usual port has changed between builds; the table had better say it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import PurePath
from typing import Any, TypeVar

import msgspec

from aldgate.core.errors import ContextTooLong, ModelNotFound, UpstreamBroken, UpstreamInvalid, UpstreamRejected
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress
from aldgate.dialects.sse import EventReader
from aldgate.engines.address import reach
from aldgate.engines.asking import given
from aldgate.engines.direct import Direct, DirectSection
from aldgate.engines.endings import failed
from aldgate.engines.http import EngineHttp
from aldgate.engines.llm.writing import WRITES, Options, Writing, messages_of, options_for
from aldgate.engines.section import Surroundings, decode_section
from aldgate.making import Run

USUAL = "http://127.0.0.1:8080"
_TOO_LONG = "exceed_context_size_error"
"""The type of its error; its words differ between builds."""


class _Defaults(msgspec.Struct):
    n_ctx: int | None = None


class _Props(msgspec.Struct):
    model_path: str = ""
    model_alias: str = ""
    build_info: str = ""
    total_slots: int | None = None
    default_generation_settings: _Defaults | None = None


class _Slot(msgspec.Struct):
    is_processing: bool = False


class _Prefill(msgspec.Struct):
    total: int
    processed: int


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Event(msgspec.Struct):
    """An event of `/completion` or, with choices, of `/v1/chat/completions`."""

    content: str = ""
    stop: bool = False
    stop_type: str | None = None
    tokens_evaluated: int | None = None
    tokens_predicted: int | None = None
    prompt_progress: _Prefill | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


S = TypeVar("S")
_event = msgspec.json.Decoder(_Event)


class LlamaCpp(Direct):
    """An `Engine`. Memory comes back when its process ends.

    Args:
        name: As configured.
        section: Its table.
        http: Where it is.
    """

    kind = "llama-cpp"
    operations = WRITES

    def __init__(self, name: str, section: DirectSection, http: EngineHttp) -> None:
        super().__init__(name, section, http)
        self._models = section.models

    async def state(self) -> EngineState:
        """See `Engine`. While it loads its model it is overloaded; whether it is busy, its slots say, if it shows them."""
        await self._http.json("GET", "/health")
        props = await self._props()
        name = self._name(props)
        models = (EngineModel(name=name, operations=WRITES, is_loaded=True),) if name else ()
        return EngineState(models=models, version=props.build_info, is_busy=await self._is_busy())

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`."""
        options = options_for(asked)
        if asked.model and asked.model not in (self._models or [self._name(await self._props())]):
            raise ModelNotFound(f"The engine `{self.name}` has no model `{asked.model[:100]}`.", param="model")
        await run.submitting(run.reference)
        path = "/v1/chat/completions" if asked.operation == "chat" else "/completion"
        body = (_chat if asked.operation == "chat" else _completion)(asked, options)
        writing = Writing(run, options.max_tokens)
        try:
            async with self._working(), aclosing(self._events(path, body)) as events:
                return await self._written(events, writing, run)
        except UpstreamRejected as error:
            if _TOO_LONG in error.message:
                raise ContextTooLong(error.message, upstream_status=error.upstream_status, upstream_code=_TOO_LONG) from error
            raise

    async def _props(self) -> _Props:
        return self._as(_Props, await self._http.json("GET", "/props"))

    def _name(self, props: _Props) -> str:
        if self._models:
            return self._models[0]
        return props.model_alias or PurePath(props.model_path.replace("\\", "/")).stem

    async def _is_busy(self) -> bool | None:
        """None: it does not show its slots (`--no-slots`, or an older build)."""
        try:
            slots = self._as(list[_Slot], await self._http.json("GET", "/slots", expect=(200, 501)))
        except (UpstreamRejected, UpstreamInvalid):
            return None
        return any(slot.is_processing for slot in slots)

    def _as(self, kind: type[S], said: Any) -> S:
        try:
            return msgspec.convert(said, kind)
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"The engine `{self.name}` answered with what llama.cpp never says: {error}") from None

    async def _events(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[_Event]:
        reader = EventReader()
        async with self._http.request("POST", path, json=body, timeout_s=self._run_timeout_s) as reply:
            if reply.content_type != "text/event-stream":
                raise UpstreamInvalid(f"The engine `{self.name}` answered with what are no events.")
            async for piece in reply.content.iter_any():
                for payload in reader.feed(piece):
                    if payload == b"[DONE]":
                        return
                    try:
                        yield _event.decode(payload)
                    except msgspec.DecodeError as error:
                        raise UpstreamInvalid(f"The engine `{self.name}` sent what is no event of its: {error}") from None

    async def _written(self, events: AsyncGenerator[_Event], writing: Writing, run: Run) -> Generated:
        reason, read, written = None, None, None
        async for event in events:
            if event.error is not None:
                raise failed(self.name, str(event.error))
            if event.prompt_progress is not None:
                run.progress(Progress(message=f"{event.prompt_progress.processed} of {event.prompt_progress.total} tokens read"))
            for choice in event.choices or ():
                writing.write(choice.delta.content or "")
                reason = choice.finish_reason or reason
            writing.write(event.content)
            if event.stop:
                reason = "length" if event.stop_type == "limit" else "stop"
                read, written = event.tokens_evaluated, event.tokens_predicted
            if event.usage is not None:
                read, written = event.usage.prompt_tokens, event.usage.completion_tokens
        if reason is None:
            raise UpstreamBroken(f"The engine `{self.name}` broke off before it was done.")
        return writing.done(read=read, written=written, reason=reason, facts={})


def _sampling(asked: Generation, options: Options) -> dict[str, Any]:
    return given(
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        min_p=options.min_p,
        stop=options.stop,
        seed=asked.seed,
    )


def _completion(asked: Generation, options: Options) -> dict[str, Any]:
    more = given(n_predict=options.max_tokens, json_schema=options.json_schema, **_sampling(asked, options))
    return {"prompt": asked.prompt, "stream": True, "return_progress": True, **more}


def _chat(asked: Generation, options: Options) -> dict[str, Any]:
    wanted = options.json_schema and {"type": "json_schema", "json_schema": {"name": "answer", "schema": options.json_schema}}
    more = given(max_tokens=options.max_tokens, response_format=wanted, **_sampling(asked, options))
    return {"messages": messages_of(asked, options), "stream": True, "stream_options": {"include_usage": True}, **more}


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> LlamaCpp:
    """llama.cpp's server; see `section.Build`."""
    section = decode_section(name, table, DirectSection)
    return LlamaCpp(name, section, reach(name, section, surroundings, usual=USUAL))
