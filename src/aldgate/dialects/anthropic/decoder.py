"""A stream of the Messages API as events (https://platform.claude.com/docs/en/build-with-claude/streaming)."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.conversation import Opaque
from aldgate.core.errors import UpstreamBroken, UpstreamInvalid
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Failed,
    Finished,
    PartEnded,
    PartGiven,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
)
from aldgate.dialects.anthropic import answer_tool
from aldgate.dialects.anthropic.answers import arguments_of, finish_of
from aldgate.dialects.anthropic.carried import ORIGIN
from aldgate.dialects.anthropic.errors import ErrorBody, error_in_reply
from aldgate.dialects.anthropic.usage import WireUsage
from aldgate.dialects.sse import EventReader
from aldgate.dialects.stream import StreamDecoder


class _Start(msgspec.Struct):
    id: str = ""
    model: str = ""
    usage: WireUsage | None = None


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Any = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: msgspec.Raw = msgspec.Raw(b"")
    message: _Start | None = None
    usage: WireUsage | None = None
    error: ErrorBody | str | None = None


_event = msgspec.json.Decoder(_Event)
_block = msgspec.json.Decoder(_Block)
_raw = msgspec.json.Decoder(dict[str, Any])


class MessagesDecoder(StreamDecoder):
    """Reads the stream."""

    __slots__ = (
        "_answers",
        "_calls",
        "_has_started",
        "_opaque",
        "_open",
        "_stop_reason",
        "_stop_sequence",
        "_usage",
    )

    def __init__(self) -> None:
        super().__init__(EventReader())
        self._usage = WireUsage()
        self._calls = 0
        self._open: dict[int, int] = {}
        """Index of a content block -> index among the calls."""
        self._opaque: dict[int, tuple[dict[str, Any], list[str]]] = {}
        """Blocks that only this dialect knows, and the pieces of their input."""
        self._answers: dict[int, bool] = {}
        """Index of a block that gives the answer through `answer_tool` -> whether any of it was told."""
        self._stop_reason: str | None = None
        self._stop_sequence: str | None = None
        self._has_started = False

    def _read(self, payload: bytes, events: list[Event]) -> None:
        try:
            seen = _event.decode(payload)
            self._take(seen, events)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamInvalid("The provider sent an event that is none of a message.") from None

    def _close(self, events: list[Event]) -> None:
        if self._stop_reason is None:
            super()._close(events)
        self._finish(events)

    def _take(self, seen: _Event, events: list[Event]) -> None:
        kind = seen.type
        if kind == "content_block_delta":
            self._delta(seen, events)
        elif kind == "content_block_start":
            self._begin(seen, events)
        elif kind == "content_block_stop":
            self._stop(seen.index, events)
        elif kind == "message_start":
            start = seen.message or _Start()
            self._usage = start.usage or WireUsage()
            self._has_started = True
            events.append(Started(start.id, start.model, start.usage.canonical() if start.usage else None))
        elif kind == "message_delta":
            if seen.usage is not None:
                self._usage = self._usage.replaced_by(seen.usage)
            if seen.delta is not None and seen.delta.stop_reason is not None:
                self._stop_reason, self._stop_sequence = seen.delta.stop_reason, seen.delta.stop_sequence
        elif kind == "message_stop":
            if self._stop_reason is None:
                raise UpstreamBroken("The provider ended the answer without saying why.")
            self._finish(events)
        elif kind == "error" or seen.error is not None:
            self.is_done = True
            events.append(Failed(error_in_reply(seen.error or ErrorBody())))
        # `ping`, and whatever else the future brings, says nothing

    def _finish(self, events: list[Event]) -> None:
        self.is_done = True
        reason = finish_of(self._stop_reason, has_calls=self._calls > 0, by_tool=bool(self._answers))
        usage = self._usage.canonical()
        if usage.total_tokens:
            events.append(UsageReported(usage))
        events.append(Finished(reason, self._stop_sequence))

    def _begin(self, seen: _Event, events: list[Event]) -> None:
        if not self._has_started:
            self._has_started = True
            events.append(Started())
        block = _block.decode(seen.content_block)
        if block.type == "tool_use" and block.name == answer_tool.NAME:
            self._answers[seen.index] = bool(block.input)
            if block.input:
                events.append(TextDelta(arguments_of(block.input)))
        elif block.type == "tool_use":
            self._open[seen.index] = self._calls
            events.append(ToolCallStarted(self._calls, block.id, block.name))
            if block.input:
                events.append(ArgumentsDelta(self._calls, arguments_of(block.input)))
            self._calls += 1
        elif block.type == "text":
            if block.text:
                events.append(TextDelta(block.text))
        elif block.type == "thinking":
            if block.thinking or block.signature:
                events.append(ReasoningDelta(block.thinking, block.signature or None, origin=ORIGIN))
        elif block.type == "redacted_thinking":
            events.append(ReasoningDelta(redacted=block.data, origin=ORIGIN))
        else:
            self._opaque[seen.index] = _raw.decode(seen.content_block), []

    def _stop(self, index: int, events: list[Event]) -> None:
        if self._answers.get(index) is False:
            events.append(TextDelta("{}"))
        if (opaque := self._opaque.pop(index, None)) is not None:
            events.append(PartGiven(_completed(*opaque)))
        events.append(PartEnded())

    def _delta(self, seen: _Event, events: list[Event]) -> None:
        delta = seen.delta
        if delta is None:
            return
        if delta.type == "text_delta":
            if delta.text:
                events.append(TextDelta(delta.text))
        elif delta.type == "input_json_delta":
            if (opaque := self._opaque.get(seen.index)) is not None:
                opaque[1].append(delta.partial_json)
            elif delta.partial_json and seen.index in self._answers:
                self._answers[seen.index] = True
                events.append(TextDelta(delta.partial_json))
            elif delta.partial_json:
                if (call := self._open.get(seen.index)) is None:
                    raise UpstreamInvalid("The provider sent arguments of a tool call that it never began.")
                events.append(ArgumentsDelta(call, delta.partial_json))
        elif delta.type == "thinking_delta":
            if delta.thinking:
                events.append(ReasoningDelta(delta.thinking, origin=ORIGIN))
        elif delta.type == "signature_delta":
            events.append(ReasoningDelta("", delta.signature or None, origin=ORIGIN))


def _completed(block: dict[str, Any], pieces: list[str]) -> Opaque:
    text = "".join(pieces)
    if text:
        block = {**block, "input": msgspec.json.decode(text)}
    return Opaque(ORIGIN, block["type"], block)
