"""An OpenAI chat stream as events (https://platform.openai.com/docs/api-reference/chat/streaming)."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.errors import UpstreamError, UpstreamInvalid
from aldgate.core.events import (
    AnswerTurned,
    ArgumentsDelta,
    Event,
    Failed,
    Finished,
    LogprobsGiven,
    PartGiven,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
)
from aldgate.dialects.openai.errors import ErrorBody, error_in_reply
from aldgate.dialects.openai.finish import FAILURES, finish_of
from aldgate.dialects.openai.logprobs import read_logprobs
from aldgate.dialects.openai.pieces import Call, Content, Image, call_signature, said_of
from aldgate.dialects.openai.usage import UsageBody
from aldgate.dialects.sse import EventReader
from aldgate.dialects.stream import StreamDecoder


class _Delta(msgspec.Struct):
    content: Content = None
    reasoning_content: Content = None
    reasoning: Content = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    images: list[Image] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str | None = None
    """What a legacy completion says."""
    finish_reason: str | None = None
    index: int | None = None
    logprobs: Any = None


class _Groq(msgspec.Struct):
    usage: UsageBody | None = None
    error: ErrorBody | str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: UsageBody | None = None
    error: ErrorBody | str | None = None
    x_groq: _Groq | None = None
    id: str | None = None
    model: str | None = None
    service_tier: Any = None


_chunk = msgspec.json.Decoder(_Chunk)


class _Told:
    """What one of the answers has told so far."""

    __slots__ = ("finish", "ids", "indices")

    def __init__(self) -> None:
        self.finish: str | None = None
        self.indices: dict[int, int] = {}
        self.ids: list[str] = []


class ChatDecoder(StreamDecoder):
    """Reads streams of completions, of chats and legacy ones, of every server that speaks OpenAI's wire.

    Calls are told apart by `index`; where a server gives all of them index 0, a new id begins a new call.

    Args:
        tells_bill: The provider says which model answered and what that cost.
    """

    def __init__(self, *, tells_bill: bool = False) -> None:
        super().__init__(EventReader())
        self._tells_bill = tells_bill
        self._has_started = False
        self._answers = {0: _Told()}
        self._turn = 0

    def _read(self, payload: bytes, events: list[Event]) -> None:
        if payload == b"[DONE]":
            self._close(events)
            return
        try:
            chunk = _chunk.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamInvalid("The provider sent an event that is not a chunk of a completion.") from error
        fault = chunk.error or (chunk.x_groq.error if chunk.x_groq else None)
        if fault is not None:
            return self._fail(error_in_reply(fault), events)
        if not self._has_started:
            self._has_started = True
            events.append(Started(chunk.id or "", chunk.model or ""))
        for choice in chunk.choices or ():
            self._choose(choice, events)
            if self.is_done:
                return
        usage = chunk.usage or (chunk.x_groq.usage if chunk.x_groq else None)
        if usage is not None:
            events.append(UsageReported(usage.billed(chunk.model) if self._tells_bill else usage.canonical(chunk.service_tier)))

    def _fail(self, error: UpstreamError, events: list[Event]) -> None:
        events.append(Failed(error))
        self.is_done = True

    def _choose(self, choice: _Choice, events: list[Event]) -> None:
        index = choice.index or 0
        if index != self._turn:
            self._turn = index
            self._answers.setdefault(index, _Told())
            events.append(AnswerTurned(index))
        told = self._answers[index]
        if choice.logprobs is not None and (tokens := read_logprobs(choice.logprobs)):
            events.append(LogprobsGiven(tokens))
        if choice.delta is not None:
            self._said(choice.delta, told, events)
        if choice.text:
            events.append(TextDelta(choice.text))
        if choice.finish_reason is not None:
            told.finish = choice.finish_reason
            if told.finish in FAILURES:
                self._fail(UpstreamError("The provider gave up in the middle of its answer."), events)

    def _close(self, events: list[Event]) -> None:
        self.is_done = True
        if not all(told.finish is not None for told in self._answers.values()):
            super()._close(events)
        for index, told in self._answers.items():
            if index != self._turn:
                self._turn = index
                events.append(AnswerTurned(index))
            events.append(Finished(finish_of(told.finish, has_calls=bool(told.ids))))

    def _said(self, delta: _Delta, told: _Told, events: list[Event]) -> None:
        thoughts, text = said_of(delta.content, delta.reasoning_content or delta.reasoning)
        if thoughts:
            events.append(ReasoningDelta(thoughts))
        if text:
            events.append(TextDelta(text))
        if delta.refusal:
            events.append(RefusalDelta(delta.refusal))
        for image in delta.images or ():
            events.append(PartGiven(image.media))
        for call in delta.tool_calls or ():
            _called(call, told, events)


def _called(call: Call, told: _Told, events: list[Event]) -> None:
    inner = call.function or call.custom
    slot = call.index if call.index is not None else len(told.ids) - (not call.id)
    known = told.indices.get(slot)
    if known is None or (call.id and inner is not None and inner.name and told.ids[known] != call.id):
        known = told.indices[slot] = len(told.ids)
        call_id = call.id or f"call_{known}"
        told.ids.append(call_id)
        signature = call_signature(call)
        name = (inner.name if inner else None) or ""
        origin = "gemini" if signature else ""
        events.append(ToolCallStarted(known, call_id, name, call.custom is not None, signature, origin))
    if inner is not None and inner.text:
        events.append(ArgumentsDelta(known, inner.text))
