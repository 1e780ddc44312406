"""A reply in one dialect becomes an answer in another: what the decoder reads, the encoder writes."""

from __future__ import annotations

from collections.abc import Sequence

from aldgate.core.calls import Peek
from aldgate.core.conversation import Answer, Conversation, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import GatewayError, UpstreamBroken, UpstreamInvalid
from aldgate.core.events import (
    AnswerTurned,
    ArgumentsDelta,
    Event,
    Failed,
    Finished,
    PartGiven,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
)
from aldgate.core.operations import Request, Result
from aldgate.core.principals import Operation
from aldgate.core.usage import Usage
from aldgate.ports import Decoder, Encoder, FaceDialect, UpstreamDialect

MOST_STREAMED_BYTES = 134_217_728
"""A stream that is translated may not be larger: dialects that repeat the whole answer at its end keep it until then."""
SHORT = 16
"""Characters of text that are one token, where they come by themselves; few tokens are longer."""
_SAYS = frozenset({TextDelta, ReasoningDelta, RefusalDelta, ArgumentsDelta, ToolCallStarted, PartGiven})


class Translation:
    """Implements `ports.Relay` between two dialects.

    Args:
        asked: The request in neutral words; the answer may have to repeat some of it.
    """

    def __init__(
        self, call_id: str, operation: Operation, peek: Peek, asked: Request, face: FaceDialect, upstream: UpstreamDialect
    ) -> None:
        self.usage: Usage | None = None
        self.delivered = 0
        self.is_done = False
        self.failure: GatewayError | None = None
        self._call_id = call_id
        self._operation: Operation = operation
        self._peek = peek
        self._asked = asked
        self._face = face
        self._upstream = upstream
        self._is_finished = False
        self._wants_one = not isinstance(asked, Conversation) or asked.choices == 1
        self._is_beside = False
        """The provider tells of an answer that nobody asked for."""
        self._streamed_bytes = 0
        self._decoder: Decoder
        self._encoder: Encoder
        if peek.stream:
            self._decoder = upstream.decoder()
            self._encoder = face.encoder(call_id, peek, asked)

    def whole(self, body: bytes) -> bytes:
        """See `ports.Relay`."""
        result = self._upstream.read(self._operation, body)
        self.usage = result.usage
        self.delivered = said_tokens(result)
        return self._face.write(self._call_id, self._peek, self._asked, result)

    def feed(self, piece: bytes) -> bytes:
        """See `ports.Relay`."""
        self._streamed_bytes += len(piece)
        if self._streamed_bytes > MOST_STREAMED_BYTES:
            raise UpstreamInvalid("The provider sent a stream that does not end.")
        said = self._tell(self._decoder.feed(piece))
        return said + self._close() if self._decoder.is_done and self.failure is None else said

    def end(self) -> bytes:
        """See `ports.Relay`."""
        if self.is_done:
            return b""
        said = self._tell(self._decoder.end())
        if self.failure is not None:
            raise self.failure
        if not self._is_finished:
            raise UpstreamBroken("The provider's stream ended before the answer did.")
        return said + self._close()

    def _close(self) -> bytes:
        self.is_done = True
        return self._encoder.end()

    def _of_first(self, events: Sequence[Event]) -> list[Event]:
        """What belongs to the one answer that was asked for; the usage of all is the call's."""
        kept: list[Event] = []
        for event in events:
            if isinstance(event, AnswerTurned):
                self._is_beside = event.index > 0
            elif not self._is_beside or isinstance(event, Started | UsageReported | Failed):
                kept.append(event)
        return kept

    def _tell(self, events: Sequence[Event]) -> bytes:
        if self._wants_one and (self._is_beside or any(type(event) is AnswerTurned for event in events)):
            events = self._of_first(events)
        for place, event in enumerate(events):
            kind = type(event)
            if kind in _SAYS:
                said: str = getattr(event, "text", "")
                self.delivered += 1 if len(said) <= SHORT else len(said) // 4
            elif isinstance(event, UsageReported):
                self.usage = event.usage
            elif isinstance(event, Started):
                self.usage = event.usage or self.usage
            elif isinstance(event, Finished):
                self._is_finished = True
            elif isinstance(event, Failed):
                if not self.delivered:
                    raise event.error  # nothing was said yet that would be worth passing on
                self.failure = event.error
                events = events[:place]
                break
        return self._write(events) if events else b""

    def _write(self, events: Sequence[Event]) -> bytes:
        """What the caller gets of these events."""
        return self._encoder.feed(events)


def said_tokens(result: Result) -> int:
    """Output tokens by our own count: about one for four bytes of what was said."""
    if not isinstance(result, Answer):
        return 0
    parts = [part for answer in (result, *result.others) for part in answer.parts]
    texts = (part.text for part in parts if isinstance(part, Text | Refusal | Reasoning))
    calls = (part.name + part.arguments for part in parts if isinstance(part, ToolCall))
    return -(-sum(len(said.encode()) for said in (*texts, *calls)) // 4)
