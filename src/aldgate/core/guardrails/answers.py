"""An answer on its way through a guard, event by event. A whole answer takes the same way, so that the two cannot differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aldgate.core.conversation import Opaque
from aldgate.core.errors import ContentBlocked
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Finished,
    PartEnded,
    PartGiven,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallStarted,
)
from aldgate.core.guardrails.guard import Passage
from aldgate.core.guardrails.requests import leaves
from aldgate.core.guardrails.stages import Stage


class StreamGuard:
    """Takes the events of an answer and gives those that may pass; text is held back only as long as it may be part of a find.

    Thoughts keep their placeholders: providers sign them, and want them back as they were.

    Args:
        passage: What became of the request.
        holds_json: The text of the answer was asked to be JSON.

    Attributes:
        blocked: The refusal that ends the answer, once there is one; nothing may pass after it.
    """

    def __init__(self, passage: Passage, *, holds_json: bool = False) -> None:
        self.blocked: ContentBlocked | None = None
        self._passage = passage
        self._holds_json = holds_json
        self._said: Stage | None = None
        """The text, refusal or thought that is open, and which of them it is."""
        self._kind: type[TextDelta | RefusalDelta | ReasoningDelta] = TextDelta
        self._thought: list[str] = []
        """What was thought; `_shown`: what passed of it."""
        self._shown: list[str] = []
        self._measures = passage.measures()
        self._calls: dict[int, Stage] = {}
        self._customs: dict[int, bool] = {}

    @property
    def held(self) -> int:
        """Characters held back."""
        return sum(stage.held for stage in (self._said, *self._calls.values()) if stage is not None)

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """Take what the provider said next; return what may pass now."""
        out: list[Event] = []
        try:
            for event in events:
                if self.blocked is None:
                    self._take(event, out)
        except ContentBlocked as error:
            self.blocked = error
        return out

    def _take(self, event: Event, out: list[Event]) -> None:
        match event:
            case TextDelta() | RefusalDelta():
                self._say(type(event), event.text, out)
            case ReasoningDelta():
                self._think(event, out)
            case ToolCallStarted():
                self._end_said(out)
                self._customs[event.index] = event.is_custom
                out.append(event)
            case ArgumentsDelta():
                self._argue(event, out)
            case PartEnded() | Finished():
                self._end_all(out)
                out.append(event)
            case PartGiven():
                self._end_all(out)
                out.append(self._given(event))
            case _:
                out.append(event)

    def _say(self, kind: type[TextDelta | RefusalDelta | ReasoningDelta], text: str, out: list[Event]) -> None:
        if self._said is not None and self._kind is not kind:
            self._end_said(out)
        if self._said is None:
            is_thought = kind is ReasoningDelta
            holds_json = self._holds_json and kind is TextDelta
            self._said = self._passage.answer(self._measures, restores=not is_thought, holds_json=holds_json)
            self._kind = kind
        self._pass(self._said.feed(text), out)

    def _think(self, event: ReasoningDelta, out: list[Event]) -> None:
        if event.redacted is not None:
            self._end_said(out)
            out.append(event)
            return
        if event.text:
            self._thought.append(event.text)
            self._say(ReasoningDelta, event.text, out)
        if event.signature is not None:
            self._end_said(out)
            if "".join(self._thought) == "".join(self._shown):  # else the signature is of other words
                out.append(ReasoningDelta("", event.signature, None, event.origin))
            self._thought, self._shown = [], []

    def _argue(self, event: ArgumentsDelta, out: list[Event]) -> None:
        stage = self._calls.get(event.index)
        if stage is None:
            is_json = not self._customs.get(event.index, False)
            stage = self._calls[event.index] = self._passage.answer(self._measures, is_json=is_json)
        passed = stage.feed(event.text)
        if passed:
            out.append(ArgumentsDelta(event.index, passed))

    def _given(self, event: PartGiven) -> PartGiven:
        if not isinstance(event.part, Opaque):
            return event
        part = event.part

        def change(text: str) -> str:
            stage = self._passage.answer(self._measures)
            return stage.feed(text) + stage.end()

        return PartGiven(Opaque(part.origin, part.kind, leaves(part.raw, change)))

    def _end_said(self, out: list[Event]) -> None:
        stage, self._said = self._said, None
        if stage is not None:
            self._pass(stage.end(), out)

    def _pass(self, text: str, out: list[Event]) -> None:
        if not text:
            return
        if self._kind is ReasoningDelta:
            self._shown.append(text)
        out.append(self._kind(text))

    def _end_all(self, out: list[Event]) -> None:
        self._end_said(out)
        for index in list(self._calls):
            stage = self._calls.pop(index)
            if rest := stage.end():
                out.append(ArgumentsDelta(index, rest))


def joined(events: Sequence[Event]) -> list[str]:
    """The texts that the events say, deltas that follow each other in one."""
    texts: list[str] = []
    last: Mark = None
    for event in events:
        mark = _mark(event)
        if mark is not None and isinstance(event, _Saying):
            if mark == last:
                texts[-1] += event.text
            else:
                texts.append(event.text)
        last = mark
    return texts


def replaced(events: Sequence[Event], texts: Sequence[str]) -> list[Event]:
    """The events with other texts in place of those that `joined` gave. A thought that is another one loses its signature."""
    ahead = iter(zip(joined(events), texts, strict=True))
    out: list[Event] = []
    last: Mark = None
    is_other = False
    for event in events:
        mark = _mark(event)
        if mark is not None and mark != last and isinstance(event, _Saying):
            before, event.text = next(ahead)
            is_other = before != event.text
        if mark is None:
            if not (isinstance(event, ReasoningDelta) and is_other):
                out.append(event)
        elif mark != last:
            out.append(event)
        last = mark
    return out


_Saying = TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta
Mark = tuple[type, int] | None
"""What a delta goes on with: two that follow each other with the same mark say one text. None: it says none."""


def _mark(event: Event) -> Mark:
    match event:
        case ReasoningDelta(text=""):
            return None
        case TextDelta() | RefusalDelta() | ReasoningDelta():
            return type(event), 0
        case ArgumentsDelta():
            return ArgumentsDelta, event.index
        case _:
            return None
