"""A stream of Cohere's v2 chat as events (https://docs.cohere.com/v2/docs/streaming)."""

from __future__ import annotations

from typing import TypeVar, cast

import msgspec

from aldgate.core.conversation import Finish
from aldgate.core.errors import UpstreamError
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Failed,
    Finished,
    PartEnded,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
)
from aldgate.dialects.cohere.errors import gave_up, no_reply
from aldgate.dialects.cohere.usage import UsageBody
from aldgate.dialects.sse import EventReader
from aldgate.dialects.stream import StreamDecoder

T = TypeVar("T")

_FINISHES: dict[str, Finish] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}
_FAILURES = frozenset({"ERROR", "TIMEOUT"})


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    id: str | None = None
    function: _Function | None = None


class _Content(msgspec.Struct):
    text: str | None = None
    thinking: str | None = None


class _Message(msgspec.Struct):
    content: _Content | list[_Content] | None = None
    tool_plan: str | None = None
    tool_calls: _Call | list[_Call] | None = None


class _Delta(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    usage: UsageBody | None = None
    error: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    id: str | None = None
    delta: _Delta | None = None
    message: str | None = None
    """Only of an error that takes an event's place."""


_event = msgspec.json.Decoder(_Event)


class ChatDecoder(StreamDecoder):
    """Reads the stream. Calls are counted here: what Cohere numbers are the parts of the message."""

    def __init__(self) -> None:
        super().__init__(EventReader())
        self._calls = 0

    def _read(self, payload: bytes, events: list[Event]) -> None:
        if payload == b"[DONE]":
            return
        try:
            event = _event.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise no_reply() from error
        self._told(event, events)

    def _told(self, event: _Event, events: list[Event]) -> None:
        said = (event.delta.message if event.delta else None) or _Message()
        match event.type:
            case "message-start":
                events.append(Started(event.id or ""))
            case "content-start" | "content-delta":
                self._say(said, events)
            case "tool-plan-delta" if said.tool_plan:
                events.append(ReasoningDelta(said.tool_plan))
            case "tool-call-start" | "tool-call-delta":
                for call in _listed(said.tool_calls):
                    self._call(call, events, begins=event.type == "tool-call-start")
            case "content-end" | "tool-call-end":
                events.append(PartEnded())
            case "message-end":
                self._end(event.delta or _Delta(), events)
            case "" if event.message is not None:
                self._fail(gave_up(event.message), events)
            case _:
                pass  # citations and whatever may be added

    def _say(self, said: _Message, events: list[Event]) -> None:
        for content in _listed(said.content):
            if content.thinking:
                events.append(ReasoningDelta(content.thinking))
            if content.text:
                events.append(TextDelta(content.text))

    def _call(self, call: _Call, events: list[Event], *, begins: bool) -> None:
        function = call.function or _Function()
        if begins:
            index, self._calls = self._calls, self._calls + 1
            events.append(ToolCallStarted(index, call.id or f"call_{index}", function.name or ""))
        if function.arguments and self._calls:
            events.append(ArgumentsDelta(self._calls - 1, function.arguments))

    def _end(self, delta: _Delta, events: list[Event]) -> None:
        if delta.finish_reason in _FAILURES or delta.error:
            return self._fail(gave_up(delta.error), events)
        self.is_done = True
        usage = delta.usage.canonical() if delta.usage else None
        if usage is not None:
            events.append(UsageReported(usage))
        events.append(Finished(finish_of(delta.finish_reason, has_calls=self._calls > 0)))

    def _fail(self, error: UpstreamError, events: list[Event]) -> None:
        self.is_done = True
        events.append(Failed(error))


def _listed(given: T | list[T] | None) -> list[T]:
    if given is None:
        return []
    return cast("list[T]", given) if isinstance(given, list) else [given]


def finish_of(reason: str | None, *, has_calls: bool) -> Finish:
    """The neutral reason.

    Raises:
        UpstreamError: It is a failure.
    """
    if reason in _FAILURES:
        raise gave_up(reason)
    finish = _FINISHES.get(reason or "", "stop")
    return "tool_calls" if has_calls and finish == "stop" else finish
