"""Regular expressions as trees: the part of the usual syntax that an automaton reads in one pass.

What would need backtracking (references, look-around) or has no meaning where the longest match counts (`*?`) is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os.path import commonprefix
from typing import Literal

import msgspec

MOST_CHARACTERS = 1_000
"""A pattern is no longer than this."""
MOST_REPEATS = 500
_LAST = 0x10FFFF
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_CLASSES = "wWdDsS"
_HEX = {"x": 2, "u": 4, "U": 8}


class Characters(msgspec.Struct, frozen=True):
    """One character out of a set.

    Attributes:
        ranges: Code points, first and last of each range.
        classes: Letters of `wWdDsS`.
        folds: Case does not matter.
    """

    ranges: tuple[tuple[int, int], ...] = ()
    classes: str = ""
    is_negated: bool = False
    folds: bool = False

    def has(self, character: str) -> bool:
        """Whether it is in the set."""
        found = self._has(character)
        if self.folds and not found:
            others = {character.lower(), character.upper()}
            found = any(self._has(other) for other in others if len(other) == 1)
        return found != self.is_negated

    def _has(self, character: str) -> bool:
        code = ord(character)
        return any(first <= code <= last for first, last in self.ranges) or any(_is(character, letter) for letter in self.classes)


class Place(msgspec.Struct, frozen=True):
    """A condition on where it stands: `b` at a word's edge, `B` not at one, `^` and `$` at the text's begin and end."""

    kind: Literal["b", "B", "^", "$"]


class Row(msgspec.Struct, frozen=True):
    """One after the other."""

    items: tuple[Node, ...]


class Choice(msgspec.Struct, frozen=True):
    """Any of these."""

    options: tuple[Node, ...]


class Repeat(msgspec.Struct, frozen=True):
    """So many times; `most` None: without end."""

    item: Node
    least: int
    most: int | None


Node = Characters | Place | Row | Choice | Repeat


def is_word(character: str) -> bool:
    """Whether words are made of it: a letter or digit of any script, or the underscore."""
    return character.isalnum() or character == "_"


def _is(character: str, letter: str) -> bool:
    match letter.lower():
        case "w":
            found = is_word(character)
        case "d":
            found = character.isdecimal()
        case _:
            found = character.isspace()
    return found == letter.islower()


def parse(pattern: str, *, ignores_case: bool = False) -> Node:
    """The tree of a pattern.

    Raises:
        ValueError: It is malformed, too long, or needs what one pass cannot tell.
    """
    return _Parser(pattern, ignores_case).parse()


def words(given: Iterable[str], *, ignores_case: bool, whole: bool) -> Node:
    """Any of these texts as they stand. Common beginnings are shared. `whole`: not within longer words."""
    groups: dict[tuple[bool, bool], set[str]] = {}
    for word in given:
        edges = (is_word(word[0]), is_word(word[-1])) if whole else (False, False)
        groups.setdefault(edges, set()).add(word.lower() if ignores_case else word)
    return Choice(tuple(_edged(edges, _trie(sorted(group), ignores_case)) for edges, group in groups.items()))


def _edged(edges: tuple[bool, bool], node: Node) -> Node:
    edge = (Place("b"),)
    return Row((*(edge if edges[0] else ()), node, *(edge if edges[1] else ())))


def _trie(given: list[str], folds: bool) -> Node:
    """The texts, which are sorted, as a tree that branches where they differ."""
    first, last = given[0], given[-1]
    shared = len(commonprefix((first, last)))
    rests: dict[str, list[str]] = {}
    for word in given:
        if len(word) > shared:
            rests.setdefault(word[shared], []).append(word[shared:])
    options: list[Node] = [_trie(rest, folds) for rest in rests.values()]
    if len(first) == shared:
        options.append(Row(()))
    head = tuple(_one(character, folds) for character in first[:shared])
    return Row(head if len(first) == shared and len(options) == 1 else (*head, Choice(tuple(options))))


def _one(character: str, folds: bool) -> Characters:
    code = ord(character)
    return Characters(((code, code),), folds=folds and character.lower() != character.upper())


class _Parser:
    def __init__(self, pattern: str, folds: bool) -> None:
        if len(pattern) > MOST_CHARACTERS:
            raise ValueError(f"a pattern has at most {MOST_CHARACTERS} characters")
        if pattern.startswith("(?i)"):
            pattern, folds = pattern[4:], True
        self._text = pattern
        self._at = 0
        self._depth = 0
        self._folds = folds

    def parse(self) -> Node:
        node = self._choice()
        if self._at < len(self._text):
            raise self._wrong("`)` without `(`")
        return node

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"`{self._text}` at character {self._at + 1}: {what}")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        found = self._peek()
        if not found:
            raise self._wrong("it ends too soon")
        self._at += 1
        return found

    def _takes(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) * found
        return found

    def _choice(self) -> Node:
        self._depth += 1
        if self._depth > 50:
            raise self._wrong("it is nested too deep")
        options = [self._row()]
        while self._takes("|"):
            options.append(self._row())
        self._depth -= 1
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _row(self) -> Node:
        items: list[Node] = []
        while (following := self._peek()) and following not in "|)":
            items.append(self._repeated(self._item()))
        return items[0] if len(items) == 1 else Row(tuple(items))

    def _item(self) -> Node:
        character = self._take()
        match character:
            case "(":
                return self._group()
            case "[":
                return self._set()
            case ".":
                return Characters(((10, 10),), is_negated=True)
            case "^" | "$":
                return Place(character)
            case "\\":
                return self._escaped()
            case "*" | "+" | "?":
                raise self._wrong(f"nothing stands before `{character}`")
            case _:
                return _one(character, self._folds)

    def _group(self) -> Node:
        if self._takes("?") and not self._takes(":"):
            raise self._wrong("of groups with `(?` there is only `(?:`, and `(?i)` at the begin of a pattern")
        node = self._choice()
        if not self._takes(")"):
            raise self._wrong("`(` without `)`")
        return node

    def _escaped(self) -> Node:
        character = self._take()
        if character in "bB":
            return Place("b" if character == "b" else "B")
        if character in _CLASSES:
            return Characters(classes=character)
        return _one(self._literal(character), self._folds)

    def _literal(self, character: str) -> str:
        """The character that an escape stands for."""
        if character in _HEX:
            digits = "".join(self._take() for _ in range(_HEX[character]))
            try:
                return chr(int(digits, 16))
            except (ValueError, OverflowError):
                raise self._wrong(f"`\\{character}{digits}` is no character") from None
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character.isalnum():
            raise self._wrong(f"`\\{character}` is not known here")
        return character

    def _set(self) -> Node:
        is_negated = self._takes("^")
        ranges: list[tuple[int, int]] = []
        classes = ""
        is_first = True
        while is_first or self._peek() != "]":
            is_first = False
            first = self._member()
            if len(first) > 1:
                classes += first[1]
                continue
            last = first
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                last = self._member()
                if len(last) > 1 or last < first:
                    raise self._wrong("a range goes from one character to a later one")
            ranges.append((ord(first), ord(last)))
        self._at += 1
        return Characters(tuple(ranges), classes, is_negated, self._folds)

    def _member(self) -> str:
        """One character of a set, or a class with its backslash."""
        character = self._take()
        if character != "\\":
            return character
        character = self._take()
        return f"\\{character}" if character in _CLASSES else self._literal(character)

    def _repeated(self, item: Node) -> Node:
        bounds = self._bounds()
        if bounds is None:
            return item
        if isinstance(item, Place):
            raise self._wrong("a place cannot be repeated")
        if self._peek() and self._peek() in "?*+{":
            raise self._wrong("a match is as long as can be here: nothing follows a repetition but a new item")
        return Repeat(item, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._takes(sign):
                return bounds
        if not self._takes("{"):
            return None
        end = self._text.find("}", self._at)
        inside, self._at = self._text[self._at : max(end, 0)], end + 1
        least, comma, most = inside.partition(",")
        if end < 0 or not all(part.isdecimal() and part.isascii() and len(part) < 5 for part in (least, most or least)):
            raise self._wrong("`{` begins a repetition, `{2,5}`; write `\\{` for the character")
        bounds = int(least), (None if comma and not most else int(most or least))
        if max(bounds[0], bounds[1] or 0) > MOST_REPEATS or bounds[1] is not None and bounds[1] < bounds[0]:
            raise self._wrong(f"a repetition goes from a number to a greater one, at most {MOST_REPEATS}")
        return bounds


def lengths(node: Node) -> tuple[int, int | None]:
    """Characters of the shortest match and of the longest; None: there is no longest."""
    match node:
        case Characters():
            return 1, 1
        case Place():
            return 0, 0
        case Row(items=items):
            return _summed(lengths(item) for item in items)
        case Choice(options=options):
            all_of = [lengths(option) for option in options]
            longest = [most for _, most in all_of]
            return min(least for least, _ in all_of), None if None in longest else max(most or 0 for most in longest)
        case Repeat(item=item, least=least, most=most):
            shortest, longest = lengths(item)
            return shortest * least, None if most is None or longest is None else longest * most


def states(node: Node) -> int:
    """States that an automaton needs for it, at the most."""
    match node:
        case Row(items=items):
            return sum(states(item) for item in items)
        case Choice(options=options):
            return 1 + sum(states(option) for option in options)
        case Repeat(item=item, least=least, most=most):
            return 1 + (states(item) + 1) * (least + 1 if most is None else most)
        case _:
            return 1


def _summed(parts: Iterator[tuple[int, int | None]]) -> tuple[int, int | None]:
    least, most = 0, 0
    for shortest, longest in parts:
        least += shortest
        most = None if most is None or longest is None else most + longest
    return least, most
