"""Simple regular expressions of a schema's `pattern`, read into a tree.

Groups, alternatives, classes and repetition are understood; look-around, back references and word boundaries are not. Letters
are those of ECMA-262 (https://json-schema.org/draft/2020-12/json-schema-core#section-6.4).
"""

from __future__ import annotations

import re

from msgspec import Struct

ENDLESS = 10_000
"""Stands for "as often as you like", and is the longest string that is made."""
_SPACES = " \t\n\v\f\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
LINE_ENDS = "\n\r\u2028\u2029"
_SETS = {"d": "0-9", "w": "a-zA-Z0-9_", "s": _SPACES}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_REPEAT = re.compile(r"\{(\d{1,5})(,(\d{0,5}))?\}")
_GROUP = re.compile(r"\((\?:|\?P?<\w+>)?(?!\?)")

Range = tuple[str, str]


class NotSimple(Exception):
    """The expression is more than is understood here."""


class Letter(Struct, frozen=True):
    """One letter out of a set, or out of what is not in it. Ranges are inclusive."""

    ranges: tuple[Range, ...]
    is_negated: bool = False

    def has(self, letter: str) -> bool:
        """Whether this letter will do."""
        return self.is_negated != any(low <= letter <= high for low, high in self.ranges)


class Repeat(Struct, frozen=True):
    """A unit, `least` to `most` times in a row."""

    unit: Letter | Choice
    least: int = 1
    most: int = 1


class Branch(Struct, frozen=True):
    """One alternative: units one after the other, bound to the start or the end of the text if it says so."""

    repeats: tuple[Repeat, ...]
    at_start: bool = False
    at_end: bool = False


class Choice(Struct, frozen=True):
    """Alternatives, of which one must match."""

    branches: tuple[Branch, ...]


def read_pattern(pattern: str) -> Choice:
    """The tree of an expression.

    Raises:
        NotSimple: It is malformed, or more than is understood.
    """
    if len(pattern) > ENDLESS:
        raise NotSimple
    try:
        return _Reader(pattern).read()
    except RecursionError:
        raise NotSimple from None


def _ranges(listed: str) -> tuple[Range, ...]:
    """The ranges in a text like `a-z_`."""
    return tuple((found[0], found[-1]) for found in re.findall(r".-.|.", listed, re.DOTALL))


class _Reader:
    """Reads an expression once, from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def read(self) -> Choice:
        choice = self._choice(outermost=True)
        if self._at < len(self._pattern):
            raise NotSimple
        return choice

    def _choice(self, outermost: bool) -> Choice:
        branches = [self._branch(outermost)]
        while self._take("|"):
            branches.append(self._branch(outermost))
        return Choice(tuple(branches))

    def _branch(self, outermost: bool) -> Branch:
        repeats: list[Repeat] = []
        at_start = outermost and self._take("^")
        while self._at < len(self._pattern) and self._peek() not in "|)$":
            unit = self._unit()
            repeats.append(Repeat(unit, *self._times()))
        at_end = outermost and self._take("$")
        if self._peek() == "$":
            raise NotSimple
        return Branch(tuple(repeats), at_start, at_end)

    def _unit(self) -> Letter | Choice:
        group = _GROUP.match(self._pattern, self._at)
        if group:
            self._at = group.end()
            inner = self._choice(outermost=False)
            if not self._take(")"):
                raise NotSimple
            return inner
        if self._take("["):
            return self._class()
        letter = self._next()
        if letter == "\\":
            return self._escape()
        if letter in "(*+?{}^":
            raise NotSimple
        return Letter(_ranges(LINE_ENDS), True) if letter == "." else Letter(((letter, letter),))

    def _escape(self) -> Letter:
        letter = self._next()
        if letter.lower() in _SETS:
            return Letter(_ranges(_SETS[letter.lower()]), letter.isupper())
        return Letter(_ranges(self._escaped(letter)))

    def _escaped(self, letter: str) -> str:
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter.isalnum():
            raise NotSimple
        return letter

    def _class(self) -> Letter:
        is_negated = self._take("^")
        ranges: list[Range] = []
        first = True
        while first or self._peek() != "]":
            ranges += self._members()
            first = False
        self._at += 1
        return Letter(tuple(ranges), is_negated)

    def _members(self) -> tuple[Range, ...]:
        low = self._next()
        if low == "[":
            raise NotSimple
        if low == "\\":
            low = self._next()
            if low in _SETS:
                return _ranges(_SETS[low])
            low = self._escaped(low)
        following = self._pattern[self._at : self._at + 2]
        if len(following) < 2 or following[0] != "-" or following[1] == "]":
            return ((low, low),)
        high = following[1]
        self._at += 2
        if high == "\\" or not low <= high:
            raise NotSimple
        return ((low, high),)

    def _times(self) -> tuple[int, int]:
        repeat = _REPEAT.match(self._pattern, self._at)
        if repeat:
            self._at = repeat.end()
            least = int(repeat[1])
            most = least if repeat[2] is None else int(repeat[3] or ENDLESS)
        elif self._peek() and self._peek() in "*+?":
            sign = self._next()
            least, most = int(sign == "+"), 1 if sign == "?" else ENDLESS
        else:
            return 1, 1
        self._take("?")
        if most < least or (self._peek() and self._peek() in "*+?{"):
            raise NotSimple
        return least, most

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        letter = self._peek()
        if not letter:
            raise NotSimple
        self._at += 1
        return letter

    def _take(self, letter: str) -> bool:
        found = self._peek() == letter
        self._at += found
        return found
