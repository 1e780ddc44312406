"""The words a behaviour is written in: a play is a generator of bytes to write and of things to do between them.

A play knows no socket, so that its bytes can be looked at by running it; `connection.py` performs it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Concatenate, Literal, ParamSpec

from aldgate.testing.upstream.replies import Asked

P = ParamSpec("P")


class Act(Enum):
    """Something a play does besides writing."""

    CLOSE = "flush, then close in good order"
    RESET = "flush, then reset the connection (TCP RST)"
    HANG = "write no more, for as long as the client stays"
    TURN = "go on in the next turn of the event loop, so that what follows travels apart"
    CLOSE_AT_NEXT_BYTE = "stay open, and close as soon as the next request begins to arrive"


@dataclass(frozen=True, slots=True)
class Sleep:
    """Go on after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Billed:
    """Tokens this upstream charges for from here on, whether or not the client stays to read them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0


class Valve:
    """Holds plays back until a test turns it; each turn lets one wait of one play go on."""

    def __init__(self) -> None:
        self._turns = 0
        self._is_open = False
        self._waiting: list[Callable[[], None]] = []

    def turn(self, times: int = 1) -> None:
        """Let `times` more waits go on, now or when they come."""
        self._turns += times
        self._release()

    def open(self) -> None:
        """Hold nothing back any more."""
        self._is_open = True
        self._release()

    def wait(self, go_on: Callable[[], None]) -> bool:
        """True if the play may go on at once; else `go_on` is called when it may."""
        if self._is_open:
            return True
        if self._turns:
            self._turns -= 1
            return True
        self._waiting.append(go_on)
        return False

    def _release(self) -> None:
        while self._waiting and (self._turns or self._is_open):
            self._turns -= not self._is_open
            self._waiting.pop(0)()


Piece = bytes | Act | Sleep | Billed | Valve
Play = Iterator[Piece]
Moment = Literal["listening", "connected", "head", "request"]
"""When a play begins: before any connection, on a fresh one, once a request's head is here, or once its body is too."""


@dataclass(frozen=True)
class Step:
    """One scripted behaviour: what happens to the next request (or connection)."""

    name: str
    play: Callable[[Asked], Play] = field(repr=False)
    moment: Moment = "request"


FAULTS: dict[str, Callable[[], Step]] = {}
"""Every named behaviour with its defaults, for tests that walk through all of them."""


def fault(
    moment: Moment = "request",
) -> Callable[[Callable[Concatenate[Asked, P], Play]], Callable[P, Step]]:
    """Make a play a named `Step` factory: the parameters after `Asked` become the factory's, and all need defaults."""

    def name(play: Callable[Concatenate[Asked, P], Play]) -> Callable[P, Step]:
        def step(*args: P.args, **kwargs: P.kwargs) -> Step:
            return Step(play.__name__, lambda asked: play(asked, *args, **kwargs), moment)

        step.__name__, step.__doc__ = play.__name__, play.__doc__
        FAULTS[play.__name__] = step
        return step

    return name
