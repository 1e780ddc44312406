"""What a model says and what a provider refuses, in no wire's words: each file beside this one writes it in one wire's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.replies import Object, encode

Finish = Literal["stop", "length", "tool_calls", "content_filter"]
Refused = Literal["limited", "too_long", "unauthorised", "overloaded"]
RETRY_AFTER_S = 7


@dataclass(frozen=True)
class Called:
    """A tool call; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class Said:
    """One answer.

    Attributes:
        images: Base64 of PNGs.
        input_tokens: All in all, the `cached_tokens` among them.
        output_tokens: All in all, the `reasoning_tokens` among them.
    """

    text: str = ""
    thoughts: str = ""
    calls: tuple[Called, ...] = ()
    images: tuple[str, ...] = ()
    finish: Finish = "stop"
    input_tokens: int = 10
    output_tokens: int = 5
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True)
class Wire:
    """How one API says an answer: the whole body, a stream's events (framed, but not yet chunked), errors before and in it."""

    whole: Callable[[Said, str], Object]
    events: Callable[[Said, str], list[bytes]]
    refusal: Callable[[Refused], tuple[int, Object]]
    trouble: bytes
    """The last event of a stream that the provider gives up."""
    head: bytes = wire.head([wire.EVENTS, wire.CHUNKED])

    def refused(self, why: Refused) -> bytes:
        """A whole reply that refuses."""
        status, body = self.refusal(why)
        waits = [("retry-after", str(RETRY_AFTER_S))] if why == "limited" else []
        return wire.whole(encode(body), status=status, headers=[wire.JSON, *waits])


def halves(text: str) -> tuple[str, ...]:
    """A text in two pieces, as streams cut it; an empty one in none."""
    middle = (len(text) + 1) // 2
    return tuple(piece for piece in (text[:middle], text[middle:]) if piece)


def data(said: Object) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + encode(said) + b"\n\n"


def named(said: Object) -> bytes:
    """A server-sent event named by its `type`."""
    return b"event: " + str(said["type"]).encode() + b"\n" + data(said)
