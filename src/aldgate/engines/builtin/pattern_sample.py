"""Strings for a schema's `pattern`, made from simple regular expressions without ever matching one.

A caller's expression could take for ever to match; building from it takes time proportional to its length. Groups,
alternatives, classes and repetition are understood; look-around, back references and word boundaries are not.
"""

import re

_LONGEST = 10_000
_ANYTHING = frozenset({".*", ".+"})
_ESCAPES = {"d": "0", "w": "x", "s": " ", "D": "x", "W": " ", "S": "x", "t": "\t", "n": "\n", "r": "\r"}
_INSIDE = {
    "d": "0123456789",
    "w": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
    "s": " \t\n\r\f\v",
    "t": "\t",
    "n": "\n",
    "r": "\r",
}
_REPEAT = re.compile(r"\{(\d{1,5})(,(\d{0,5}))?\}")
_GROUP = re.compile(r"\((\?:|\?P?<\w+>)?(?!\?)")
_OUTSIDE = "x0 A-_.!"


class _NotSimple(Exception):
    """More than is understood here."""


def shortest_match(pattern: str, text: str, least: int = 0, most: int | None = None) -> str | None:
    """A string that `pattern` finds a match in, of `least` to `most` letters; None if none is found.

    `text` itself where the pattern lets any one line pass, else the shortest string, repeating what may be repeated.
    """
    most = _LONGEST if most is None else most
    bare = pattern.removeprefix("^").removesuffix("$")
    if (bare in _ANYTHING or not pattern) and text and "\n" not in text and least <= len(text) <= most:
        return text
    try:
        made = _Parser(pattern).match(least)
    except (_NotSimple, RecursionError):
        return None
    return made if least <= len(made) <= most else None


class _Parser:
    """Reads an expression once, from left to right. A piece is `(string, times, most times)`."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def match(self, least: int) -> str:
        pieces = self._alternatives(outermost=True)
        if self._at < len(self._pattern):
            raise _NotSimple
        return _join(pieces, least)

    def _alternatives(self, outermost: bool) -> list[tuple[str, int, int]]:
        """The first alternative; the others are read and left."""
        chosen = self._sequence(outermost)
        while self._take("|"):
            self._sequence(outermost)
        return chosen

    def _sequence(self, outermost: bool) -> list[tuple[str, int, int]]:
        pieces: list[tuple[str, int, int]] = []
        # An end that is not anchored may be followed by anything.
        starts = outermost and not self._take("^")
        while self._at < len(self._pattern) and self._peek() not in "|)$":
            unit = self._unit()
            pieces.append((unit, *self._times()))
        ends = outermost and not self._take("$")
        if self._peek() == "$":
            raise _NotSimple
        return [("x", 0, _LONGEST)] * starts + pieces + [("x", 0, _LONGEST)] * ends

    def _unit(self) -> str:
        group = _GROUP.match(self._pattern, self._at)
        if group:
            self._at = group.end()
            inner = _join(self._alternatives(outermost=False), 0)
            if not self._take(")"):
                raise _NotSimple
            return inner
        if self._take("["):
            return self._class()
        letter = self._next()
        if letter == "\\":
            return self._escape()
        if letter in "(*+?{}^":
            raise _NotSimple
        return "x" if letter == "." else letter

    def _escape(self) -> str:
        letter = self._next()
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        if letter.isalnum():
            raise _NotSimple
        return letter

    def _class(self) -> str:
        negated = self._take("^")
        members: list[str] = []
        first = True
        while first or self._peek() != "]":
            members.append(self._members())
            first = False
        self._at += 1
        listed = "".join(members)
        allowed = [letter for letter in _OUTSIDE if letter not in listed] if negated else list(listed[:1])
        if not allowed:
            raise _NotSimple
        return allowed[0]

    def _members(self) -> str:
        low = self._next()
        if low == "[":
            raise _NotSimple
        if low == "\\":
            low = self._next()
            if low in _INSIDE:
                return _INSIDE[low]
            if low.isalnum():
                raise _NotSimple
        following = self._pattern[self._at : self._at + 2]
        if len(following) < 2 or following[0] != "-" or following[1] == "]":
            return low
        high = following[1]
        self._at += 2
        if high == "\\" or not low <= high:
            raise _NotSimple
        # Of a wide range the few letters that might be chosen outside it are enough.
        return low + "".join(letter for letter in _OUTSIDE if low <= letter <= high)

    def _times(self) -> tuple[int, int]:
        least, most = 1, 1
        repeat = _REPEAT.match(self._pattern, self._at)
        if repeat:
            self._at = repeat.end()
            least = int(repeat[1])
            most = least if repeat[2] is None else int(repeat[3] or _LONGEST)
        elif self._peek() and self._peek() in "*+?":
            sign = self._next()
            least, most = int(sign == "+"), 1 if sign == "?" else _LONGEST
        else:
            return least, most
        self._take("?")
        if most < least or (self._peek() and self._peek() in "*+?{"):
            raise _NotSimple
        return least, most

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        letter = self._peek()
        if not letter:
            raise _NotSimple
        self._at += 1
        return letter

    def _take(self, letter: str) -> bool:
        found = self._peek() == letter
        self._at += found
        return found


def _join(pieces: list[tuple[str, int, int]], least: int) -> str:
    """Each piece as often as it must be, and the repeatable ones more often until there are `least` letters."""
    length = sum(len(unit) * times for unit, times, _ in pieces)
    if max(length, least) > _LONGEST:
        raise _NotSimple
    parts: list[str] = []
    for unit, times, most in pieces:
        more = min(most - times, -(-(least - length) // len(unit))) if unit and length < least else 0
        length += more * len(unit)
        parts.append(unit * (times + more))
    return "".join(parts)
