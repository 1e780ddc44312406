"""A provider's Responses stream as events (https://platform.openai.com/docs/api-reference/responses-streaming)."""

from __future__ import annotations

import msgspec

from aldgate.core.conversation import Media
from aldgate.core.errors import UpstreamError, UpstreamInvalid
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Failed,
    Finished,
    PartEnded,
    PartGiven,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
)
from aldgate.dialects.openai.errors import ErrorBody
from aldgate.dialects.responses.answers import Body, Item, parts_of
from aldgate.dialects.responses.errors import failure_of
from aldgate.dialects.responses.sealed import ORIGIN
from aldgate.dialects.sse import EventReader
from aldgate.dialects.stream import StreamDecoder


class StreamEvent(msgspec.Struct):
    """An event as far as it matters here. A bare `error` event says flat what others nest."""

    type: str = ""
    delta: str | None = None
    output_index: int = 0
    summary_index: int = 0
    item: Item | None = None
    response: Body | None = None
    error: ErrorBody | str | None = None
    message: str | None = None
    code: str | int | None = None
    param: str | None = None

    @property
    def fault(self) -> UpstreamError | None:
        """The failure that it reports."""
        if self.type == "response.failed" or (self.response is not None and self.response.status in ("failed", "cancelled")):
            error = self.response.error if self.response is not None else None
            return failure_of(error or ErrorBody())
        if self.type == "error" or (self.error is not None and not self.type):
            return failure_of(self.error or ErrorBody(self.message, None, self.param, self.code))
        return None


_event = msgspec.json.Decoder(StreamEvent)
TERMINAL = frozenset({"response.completed", "response.incomplete"})
_THOUGHTS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_ARGUMENTS = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})


def read_event(payload: bytes) -> StreamEvent:
    """One event.

    Raises:
        UpstreamInvalid: It is none.
    """
    try:
        return _event.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid("The provider sent an event that is not one of a response.") from None


class ResponsesDecoder(StreamDecoder):
    """Reads the stream."""

    def __init__(self) -> None:
        super().__init__(EventReader())
        self._has_started = False
        self._calls: dict[int, int] = {}
        """Output index -> which call it is."""
        self._heard: set[int] = set()
        """Output indices of which something was streamed."""
        self._thought: tuple[str, int] = ("", -1)
        """Kind of the last thought's deltas and their summary index: of text and summary only what comes first is told."""

    def _read(self, payload: bytes, events: list[Event]) -> None:
        if payload == b"[DONE]":
            return
        event = read_event(payload)
        fault = event.fault
        if fault is not None:
            events.append(Failed(fault))
            self.is_done = True
            return
        if not self._has_started and event.response is not None:
            self._has_started = True
            events.append(Started(event.response.id, event.response.model))
        self._told(event, events)

    def _told(self, event: StreamEvent, events: list[Event]) -> None:
        kind = event.type
        if kind == "response.output_text.delta":
            events.append(TextDelta(event.delta or ""))
        elif kind in _ARGUMENTS:
            number = self._calls.get(event.output_index)
            if number is None:
                raise UpstreamInvalid("The provider sent the arguments of a call that it had not begun.")
            self._heard.add(event.output_index)
            events.append(ArgumentsDelta(number, event.delta or ""))
        elif kind in _THOUGHTS:
            self._think(event, events)
        elif kind == "response.refusal.delta":
            events.append(RefusalDelta(event.delta or ""))
        elif kind == "response.content_part.done":
            events.append(PartEnded())
        elif kind == "response.output_item.added" and event.item is not None and event.item.is_call:
            self._start_call(event, event.item, events)
        elif kind == "response.output_item.done" and event.item is not None:
            self._end_item(event, event.item, events)
        elif kind in TERMINAL and event.response is not None:
            self._finish(event.response, events)

    def _think(self, event: StreamEvent, events: list[Event]) -> None:
        kind, summary = self._thought
        if event.output_index not in self._heard:
            self._heard.add(event.output_index)
            kind, summary = event.type, event.summary_index
        if kind != event.type:
            return
        between = "\n\n" if event.summary_index > summary else ""
        self._thought = (kind, event.summary_index)
        events.append(ReasoningDelta(between + (event.delta or ""), origin=ORIGIN))

    def _start_call(self, event: StreamEvent, item: Item, events: list[Event]) -> None:
        number = self._calls[event.output_index] = len(self._calls)
        events.append(ToolCallStarted(number, item.call_id or "", item.name or "", item.type == "custom_tool_call"))

    def _end_item(self, event: StreamEvent, item: Item, events: list[Event]) -> None:
        is_heard = event.output_index in self._heard
        if item.is_call:
            if event.output_index not in self._calls:
                self._start_call(event, item, events)
            if not is_heard and item.said:  # some servers send the arguments only whole
                events.append(ArgumentsDelta(self._calls[event.output_index], item.said))
        elif item.type == "reasoning":
            text = "" if is_heard else item.said
            if text or item.encrypted_content:
                events.append(ReasoningDelta(text, item.encrypted_content, origin=ORIGIN))
        else:
            events += [PartGiven(part) for part in parts_of(item) if isinstance(part, Media)]
        events.append(PartEnded())

    def _finish(self, response: Body, events: list[Event]) -> None:
        self.is_done = True
        if (used := response.used) is not None:
            events.append(UsageReported(used))
        reason = response.finish
        events.append(Finished("tool_calls" if reason == "stop" and self._calls else reason))
