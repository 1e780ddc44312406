"""Cuts a text that comes in pieces into what was found in it and what stands between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from aldgate.core.guardrails.automaton import Automaton
from aldgate.core.guardrails.patterns import Node


class Detector(NamedTuple):
    """One kind of thing to find.

    Attributes:
        label: What a placeholder calls it; capital letters, digits and underscores.
        what: What an error calls it.
        pattern: What it looks like.
        is_one: Tells by a checksum or the like whether it is one; None: all that look like it are.
        lead: Of the longest match: characters at its begin that are not part of what is found, or None: it is none after all.
    """

    label: str
    what: str
    pattern: Node
    is_one: Callable[[str], bool] | None = None
    lead: Callable[[str], int | None] | None = None


class Piece(NamedTuple):
    """A part of the text; `detector` is None where nothing was found."""

    text: str
    detector: Detector | None


class Finder:
    """What to look for. Every character of every match is in a found piece; overlapping matches are cut at the earlier one's end.

    Args:
        most: Characters of the longest match; of a longer one only what fits is seen.
    """

    def __init__(self, detectors: Sequence[Detector], most: int) -> None:
        self.detectors = tuple(detectors)
        self.automaton = Automaton([detector.pattern for detector in detectors])
        self.most = most

    def search(self) -> Search:
        """Begin with a text."""
        return Search(self)


class Search:
    """One text on its way through a `Finder`. How it is cut into pieces decides nothing."""

    def __init__(self, finder: Finder) -> None:
        self._detectors = finder.detectors
        self._automaton = finder.automaton
        self._most = finder.most
        self._group = finder.automaton.first
        self._starts: list[int] = []
        self._found: dict[int, tuple[int, int]] = {}
        """Begin of a match -> its end, and the detector's number."""
        self._text = ""
        self._base = 0
        """Where `_text` begins in all of the text."""
        self._given = 0
        """What comes before this was given out."""
        self._at = 0

    @property
    def held(self) -> int:
        """Characters taken and not given out; at most the finder's `most`."""
        return self._at - self._given

    def feed(self, text: str) -> list[Piece]:
        """Take more of the text; return what of it no longer depends on what follows."""
        self._text += text
        automaton, most = self._automaton, self._most
        group, starts, at = self._group, self._starts, self._at
        for code in text.translate(automaton.codes):
            move = group.moves.get(code)
            group, kept, hits = move if move is not None else automaton.step(group, code)
            if hits:
                self._note(hits, starts, at)
            if kept is not None:
                starts = [starts[place] if place < len(starts) else at for place in kept]
            at += 1
            if starts and at - starts[0] > most:
                group = automaton.without_first(group)
                starts = starts[1:]
        self._group, self._starts, self._at = group, starts, at
        return self._settled(starts[0] if starts else at)

    def end(self) -> list[Piece]:
        """The text is complete: return the rest of it."""
        self._note(self._automaton.last(self._group), self._starts, self._at)
        self._starts = []
        return self._settled(self._at)

    def _note(self, hits: tuple[tuple[int, int], ...], starts: list[int], at: int) -> None:
        for place, number in hits:
            start = starts[place] if place < len(starts) else at
            detector = self._detectors[number]
            if start == at:
                continue
            if detector.is_one is not None and not detector.is_one(self._text[start - self._base : at - self._base]):
                continue
            known = self._found.get(start)
            if known is None or (known[0], -known[1]) < (at, -number):
                self._found[start] = at, number

    def _settled(self, limit: int) -> list[Piece]:
        """What is certain up to `limit`, before which no match can begin that is not known."""
        pieces: list[Piece] = []
        base, given = self._base, self._given
        for start in sorted(start for start in self._found if start < limit):
            end, number = self._found.pop(start)
            detector = self._detectors[number]
            if detector.lead is not None:
                lead = detector.lead(self._text[start - base : end - base])
                if lead is None:
                    continue
                start += lead
            if start > given:
                pieces.append(Piece(self._text[given - base : start - base], None))
                given = start
            if end > given:
                pieces.append(Piece(self._text[given - base : end - base], detector))
                given = end
        if limit > given:
            pieces.append(Piece(self._text[given - base : limit - base], None))
            given = limit
        self._given, self._base = given, min(given, limit)
        self._text = self._text[self._base - base :]
        return pieces
