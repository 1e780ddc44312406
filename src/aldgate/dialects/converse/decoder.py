"""Reads ConverseStream: typed events in Amazon's binary framing.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html. Text blocks have no start, usage
follows the stop in `metadata`, and errors come as messages of the type `exception`.
"""

import msgspec

from aldgate.core.conversation import Media
from aldgate.core.errors import GatewayError, UpstreamBroken, UpstreamInvalid
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
from aldgate.dialects.converse.answers import ORIGIN, finish_of
from aldgate.dialects.converse.errors import error_in_stream
from aldgate.dialects.converse.eventstream import Framing, Message
from aldgate.dialects.converse.usage import TokenUsage, usage_of


class _ToolUse(msgspec.Struct):
    toolUseId: str = ""
    name: str = ""
    input: str = ""


class _Thought(msgspec.Struct):
    text: str | None = None
    signature: str | None = None
    redactedContent: str | None = None


class _Source(msgspec.Struct):
    bytes: str = ""


class _Image(msgspec.Struct):
    format: str = ""
    source: _Source | None = None


class _Delta(msgspec.Struct):
    text: str | None = None
    toolUse: _ToolUse | None = None
    reasoningContent: _Thought | None = None
    image: _Image | None = None


class _Payload(msgspec.Struct):
    """Any event; each has a few of these."""

    contentBlockIndex: int = 0
    start: _Delta | None = None
    delta: _Delta | None = None
    stopReason: str = ""
    usage: TokenUsage | None = None
    message: str = ""
    originalMessage: str = ""


_payload = msgspec.json.Decoder(_Payload)


class ConverseDecoder:
    """Implements `ports.Decoder`."""

    def __init__(self) -> None:
        self.is_done = False
        self._framing = Framing()
        self._block: int | None = None
        self._calls: dict[int, int] = {}
        self._image: Media | None = None
        self._finished: Finished | None = None

    def feed(self, piece: bytes) -> list[Event]:
        """The events that are complete now; see `ports.Decoder`."""
        events: list[Event] = []
        try:
            for message in self._framing.feed(piece):
                if not self.is_done:
                    self._read(message, events)
        except UpstreamInvalid as error:
            if not events:
                raise
            self._fail(error, events)  # how the wire was cut must not decide whether what came before is told
        return events

    def end(self) -> list[Event]:
        """`Finished`, if the stream stopped but did not tell its usage; see `ports.Decoder`."""
        if self.is_done:
            return []
        if self._finished is None or not self._framing.is_between:
            raise UpstreamBroken("The provider's stream ended before the answer was complete.")
        self.is_done = True
        return [self._finished]

    def _read(self, message: Message, events: list[Event]) -> None:
        kind = message.headers.get(":message-type", "event")
        if kind == "error":
            name, text = message.headers.get(":error-code", ""), message.headers.get(":error-message", "")
            self._fail(error_in_stream(name, text), events)
            return
        try:
            payload = _payload.decode(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamInvalid("An event of the provider's stream cannot be read.") from None
        if kind == "exception":
            text = payload.message or payload.originalMessage
            self._fail(error_in_stream(message.headers.get(":exception-type", ""), text), events)
            return
        match message.headers.get(":event-type"):
            case "contentBlockDelta":
                self._delta(payload, events)
            case "contentBlockStart":
                self._start(payload, events)
            case "contentBlockStop":
                self._stop_block(events)
            case "messageStart":
                events.append(Started())
            case "messageStop":
                self._stop(payload.stopReason, events)
            case "metadata":
                self._close(payload.usage, events)
            case _:  # a kind of event that came later than this was written
                pass

    def _start(self, payload: _Payload, events: list[Event]) -> None:
        self._turn_to(payload.contentBlockIndex, events)
        start = payload.start
        if start is None:
            return
        if start.toolUse is not None:
            call = self._calls[payload.contentBlockIndex] = len(self._calls)
            events.append(ToolCallStarted(call, start.toolUse.toolUseId, start.toolUse.name))
        elif start.image is not None:
            self._image = Media("image", f"image/{start.image.format}", "")

    def _delta(self, payload: _Payload, events: list[Event]) -> None:
        index, delta = payload.contentBlockIndex, payload.delta
        if index != self._block:
            self._turn_to(index, events)
        if delta is None:
            return
        if delta.text is not None:
            if delta.text:
                events.append(TextDelta(delta.text))
        elif delta.toolUse is not None:
            if index not in self._calls:
                raise UpstreamInvalid("The provider's stream goes on with a call that it did not begin.")
            if delta.toolUse.input:
                events.append(ArgumentsDelta(self._calls[index], delta.toolUse.input))
        elif (thought := delta.reasoningContent) is not None:
            is_opaque = thought.signature is not None or thought.redactedContent is not None
            origin = ORIGIN if is_opaque else ""
            if is_opaque or thought.text:
                events.append(ReasoningDelta(thought.text or "", thought.signature, thought.redactedContent, origin))
        elif delta.image is not None and delta.image.source is not None and self._image is not None:
            self._image.data = (self._image.data or "") + delta.image.source.bytes

    def _turn_to(self, index: int, events: list[Event]) -> None:
        """Another block begins. The one before has ended, even if the provider forgot to say so."""
        if self._block is not None:
            self._stop_block(events)
        self._block = index

    def _stop_block(self, events: list[Event]) -> None:
        if self._image is not None:
            events.append(PartGiven(self._image))
            self._image = None
        elif self._block is not None:
            events.append(PartEnded())
        self._block = None

    def _stop(self, reason: str, events: list[Event]) -> None:
        if self._block is not None:
            self._stop_block(events)
        try:
            self._finished = Finished(finish_of(reason, has_calls=bool(self._calls)))
        except UpstreamInvalid as error:
            self._fail(error, events)

    def _close(self, usage: TokenUsage | None, events: list[Event]) -> None:
        if usage is not None:
            events.append(UsageReported(usage_of(usage)))
        if self._finished is not None:
            events.append(self._finished)
            self.is_done = True

    def _fail(self, error: GatewayError, events: list[Event]) -> None:
        events.append(Failed(error))
        self.is_done = True
