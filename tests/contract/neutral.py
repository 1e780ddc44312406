"""What is asked and answered, in words of this suite's own: a mistake in the gate's neutral types cannot hide in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Object = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A tool called; `arguments` as an object, since not every wire has them as text."""

    id: str
    name: str
    arguments: Object


@dataclass(frozen=True)
class Turn:
    """One turn. `images` are base64 of PNGs or URLs, `results` pairs of a call's id and a text."""

    role: Literal["user", "assistant", "tool"]
    text: str = ""
    images: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    results: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A chat request; empty is not said. It is also what a provider's fake is found to have been asked.

    Attributes:
        tools: Names; all take `PARAMETERS`.
        must_call: `any`, `none`, or a tool's name.
        thinks: The model is told to think hard.
    """

    turns: tuple[Turn, ...] = (Turn("user", "Hi"),)
    system: str = ""
    tools: tuple[str, ...] = ()
    must_call: str = ""
    is_serial: bool = False
    schema: Object | None = None
    thinks: bool = False
    stop: tuple[str, ...] = ()
    cap: int | None = None
    temperature: float | None = None


PARAMETERS: Object = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass
class Used:
    """Tokens in totals: cached ones are among the input, reasoning ones among the output. None: the wire has no word for it."""

    input: int = 0
    output: int = 0
    cached: int | None = None
    reasoning: int | None = None


@dataclass
class Answer:
    """An answer as a caller reads it.

    Attributes:
        finish: In OpenAI's words.
        ended: The clean end of a stream came, and nothing after it.
        failure: Message of the error that a stream ended with.
    """

    text: str = ""
    thoughts: str = ""
    calls: list[Call] = field(default_factory=list[Call])
    images: list[str] = field(default_factory=list[str])
    finish: str = ""
    usage: Used = field(default_factory=Used)
    ended: bool = False
    failure: str = ""


@dataclass(frozen=True)
class Fault:
    """An error as a caller reads it; `code` is empty where the dialect has no place for one."""

    message: str
    code: str


class Face(Protocol):
    """A dialect that callers speak."""

    cannot: frozenset[str]
    """Cases that its words do not have."""

    def request(self, ask: Ask, model: str, *, stream: bool) -> tuple[str, Object]:
        """Path and body that ask so."""
        ...

    def whole(self, body: Object) -> Answer:
        """Read a whole answer."""
        ...

    def stream(self, body: bytes) -> Answer:
        """Read a streamed answer."""
        ...

    def fault(self, body: Object) -> Fault:
        """Read an error; fails if it has not the dialect's shape."""
        ...


def events_of(body: bytes) -> list[tuple[str, str]]:
    """Name and data of each server-sent event."""
    told: list[tuple[str, str]] = []
    for block in body.decode().replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            told.append((fields.get("event", ""), fields["data"]))
    return told
