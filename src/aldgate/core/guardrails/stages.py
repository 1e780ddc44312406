"""One guardrail's work on one text that comes in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aldgate.core.errors import ContentBlocked
from aldgate.core.guardrails.finder import Detector, Finder
from aldgate.core.guardrails.kinds import Language, Size
from aldgate.core.guardrails.language import languages_of

Refusal = Callable[[str], ContentBlocked]
"""The refusal of one guardrail for what it found."""
Treat = Callable[[Detector, str], str]
"""What stands in place of something that was found; it may refuse."""
LANGUAGE_STEP = 400
"""A text is judged after so many characters, and again after as many, and at its end."""
OF_TOKEN_BYTES = 4


class Stage(Protocol):
    """Takes a text in pieces and gives it on. How it is cut decides nothing about the whole."""

    @property
    def most(self) -> int:
        """Characters that it may hold back."""
        ...

    @property
    def held(self) -> int:
        """Those that it holds back now."""
        ...

    def feed(self, text: str) -> str:
        """Take more; return what does not depend on what follows.

        Raises:
            ContentBlocked: The text may not pass.
        """
        ...

    def end(self) -> str:
        """The text is complete: the rest of it.

        Raises:
            ContentBlocked: The text may not pass.
        """
        ...


class Replacing:
    """Puts something else in place of what is found."""

    def __init__(self, finder: Finder, treat: Treat) -> None:
        self.most = finder.most
        self._search = finder.search()
        self._treat = treat

    @property
    def held(self) -> int:
        """See `Stage`."""
        return self._search.held

    def feed(self, text: str) -> str:
        """See `Stage`."""
        treat = self._treat
        return "".join(
            piece.text if piece.detector is None else treat(piece.detector, piece.text) for piece in self._search.feed(text)
        )

    def end(self) -> str:
        """See `Stage`."""
        treat = self._treat
        return "".join(
            piece.text if piece.detector is None else treat(piece.detector, piece.text) for piece in self._search.end()
        )


class Measure:
    """How much text there was in all texts of a request, or of an answer."""

    def __init__(self, guardrail: Size, refusal: Refusal) -> None:
        self._guardrail = guardrail
        self._refusal = refusal
        self._characters = 0
        self._bytes = 0

    def add(self, text: str) -> None:
        """Count more.

        Raises:
            ContentBlocked: It is too much.
        """
        self._characters += len(text)
        self._bytes += len(text.encode("utf-8", "surrogatepass"))
        most, tokens = self._guardrail.most_characters, self._guardrail.most_tokens
        if most is not None and self._characters > most:
            raise self._refusal(f"more than {most} characters")
        if tokens is not None and self._bytes > tokens * OF_TOKEN_BYTES:
            raise self._refusal(f"more than {tokens} tokens")


class Measuring:
    """Counts what passes."""

    most = 0
    held = 0

    def __init__(self, measure: Measure) -> None:
        self._measure = measure

    def feed(self, text: str) -> str:
        """See `Stage`."""
        self._measure.add(text)
        return text

    def end(self) -> str:
        """See `Stage`."""
        return ""


class Hearing:
    """Hears in which language the text is."""

    most = 0
    held = 0

    def __init__(self, guardrail: Language, refusal: Refusal) -> None:
        self._guardrail = guardrail
        self._refusal = refusal
        self._text = ""

    def feed(self, text: str) -> str:
        """See `Stage`."""
        self._text += text
        while len(self._text) >= LANGUAGE_STEP:
            self._judge(self._text[:LANGUAGE_STEP])
            self._text = self._text[LANGUAGE_STEP:]
        return text

    def end(self) -> str:
        """See `Stage`."""
        self._judge(self._text)
        self._text = ""
        return ""

    def _judge(self, text: str) -> None:
        found = languages_of(text)
        if found and not found & set(self._guardrail.allowed):
            raise self._refusal(f"text that is not in {' or '.join(self._guardrail.allowed)}")


def blocked(guardrail: str, place: str, what: str) -> ContentBlocked:
    """The refusal of a guardrail, in words: which, and of whom. It says what kind of thing was found, never the thing."""
    return ContentBlocked(f"The guardrail {guardrail} found {what} in the {place}.")


def masked(text: str) -> str:
    """The text with asterisks for letters and digits."""
    return "".join("*" if character.isalnum() else character for character in text)
