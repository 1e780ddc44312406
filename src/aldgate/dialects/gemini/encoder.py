"""Writes an answer as a stream of `GenerateContentResponse`s."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from aldgate.core.conversation import Finish, Reasoning, TokenLogprob, ToolCall
from aldgate.core.events import (
    AnswerTurned,
    ArgumentsDelta,
    Event,
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
from aldgate.core.usage import Usage
from aldgate.dialects.gemini.answers import Ending, candidate_of, parts_of, response
from aldgate.dialects.gemini.frames import Frames
from aldgate.dialects.gemini.keys import Object


class _Candidate:
    """What of one of the answers the caller was not told yet."""

    __slots__ = ("arguments", "calls", "finish", "index", "parts", "tokens")

    def __init__(self, index: int) -> None:
        self.index = index
        self.calls: dict[int, ToolCall] = {}
        self.arguments: defaultdict[int, list[str]] = defaultdict(list)
        self.finish: Finish = "stop"
        self.parts: list[Object] = []
        self.tokens: list[TokenLogprob] = []

    def piece(self) -> Object:
        """What can be said now."""
        parts, self.parts = self.parts, []
        tokens, self.tokens = self.tokens, []
        return candidate_of(self.index, parts, tokens)

    def ending(self) -> Object:
        """The calls, and why it ended."""
        for index, call in self.calls.items():
            call.arguments = "".join(self.arguments[index])
        parts, broken = parts_of(list(self.calls.values()))
        return candidate_of(self.index, [*self.parts, *parts], self.tokens, Ending(self.finish, broken))


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
        self._candidates = [_Candidate(0)]
        self._turn = self._candidates[0]
        self._usage: Usage | None = None

    def feed(self, events: Sequence[Event]) -> bytes:
        """What can be said now; see `ports.Encoder`."""
        for event in events:
            self._take(event, self._turn)
        said = [candidate.piece() for candidate in self._candidates if candidate.parts]
        return self._frames.write(response(self._call_id, self._model, said)) if said else b""

    def _take(self, event: Event, candidate: _Candidate) -> None:
        match event:
            case TextDelta() | RefusalDelta():
                if event.text:
                    candidate.parts.append({"text": event.text})
            case ReasoningDelta():
                thought = Reasoning(event.text, event.signature, event.redacted, event.origin)
                candidate.parts += parts_of([thought])[0]
            case ToolCallStarted():
                call = ToolCall(event.id, event.name, "", event.is_custom, event.signature, event.origin)
                candidate.calls[event.index] = call
            case ArgumentsDelta():
                candidate.arguments[event.index].append(event.text)
            case PartGiven():
                candidate.parts += parts_of([event.part])[0]
            case LogprobsGiven():
                candidate.tokens += event.tokens
            case AnswerTurned():
                while len(self._candidates) <= event.index:
                    self._candidates.append(_Candidate(len(self._candidates)))
                self._turn = self._candidates[event.index]
            case UsageReported() | Started():
                self._usage = event.usage or self._usage
            case Finished():
                candidate.finish = event.reason
            case _:
                pass  # ends of parts are not marked here

    def end(self) -> bytes:
        """The calls, why it ended and what it used; see `ports.Encoder`."""
        said = [candidate.ending() for candidate in self._candidates]
        return self._frames.write(response(self._call_id, self._model, said, self._usage)) + self._frames.end()
