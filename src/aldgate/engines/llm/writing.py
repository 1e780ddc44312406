"""What all engines that write have in common: what may be asked of them, and how they tell how far they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generated, Generation, Progress
from aldgate.core.levels import Operation
from aldgate.engines.asking import given, number, options_of, prompt_of, take_only
from aldgate.making import Run

WRITES: frozenset[Operation] = frozenset({"chat", "complete"})


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of every engine that writes, by the names that callers use.

    Attributes:
        system: What the model is told before the prompt; of chats alone.
        json_schema: What the text must be, as JSON Schema.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: list[str] | None = None
    system: str | None = None
    json_schema: dict[str, Any] | None = None


def options_for(asked: Generation) -> Options:
    """The options, checked with all else that was asked.

    Raises:
        InvalidRequest: Something is asked for that no text has.
    """
    take_only(asked, ("prompt", "seed"))
    prompt_of(asked)
    options = options_of(asked, Options)
    number(options.max_tokens, "max_tokens", 1, 2**31 - 1)
    number(options.temperature, "temperature", 0.0, 2.0)
    if options.system is not None and asked.operation != "chat":
        raise InvalidRequest("`system` is for chats.", param="system")
    return options


def messages_of(asked: Generation, options: Options) -> list[dict[str, str]]:
    """The prompt as a chat."""
    system = [] if options.system is None else [{"role": "system", "content": options.system}]
    return [*system, {"role": "user", "content": asked.prompt}]


class Writing:
    """A text while it is written.

    Args:
        run: Is told all of it so far with each piece.
        most_tokens: It ends there at the latest; None: that is not known.
    """

    def __init__(self, run: Run, most_tokens: int | None) -> None:
        self._run = run
        self._most = most_tokens
        self._text = ""
        self._pieces = 0

    def write(self, piece: str) -> None:
        """Add a piece, about a token long."""
        if not piece:
            return
        self._text += piece
        self._pieces += 1
        fraction = min(1.0, self._pieces / self._most) if self._most else None
        self._run.progress(Progress(fraction=fraction, step=self._pieces, steps=self._most, message=self._text))

    def done(self, *, read: int | None, written: int | None, reason: str | None, facts: Mapping[str, Any]) -> Generated:
        """All of it, with what it took: tokens read and written, and why it ended."""
        self._run.progress(Progress(fraction=1.0, message=self._text))
        counts = given(prompt_tokens=read, completion_tokens=written, finish_reason=reason)
        return Generated(text=self._text, details={**counts, **facts})
