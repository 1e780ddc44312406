"""A streamed answer as events, and the two ways between them and a whole `Answer`.

A decoder per dialect makes these, an encoder per dialect writes them: N of each, never one per pair.
`fold(unfold(answer))` is the answer again, so what a whole reply says and what a stream says cannot drift apart.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from aldgate.core.conversation import Answer, Finish, Media, Opaque, Part, Reasoning, Refusal, Text, TokenLogprob, ToolCall
from aldgate.core.errors import GatewayError
from aldgate.core.usage import Usage


class Started(Struct):
    """The provider began to answer. First of all events, and once; `usage` is what it says of the input so far."""

    id: str = ""
    model: str = ""
    usage: Usage | None = None


class TextDelta(Struct):
    """More text."""

    text: str


class RefusalDelta(Struct):
    """More of a refusal."""

    text: str


class ReasoningDelta(Struct):
    """More of a thought; a signature comes once, with the last of it. `redacted` is a thought of its own."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    origin: str = ""


class ToolCallStarted(Struct):
    """A tool is called. `index` counts the calls of the answer from 0; calls may be open side by side."""

    index: int
    id: str
    name: str
    is_custom: bool = False
    signature: str | None = None
    origin: str = ""


class ArgumentsDelta(Struct):
    """More of a call's arguments: a piece of JSON text that need not parse by itself."""

    index: int
    text: str


class PartEnded(Struct):
    """What was being said is complete: text that follows is a part of its own. A change of kind says the same."""


class PartGiven(Struct):
    """A part that comes whole: media, or what only its own dialect knows."""

    part: Media | Opaque


class LogprobsGiven(Struct):
    """How likely the tokens were that come next."""

    tokens: list[TokenLogprob]


class AnswerTurned(Struct):
    """Of several answers that are given side by side, what follows belongs to the one of this index; at first it is 0."""

    index: int


class UsageReported(Struct):
    """What the answer used so far, all in all. A later report replaces this one."""

    usage: Usage


class Finished(Struct):
    """The model stopped, and why. Only usage may follow, and other answers."""

    reason: Finish
    stop_sequence: str | None = None


class Failed(Struct):
    """The provider gave up in the middle. Nothing follows."""

    error: GatewayError


Event = (
    Started
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ToolCallStarted
    | ArgumentsDelta
    | PartEnded
    | PartGiven
    | LogprobsGiven
    | AnswerTurned
    | UsageReported
    | Finished
    | Failed
)


def unfold(answer: Answer) -> Iterator[Event]:
    """The events of a whole answer, each part in one piece."""
    yield Started(answer.id, answer.model)
    yield from _said(answer)
    if answer.usage is not None:
        yield UsageReported(answer.usage)
    yield Finished(answer.finish, answer.stop_sequence)
    for index, other in enumerate(answer.others, 1):
        yield AnswerTurned(index)
        yield from _said(other)
        yield Finished(other.finish, other.stop_sequence)


def _said(answer: Answer) -> Iterator[Event]:
    if answer.logprobs:
        yield LogprobsGiven(answer.logprobs)
    calls = 0
    for part in answer.parts:
        if isinstance(part, ToolCall):
            yield ToolCallStarted(calls, part.id, part.name, part.is_custom, part.signature, part.origin)
            if part.arguments:
                yield ArgumentsDelta(calls, part.arguments)
            calls += 1
        else:
            yield _event_of(part)
        yield PartEnded()


def _event_of(part: Part) -> Event:
    match part:
        case Text():
            return TextDelta(part.text)
        case Refusal():
            return RefusalDelta(part.text)
        case Reasoning():
            return ReasoningDelta(part.text, part.signature, part.redacted, part.origin)
        case Media() | Opaque():
            return PartGiven(part)
        case _:
            raise TypeError(f"an answer holds no {type(part).__name__}")


def fold(events: Iterable[Event]) -> Answer:
    """The answer that `events` tell.

    Raises:
        GatewayError: They end in `Failed`.
    """
    folding = Folding()
    for event in events:
        folding.feed(event)
    return folding.answer


class Folding:
    """An answer, with the others beside it, that grows with its events. A fault (`Failed`) is raised."""

    def __init__(self) -> None:
        self._growing = [_Growing(Answer([]))]
        self._turn = self._growing[0]

    @property
    def answer(self) -> Answer:
        """As much as was told."""
        return self._growing[0].answer

    def feed(self, event: Event) -> None:
        """Take the next event.

        Raises:
            GatewayError: It is `Failed`.
        """
        match event:
            case AnswerTurned():
                while len(self._growing) <= event.index:
                    self._growing.append(_Growing(Answer([])))
                    self.answer.others.append(self._growing[-1].answer)
                self._turn = self._growing[event.index]
            case Started():
                self.answer.id, self.answer.model, self.answer.usage = event.id, event.model, event.usage
            case UsageReported():
                self.answer.usage = event.usage
            case Failed():
                raise event.error
            case _:
                self._turn.feed(event)


class _Growing:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self._calls: dict[int, ToolCall] = {}
        self._is_open = False

    def feed(self, event: Event) -> None:
        answer = self.answer
        match event:
            case TextDelta() | RefusalDelta() | ReasoningDelta():
                self._say(event)
            case ToolCallStarted():
                call = ToolCall(event.id, event.name, "", event.is_custom, event.signature, event.origin)
                self._calls[event.index] = call
                answer.parts.append(call)
            case ArgumentsDelta():
                self._calls[event.index].arguments += event.text
            case PartEnded():
                self._is_open = False
            case PartGiven():
                answer.parts.append(event.part)
            case LogprobsGiven():
                answer.logprobs += event.tokens
            case Finished():
                answer.finish, answer.stop_sequence = event.reason, event.stop_sequence
            case _:
                pass

    def _say(self, event: TextDelta | RefusalDelta | ReasoningDelta) -> None:
        last = self.answer.parts[-1] if self._is_open and self.answer.parts else None
        self._is_open = True
        match event, last:
            case (TextDelta(), Text()) | (RefusalDelta(), Refusal()):
                last.text += event.text
            case ReasoningDelta(redacted=None), Reasoning(redacted=None, signature=None):
                last.text += event.text
                last.signature, last.origin = event.signature, event.origin or last.origin
            case ReasoningDelta(), _:
                self.answer.parts.append(Reasoning(event.text, event.signature, event.redacted, event.origin))
            case TextDelta(), _:
                self.answer.parts.append(Text(event.text))
            case _:
                self.answer.parts.append(Refusal(event.text))
