"""A stream of `/api/chat` as events (https://docs.ollama.com/api/streaming)."""

from __future__ import annotations

import msgspec

from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Failed,
    Finished,
    LogprobsGiven,
    PartEnded,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
)
from aldgate.dialects.lines import LineReader
from aldgate.dialects.ollama.errors import error_in_stream, no_reply
from aldgate.dialects.ollama.pieces import Call, NewId, Piece, new_call_id, read_piece
from aldgate.dialects.openai.logprobs import tokens_of
from aldgate.dialects.stream import StreamDecoder


class ChatDecoder(StreamDecoder):
    """Reads the stream. Calls come whole, and are counted here: all of a server's may have index 0.

    Args:
        new_id: Makes ids for calls that have none.
    """

    def __init__(self, new_id: NewId = new_call_id) -> None:
        super().__init__(LineReader())
        self._new_id = new_id
        self._has_started = False
        self._calls = 0

    def _read(self, payload: bytes, events: list[Event]) -> None:
        fault = error_in_stream(payload)
        if fault is not None:
            self.is_done = True
            events.append(Failed(fault))
            return
        try:
            piece = read_piece(payload)
            self._told(piece, events)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise no_reply() from error

    def _told(self, piece: Piece, events: list[Event]) -> None:
        if not self._has_started:
            self._has_started = True
            events.append(Started("", piece.model))
        if piece.logprobs:
            events.append(LogprobsGiven(tokens_of(piece.logprobs)))
        said = piece.message
        if said is not None:
            if said.thinking:
                events.append(ReasoningDelta(said.thinking))
            if said.content:
                events.append(TextDelta(said.content))
            for call in said.tool_calls or ():
                self._called(call, events)
        if piece.done:
            self.is_done = True
            if piece.usage is not None:
                events.append(UsageReported(piece.usage))
            events.append(Finished(piece.finish(has_calls=self._calls > 0)))

    def _called(self, call: Call, events: list[Event]) -> None:
        index = self._calls
        self._calls += 1
        events += (
            ToolCallStarted(index, call.id or self._new_id(), call.function.name),
            ArgumentsDelta(index, call.function.text),
            PartEnded(),
        )
