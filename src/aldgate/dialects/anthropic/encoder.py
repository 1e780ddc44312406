"""Events as a stream of the Messages API, one content block open at a time.

Order: https://platform.claude.com/docs/en/build-with-claude/streaming. Calls that are made side by side wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from aldgate.core.conversation import Conversation, Media, Opaque
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
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
from aldgate.core.usage import Usage
from aldgate.dialects.anthropic.answers import message_id, stop_reason_of, wants_thoughts
from aldgate.dialects.anthropic.carried import carried, carried_of_call
from aldgate.dialects.anthropic.frames import frame
from aldgate.dialects.anthropic.usage import write_usage
from aldgate.dialects.omitted import omitted

Object = dict[str, Any]

_encode = msgspec.json.Encoder().encode


class _Call(msgspec.Struct):
    """A call that has begun, and the arguments that wait until it is its turn."""

    start: ToolCallStarted
    waiting: list[str]


class MessagesEncoder:
    """Implements `ports.Encoder` for one answer.

    Args:
        call_id: Names the message if the provider does not.
        model: Named if the provider names none.
        asked: The request, which tells whether thoughts are wanted.
        expected: Input tokens by our own count, told until the provider tells its own.
    """

    def __init__(self, call_id: str, model: str, asked: Conversation, expected: int) -> None:
        self._call_id = call_id
        self._model = model
        self._expected = expected
        self._wants_thoughts = wants_thoughts(asked)
        self._shows_thoughts = asked.thinking is None or asked.thinking.is_shown is not False
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._has_started = False
        self._index = -1
        self._open = ""
        """Kind of the block that is open: `text`, `thinking`, `tool_use`."""
        self._proof: tuple[str, str | None] = ("", None)
        """Origin and signature of the thought that is open."""
        self._calls: dict[int, _Call] = {}
        """Calls that have begun and not ended, by their index; the first is in the open block."""
        self._made = 0

    def feed(self, events: Sequence[Event]) -> bytes:
        """See `ports.Encoder`."""
        out: list[bytes] = []
        for event in events:
            self._write(event, out)
        return b"".join(out)

    def end(self) -> bytes:
        """See `ports.Encoder`."""
        out: list[bytes] = []
        self._start(Started(), out)
        self._close(out)
        finished = self._finished or Finished("stop")
        stop_sequence = finished.stop_sequence if finished.reason == "stop" else None
        reason = stop_reason_of(finished.reason, stop_sequence, has_calls=self._made > 0)
        usage = self._usage or Usage(input_tokens=self._expected)
        out.append(
            frame(
                "message_delta", {"delta": {"stop_reason": reason, "stop_sequence": stop_sequence}, "usage": write_usage(usage)}
            )
        )
        out.append(frame("message_stop", {}))
        return b"".join(out)

    def _write(self, event: Event, out: list[bytes]) -> None:
        if not self._has_started:
            self._start(event if isinstance(event, Started) else Started(), out)
        match event:
            case TextDelta() | RefusalDelta():
                self._say("text", "text", event.text, out)
            case ReasoningDelta():
                self._think(event, out)
            case ToolCallStarted():
                self._call(event, out)
            case ArgumentsDelta():
                self._arguments(event, out)
            case PartEnded():
                self._close(out)
            case PartGiven():
                self._give(event.part, out)
            case UsageReported():
                self._usage = event.usage
            case Finished():
                self._close(out)
                self._finished = event
            case _:
                pass

    def _start(self, event: Started, out: list[bytes]) -> None:
        if self._has_started:
            return
        self._has_started = True
        self._usage = event.usage
        usage = event.usage or Usage(input_tokens=self._expected)
        message: Object = {
            "id": message_id(event.id, self._call_id),
            "type": "message",
            "role": "assistant",
            "model": event.model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(usage),
        }
        out.append(frame("message_start", {"message": message}))

    def _say(self, kind: str, field: str, text: str, out: list[bytes]) -> None:
        if self._open != kind:
            self._close(out)
            empty = {"type": kind, field: ""} if kind == "text" else {"type": kind, field: "", "signature": ""}
            self._begin(kind, empty, out)
        if text:
            out.append(self._delta({"type": f"{kind}_delta", field: text}))

    def _think(self, event: ReasoningDelta, out: list[bytes]) -> None:
        if event.redacted is not None:
            self._close(out)
            self._whole({"type": "redacted_thinking", "data": event.redacted}, out)
        elif self._wants_thoughts:
            if self._open == "thinking" and self._proof[1] is not None:
                self._close(out)  # a signature was the last of its thought
            self._say("thinking", "thinking", event.text if self._shows_thoughts else "", out)
            self._proof = event.origin, event.signature

    def _call(self, event: ToolCallStarted, out: list[bytes]) -> None:
        if self._open != "tool_use":
            self._close(out)
        self._made += 1
        self._calls[event.index] = _Call(event, [])
        if self._open != "tool_use":
            self._begin_call(event, out)

    def _begin_call(self, event: ToolCallStarted, out: list[bytes]) -> None:
        if event.signature:
            self._whole(carried_of_call(event.origin, event.signature), out)
        call_id = event.id or f"toolu_{self._call_id.removeprefix('req-')}{event.index}"
        self._begin("tool_use", {"type": "tool_use", "id": call_id, "name": event.name, "input": {}}, out)

    def _arguments(self, event: ArgumentsDelta, out: list[bytes]) -> None:
        call = self._calls.get(event.index)
        if call is None:
            raise UpstreamInvalid("The provider went on with a tool call that had ended.")
        if call is next(iter(self._calls.values())):
            out.append(self._delta({"type": "input_json_delta", "partial_json": event.text}))
        else:
            call.waiting.append(event.text)

    def _give(self, part: Media | Opaque, out: list[bytes]) -> None:
        self._close(out)
        if isinstance(part, Opaque) and part.origin == "anthropic":
            self._whole(part.raw, out)
        else:
            self._say("text", "text", omitted(part), out)
            self._close(out)

    def _whole(self, block: Object, out: list[bytes]) -> None:
        self._begin("whole", block, out)
        self._end_block(out)

    def _begin(self, kind: str, block: Object, out: list[bytes]) -> None:
        self._index += 1
        self._open = kind
        out.append(frame("content_block_start", {"index": self._index, "content_block": block}))

    def _delta(self, delta: Object) -> bytes:
        return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n' % (
            self._index,
            _encode(delta),
        )

    def _close(self, out: list[bytes]) -> None:
        """End what is being said: the open block, and the calls that waited for it."""
        if not self._open:
            return
        if self._open == "thinking":
            out.append(self._delta({"type": "signature_delta", "signature": carried(*self._proof)}))
        self._end_block(out)
        waiting, self._calls = list(self._calls.values())[1:], {}
        for call in waiting:
            self._begin_call(call.start, out)
            if call.waiting:
                out.append(self._delta({"type": "input_json_delta", "partial_json": "".join(call.waiting)}))
            self._end_block(out)

    def _end_block(self, out: list[bytes]) -> None:
        out.append(frame("content_block_stop", {"index": self._index}))
        self._open = ""
