"""Finds every match of several patterns in one pass over a text that comes in pieces.

The patterns become one nondeterministic automaton; the sets of its states that texts lead to are made on first need and kept. The
states are held in groups, one for each place where a match may have begun, the earliest first. So each character costs one
look-up, or at worst one step of as many states as the patterns have: there is no text that makes it slow. And the begin of the
earliest group tells what of the text may still belong to a match.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aldgate.core.guardrails.patterns import Characters, Choice, Node, Place, Repeat, Row, is_word

MOST_STATES = 200_000
"""States of all patterns of one automaton."""
_MOST_KEPT = 4_000
_MOST_CHARACTERS = 20_000
_END = "end"
"""Stands for what follows the last character."""


class Group:
    """What the automaton may be doing after some text: sets of states, each of another begin, the earliest first.

    Attributes:
        sets: Of the patterns' automaton.
        before: What the last character was: `^` there was none, `w` of a word, ` ` another.
        moves: By the code of the next character's class; filled as needed.
    """

    __slots__ = ("before", "moves", "sets")

    def __init__(self, sets: tuple[tuple[int, ...], ...], before: str) -> None:
        self.sets = sets
        self.before = before
        self.moves: dict[str, Move] = {}


class Move(NamedTuple):
    """What a character leads to.

    Attributes:
        kept: Of the old begins, by their place, those that remain; one past the last is a new begin, here. None: all as before.
        hits: Matches that end before the character: place of the begin, number of the pattern.
    """

    to: Group
    kept: tuple[int, ...] | None
    hits: tuple[tuple[int, int], ...]


class Codes(dict[int, str]):
    """Maps characters, for `str.translate`, to one that stands for all that no pattern tells apart.

    Attributes:
        signatures: By number of the class: whether it is of words, then which sets of characters it is in.
    """

    def __init__(self, sets: Sequence[Characters]) -> None:
        super().__init__()
        self.signatures: list[tuple[bool, ...]] = []
        self._sets = sets
        self._numbers: dict[tuple[bool, ...], int] = {}

    def __missing__(self, code: int) -> str:
        if len(self) >= _MOST_CHARACTERS:
            self.clear()
        character = chr(code)
        signature = (is_word(character), *(each.has(character) for each in self._sets))
        number = self._numbers.setdefault(signature, len(self._numbers))
        if number == len(self.signatures):
            self.signatures.append(signature)
        self[code] = found = chr(number)
        return found


class Automaton:
    """Several patterns, numbered in their order.

    Attributes:
        codes: Classes of characters; what `step` takes.
        first: Where a text begins.

    Raises:
        ValueError: They are too large together.
    """

    def __init__(self, patterns: Sequence[Node]) -> None:
        self._edges: list[tuple[int, ...]] = []
        self._sets: list[int | None] = []
        self._places: list[str] = []
        self._accepts: dict[int, int] = {}
        self._numbers: dict[Characters, int] = {}
        starts: list[int] = []
        for number, pattern in enumerate(patterns):
            accept = self._state(())
            self._accepts[accept] = number
            starts.append(self._build(pattern, accept))
        self._start = self._state(tuple(starts))
        self.codes = Codes(tuple(self._numbers))
        self._groups: dict[tuple[tuple[tuple[int, ...], ...], str], Group] = {}
        self.first = self._group((), "^")

    def _state(self, to: tuple[int, ...], characters: int | None = None, place: str = "") -> int:
        if len(self._edges) >= MOST_STATES:
            raise ValueError("the patterns are too large together")
        self._edges.append(to)
        self._sets.append(characters)
        self._places.append(place)
        return len(self._edges) - 1

    def _build(self, node: Node, to: int) -> int:
        """The state that `node` begins at, if `to` follows it."""
        match node:
            case Characters():
                return self._state((to,), self._numbers.setdefault(node, len(self._numbers)))
            case Place(kind=kind):
                return self._state((to,), place=kind)
            case Row(items=items):
                for item in reversed(items):
                    to = self._build(item, to)
                return to
            case Choice(options=options):
                return self._state(tuple(self._build(option, to) for option in options))
            case Repeat(item=item, least=least, most=most):
                return self._repeat(item, least, most, to)

    def _repeat(self, item: Node, least: int, most: int | None, to: int) -> int:
        if most is None:
            again = self._state(())
            self._edges[again] = (self._build(item, again), to)
            to = again
        else:
            after = to
            for _ in range(most - least):
                to = self._state((self._build(item, to), after))
        for _ in range(least):
            to = self._build(item, to)
        return to

    def last(self, group: Group) -> tuple[tuple[int, int], ...]:
        """The matches that end where the text does."""
        return (group.moves.get(_END) or self.step(group, _END)).hits

    def without_first(self, group: Group) -> Group:
        """The group without what began the earliest."""
        return self._group(group.sets[1:], group.before)

    def _group(self, sets: tuple[tuple[int, ...], ...], before: str) -> Group:
        known = self._groups.get((sets, before))
        if known is None:
            if len(self._groups) >= _MOST_KEPT:
                for each in self._groups.values():
                    each.moves.clear()
                self._groups.clear()
            known = self._groups[sets, before] = Group(sets, before)
        return known

    def step(self, group: Group, code: str) -> Move:
        """What the next character leads to, worked out and kept."""
        is_end = code == _END
        signature = (False,) if is_end else self.codes.signatures[ord(code)]
        after = "$" if is_end else "w" if signature[0] else " "
        met: set[int] = set()
        landed: set[int] = set()
        kept: list[int] = []
        sets: list[tuple[int, ...]] = []
        hits: list[tuple[int, int]] = []
        for place, states in enumerate((*group.sets, (self._start,))):
            following: list[int] = []
            for state in self._reached(states, group.before, after, met):
                if state in self._accepts:
                    hits.append((place, self._accepts[state]))
                elif not is_end and signature[1 + (self._sets[state] or 0)]:
                    following += (to for to in self._edges[state] if to not in landed)
                    landed.update(self._edges[state])
            if following:
                kept.append(place)
                sets.append(tuple(following))
        is_same = kept == list(range(len(group.sets)))
        move = Move(self._group(tuple(sets), after), None if is_same else tuple(kept), tuple(hits))
        group.moves[code] = move
        return move

    def _reached(self, states: tuple[int, ...], before: str, after: str, met: set[int]) -> list[int]:
        """The states that wait for a character or accept, from `states` on, without what an earlier begin has come to already."""
        found: list[int] = []
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state in met:
                continue
            met.add(state)
            if self._sets[state] is not None or state in self._accepts:
                found.append(state)
            elif not self._places[state] or _holds(self._places[state], before, after):
                waiting += self._edges[state]
        return found


def _holds(place: str, before: str, after: str) -> bool:
    match place:
        case "^":
            return before == "^"
        case "$":
            return after == "$"
        case _:
            return ((before == "w") != (after == "w")) == (place == "b")
