"""Writes an answer as a stream of `GenerateContentResponse`s."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from aldgate.core.conversation import Finish, Reasoning, ToolCall
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Finished,
    PartGiven,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
)
from aldgate.core.usage import Usage
from aldgate.dialects.gemini.answers import Ending, parts_of, response
from aldgate.dialects.gemini.frames import Frames
from aldgate.dialects.gemini.keys import Object


class Encoder:
    """Implements `ports.Encoder`.

    Calls go out whole and last: their arguments may come in turns, and Gemini's clients take them as objects.

    Args:
        frames: How responses are cut.
        model: The name the caller used.
    """

    def __init__(self, frames: Frames, call_id: str, model: str) -> None:
        self._frames = frames
        self._call_id = call_id
        self._model = model
        self._calls: dict[int, ToolCall] = {}
        self._arguments: defaultdict[int, list[str]] = defaultdict(list)
        self._usage: Usage | None = None
        self._finish: Finish = "stop"

    def feed(self, events: Sequence[Event]) -> bytes:
        """What can be said now; see `ports.Encoder`."""
        parts: list[Object] = []
        for event in events:
            self._take(event, parts)
        return self._frames.write(response(self._call_id, self._model, parts)) if parts else b""

    def _take(self, event: Event, parts: list[Object]) -> None:
        match event:
            case TextDelta() | RefusalDelta():
                if event.text:
                    parts.append({"text": event.text})
            case ReasoningDelta():
                thought = Reasoning(event.text, event.signature, event.redacted, event.origin)
                parts += parts_of([thought])[0]
            case ToolCallStarted():
                call = ToolCall(event.id, event.name, "", event.is_custom, event.signature, event.origin)
                self._calls[event.index] = call
            case ArgumentsDelta():
                self._arguments[event.index].append(event.text)
            case PartGiven():
                parts += parts_of([event.part])[0]
            case UsageReported() | Started():
                self._usage = event.usage or self._usage
            case Finished():
                self._finish = event.reason
            case _:
                pass  # ends of parts are not marked here

    def end(self) -> bytes:
        """The calls, why it ended and what it used; see `ports.Encoder`."""
        for index, call in self._calls.items():
            call.arguments = "".join(self._arguments[index])
        parts, broken = parts_of(list(self._calls.values()))
        ending = Ending(self._finish, self._usage, broken)
        return self._frames.write(response(self._call_id, self._model, parts, ending)) + self._frames.end()
