"""Events as an OpenAI chat stream (https://platform.openai.com/docs/api-reference/chat/streaming)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from aldgate.core.conversation import Finish, Media, Opaque, Reasoning, TokenLogprob
from aldgate.core.events import (
    AnswerTurned,
    ArgumentsDelta,
    Event,
    Finished,
    LogprobsGiven,
    PartGiven,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallStarted,
    UsageReported,
)
from aldgate.core.usage import Usage
from aldgate.dialects.omitted import omitted
from aldgate.dialects.openai.answers import block_of, extra_of, usage_of
from aldgate.dialects.openai.logprobs import logprobs_of
from aldgate.dialects.openai.pieces import has_place, image_of

Object = dict[str, Any]

_json = msgspec.json.Encoder()
_encode = _json.encode
DONE = b"data: [DONE]\n\n"


class _Choice:
    """What the caller was told of one of the answers."""

    __slots__ = ("finish", "has_begun", "images", "start", "tokens")

    def __init__(self, index: int) -> None:
        self.start = b'[{"index":%d,"delta":' % index
        self.has_begun = False
        self.images = 0
        self.finish: Finish = "stop"
        self.tokens: list[TokenLogprob] = []
        """Whose probabilities go out with what is said next."""

    def logprobs(self) -> bytes:
        tokens, self.tokens = self.tokens, []
        return _encode(logprobs_of(tokens))


class ChatEncoder:
    """Implements `ports.Encoder` for chat completions.

    Args:
        model: The name the caller used.
        wants_usage: The caller asked for a usage chunk; every other chunk then says `usage: null`.
    """

    def __init__(self, call_id: str, model: str, *, wants_usage: bool) -> None:
        head = {"id": f"chatcmpl-{call_id}", "object": "chat.completion.chunk", "created": int(time.time()), "model": model}
        self._head = b"data: " + _encode(head)[:-1] + b',"choices":'
        self._tail = b',"usage":null}\n\n' if wants_usage else b"}\n\n"
        self._wants_usage = wants_usage
        self._choices = [_Choice(0)]
        self._turn = self._choices[0]
        self._usage: Usage | None = None

    def feed(self, events: Sequence[Event]) -> bytes:
        """See `ports.Encoder`."""
        return b"".join(self._chunk(event) for event in events)

    def end(self) -> bytes:
        """See `ports.Encoder`."""
        last = b"".join(map(self._ended, self._choices))
        if not self._wants_usage:
            return last + DONE
        return last + self._head + b'[],"usage":' + _encode(usage_of(self._usage or Usage())) + b"}\n\n" + DONE

    def _ended(self, choice: _Choice) -> bytes:
        self._turn = choice
        begun = b"" if choice.has_begun else self._said({})
        parts = (begun, self._head, choice.start, b'{},"logprobs":', choice.logprobs(), b',"finish_reason":')
        return b"".join((*parts, _encode(choice.finish), b"}]", self._tail))

    def _chunk(self, event: Event) -> bytes:
        match event:
            case TextDelta():
                return self._said({"content": event.text})
            case ReasoningDelta():
                return self._thought(event)
            case RefusalDelta():
                return self._said({"refusal": event.text})
            case ToolCallStarted():
                return self._said({"tool_calls": [_started(event)]})
            case ArgumentsDelta():
                return self._said({"tool_calls": [{"index": event.index, "function": {"arguments": event.text}}]})
            case PartGiven():
                return self._given(event.part)
            case UsageReported():
                self._usage = event.usage
            case Finished():
                self._turn.finish = event.reason
            case LogprobsGiven():
                self._turn.tokens += event.tokens
            case AnswerTurned():
                while len(self._choices) <= event.index:
                    self._choices.append(_Choice(len(self._choices)))
                self._turn = self._choices[event.index]
            case _:
                pass
        return b""

    def _thought(self, event: ReasoningDelta) -> bytes:
        delta: Object = {"reasoning_content": event.text} if event.text else {}
        if event.signature is not None or event.redacted is not None:
            delta["thinking_blocks"] = [block_of(Reasoning(event.text, event.signature, event.redacted, event.origin))]
        return self._said(delta) if delta else b""

    def _given(self, part: Media | Opaque) -> bytes:
        if isinstance(part, Opaque) or not has_place(part):
            return self._said({"content": omitted(part)})
        choice = self._turn
        index, choice.images = choice.images, choice.images + 1
        return self._said({"images": [{"index": index, **image_of(part)}]})

    def _said(self, delta: Object) -> bytes:
        choice = self._turn
        if not choice.has_begun:
            choice.has_begun = True
            delta = {"role": "assistant", "content": "", **delta}
        logprobs = choice.logprobs() if choice.tokens else b"null"
        tail = (b',"logprobs":', logprobs, b',"finish_reason":null}]', self._tail)
        return b"".join((self._head, choice.start, _encode(delta), *tail))


def _started(event: ToolCallStarted) -> Object:
    if event.is_custom:
        return {"index": event.index, "id": event.id, "type": "custom", "custom": {"name": event.name, "input": ""}}
    call: Object = {
        "index": event.index,
        "id": event.id,
        "type": "function",
        "function": {"name": event.name, "arguments": ""},
    }
    if event.signature is not None:
        call["extra_content"] = extra_of(event.origin, event.signature)
    return call
