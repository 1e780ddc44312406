"""Events as an OpenAI chat stream (https://platform.openai.com/docs/api-reference/chat/streaming)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from aldgate.core.conversation import Finish, Media, Opaque, Reasoning
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Finished,
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
from aldgate.dialects.openai.pieces import has_place, image_of

Object = dict[str, Any]

_json = msgspec.json.Encoder()
_encode = _json.encode
DONE = b"data: [DONE]\n\n"


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
        self._has_begun = False
        self._images = 0
        self._finish: Finish = "stop"
        self._usage: Usage | None = None

    def feed(self, events: Sequence[Event]) -> bytes:
        """See `ports.Encoder`."""
        return b"".join(self._chunk(event) for event in events)

    def end(self) -> bytes:
        """See `ports.Encoder`."""
        last = self._head + b'[{"index":0,"delta":{},"logprobs":null,"finish_reason":%s}]' % _encode(self._finish) + self._tail
        if not self._has_begun:
            last = self._said({}) + last
        if not self._wants_usage:
            return last + DONE
        return last + self._head + b'[],"usage":' + _encode(usage_of(self._usage or Usage())) + b"}\n\n" + DONE

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
                self._finish = event.reason
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
        index, self._images = self._images, self._images + 1
        return self._said({"images": [{"index": index, **image_of(part)}]})

    def _said(self, delta: Object) -> bytes:
        if not self._has_begun:
            self._has_begun = True
            delta = {"role": "assistant", "content": "", **delta}
        return b"".join(
            (self._head, b'[{"index":0,"delta":', _encode(delta), b',"logprobs":null,"finish_reason":null}]', self._tail)
        )


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
