"""Events as a Responses stream (https://platform.openai.com/docs/api-reference/responses-streaming).

Items open and close in the order clients rely on: added, its parts and deltas, done. Calls may stay open side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from aldgate.core.conversation import Finish, Media, Opaque, Reasoning, ToolCall
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
from aldgate.dialects.omitted import omitted
from aldgate.dialects.responses.pen import DONE, Pen
from aldgate.dialects.responses.sealed import ORIGIN, seal_call, seal_thought
from aldgate.dialects.responses.written import (
    Frame,
    call_item,
    image_item,
    item_id,
    message_item,
    refusal_part,
    text_part,
    thought_item,
)

Object = dict[str, Any]
Said = Literal["output_text", "refusal"]


class _OpenCall(msgspec.Struct):
    index: int
    """Among the output items."""
    id: str
    call: ToolCall
    is_custom: bool


class ResponsesEncoder:
    """Implements `ports.Encoder`."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._pen = Pen()
        self._out: list[bytes] = []
        self._items: list[Object] = []
        """By output index; those that are open stand there as they began."""
        self._has_begun = False
        self._said: Said | None = None
        """The kind of the message part that is open."""
        self._pieces: list[str] = []
        """Of what is open: a message part, or a thought."""
        self._message: int | None = None
        """Output index of the open message."""
        self._thought: int | None = None
        self._calls: dict[int, _OpenCall] = {}
        self._finish: Finish = "stop"
        self._usage: Usage | None = None

    def feed(self, events: Sequence[Event]) -> bytes:
        """See `ports.Encoder`."""
        for event in events:
            self._take(event)
        out, self._out = b"".join(self._out), []
        return out

    def end(self) -> bytes:
        """See `ports.Encoder`: the terminal event, which alone holds the usage, and `[DONE]`, which one old client waits for."""
        self._begin()
        self._close_all()
        response = self._frame.ended(self._finish, self._items, self._usage)
        self._out.append(self._pen.lifecycle(response["status"], response) + DONE)
        return self.feed(())

    def _take(self, event: Event) -> None:
        if not self._has_begun:
            self._begin()
        match event:
            case TextDelta():
                self._say("output_text", event.text)
            case RefusalDelta():
                self._say("refusal", event.text)
            case ReasoningDelta():
                self._think(event)
            case ToolCallStarted():
                self._call(event)
            case ArgumentsDelta():
                self._argue(event)
            case PartEnded():
                self._close_part()
                self._close_thought(None)
                self._close_calls()
            case PartGiven():
                self._give(event.part)
            case UsageReported():
                self._usage = event.usage
            case Started(usage=usage):
                self._usage = usage or self._usage
            case Finished():
                self._finish = event.reason
            case _:
                pass

    def _give(self, part: Media | Opaque) -> None:
        match part:
            case Opaque(origin=origin, raw=raw) if origin == ORIGIN:
                self._close_all()
                self._done(self._add(raw), raw)
            case Media(kind="image", data=str(data)):
                self._close_all()
                image = image_item(self._id("ig"), data)
                self._done(self._add({**image, "status": "in_progress", "result": None}), image)
            case _:
                self._say("output_text", omitted(part))
                self._close_part()

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            response = self._frame.begun()
            self._out += (self._pen.lifecycle("created", response), self._pen.lifecycle("in_progress", response))

    def _add(self, item: Object) -> int:
        self._items.append(item)
        index = len(self._items) - 1
        self._out.append(self._pen.item("added", index, item))
        return index

    def _done(self, index: int, item: Object) -> None:
        self._items[index] = item
        self._out.append(self._pen.item("done", index, item))

    def _id(self, kind: str) -> str:
        return item_id(kind, self._frame, len(self._items))

    def _say(self, said: Said, text: str) -> None:
        if self._said != said:
            self._close_part()
            self._open_part(said)
        self._pieces.append(text)
        self._out.append(self._pen.delta(text))

    def _open_part(self, said: Said) -> None:
        self._close_thought(None)
        self._close_calls()
        if self._message is None:
            self._message = self._add(message_item(self._id("msg"), [], "in_progress"))
        self._said = said
        item = self._items[self._message]
        place = (item["id"], self._message, len(item["content"]))
        self._out.append(self._pen.part("added", place, text_part("") if said == "output_text" else refusal_part("")))
        self._pen.aim(f"response.{said}.delta", place, logprobs=said == "output_text")

    def _close_part(self) -> None:
        if self._said is None or self._message is None:
            return
        text, said = "".join(self._pieces), self._said
        self._pieces, self._said = [], None
        item = self._items[self._message]
        part = text_part(text) if said == "output_text" else refusal_part(text)
        place = (item["id"], self._message, len(item["content"]))
        more: Object = {"text": text, "logprobs": []} if said == "output_text" else {"refusal": text}
        self._out += (self._pen.said(f"response.{said}.done", place, more), self._pen.part("done", place, part))
        item["content"] = [*item["content"], part]

    def _close_message(self) -> None:
        self._close_part()
        if self._message is not None:
            item = self._items[self._message]
            self._done(self._message, message_item(item["id"], item["content"]))
            self._message = None

    def _think(self, event: ReasoningDelta) -> None:
        if self._thought is None or event.redacted is not None:
            self._close_all()
            self._thought = self._add(thought_item(self._id("rs"), "", None))
            self._pen.aim_summary((self._items[self._thought]["id"], self._thought, 0))
        if event.text:
            if not self._pieces:
                self._out.append(self._pen.summary("part.added", ""))
            self._pieces.append(event.text)
            self._out.append(self._pen.delta(event.text))
        if event.signature is not None or event.redacted is not None:
            self._close_thought(event)

    def _close_thought(self, last: ReasoningDelta | None) -> None:
        if self._thought is None:
            return
        index, text = self._thought, "".join(self._pieces)
        self._thought, self._pieces = None, []
        if text:
            self._out += (self._pen.summary("text.done", text), self._pen.summary("part.done", text))
        sealed = seal_thought(Reasoning(text, last.signature, last.redacted, last.origin)) if last is not None else None
        self._done(index, thought_item(self._items[index]["id"], text, sealed))

    def _call(self, event: ToolCallStarted) -> None:
        self._close_message()
        self._close_thought(None)
        call = ToolCall(event.id, event.name, "", event.is_custom, event.signature, event.origin)
        proof = seal_call(call)
        if proof is not None:
            thought = thought_item(self._id("rs"), "", proof)
            self._done(self._add(thought), thought)
        item = call_item(self._id("fc"), call, self._frame.table, "in_progress")
        index = self._add(item)
        self._calls[event.index] = _OpenCall(index, item["id"], call, item["type"] == "custom_tool_call")

    def _argue(self, event: ArgumentsDelta) -> None:
        opened = self._calls.get(event.index)
        if opened is None:
            raise UpstreamInvalid("The provider went on with a call that it had ended.")
        opened.call.arguments += event.text
        if not opened.is_custom:
            self._out.append(self._pen.argument((opened.id, opened.index), event.text))
        elif opened.call.is_custom:
            self._out.append(self._pen.custom("delta", (opened.id, opened.index), event.text))

    def _close_calls(self) -> None:
        for opened in self._calls.values():
            item = call_item(opened.id, opened.call, self._frame.table)
            place = (opened.id, opened.index)
            if opened.is_custom:
                if not opened.call.is_custom and item["input"]:  # it came as a function's JSON: free text only now
                    self._out.append(self._pen.custom("delta", place, item["input"]))
                self._out.append(self._pen.custom("done", place, item["input"]))
            else:
                self._out.append(self._pen.arguments(place, item["name"], item["arguments"]))
            self._done(opened.index, item)
        self._calls.clear()

    def _close_all(self) -> None:
        self._close_message()
        self._close_thought(None)
        self._close_calls()
