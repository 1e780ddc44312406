"""Whether a simple regular expression matches, by following all its ways at once.

A caller's expression could make a backtracking matcher run for ever; here the work is bounded by the expression's length, its
counts and the text's length, and is reported while it is done.
"""

from collections.abc import Callable

from aldgate.engines.builtin.pattern_sample import lets_any_line_pass
from aldgate.engines.builtin.pattern_shape import ENDLESS, Choice, Letter, Repeat, read_pattern


def matches(pattern: str, text: str, step: Callable[[int], None]) -> bool:
    """Whether `pattern` finds a match anywhere in `text`.

    Args:
        pattern: The expression.
        text: What is searched.
        step: Told how much work comes next; ends it by raising.

    Raises:
        NotSimple: The expression is more than is understood.
    """
    if lets_any_line_pass(pattern, text):
        return True
    step(1 + (len(pattern) + len(text)) // 4)
    follow = _Follower(text, step)
    for branch in read_pattern(pattern).branches:
        places = {0} if branch.at_start else set(range(len(text) + 1))
        places = follow.sequence(branch.repeats, places)
        if len(text) in places if branch.at_end else places:
            return True
    return False


class _Follower:
    """Where in the text one can be behind a part of the expression, given where one was before it."""

    def __init__(self, text: str, step: Callable[[int], None]) -> None:
        self._text = text
        self._step = step

    def sequence(self, repeats: tuple[Repeat, ...], places: set[int]) -> set[int]:
        for repeat in repeats:
            if not places:
                break
            places = self._repeat(repeat, places)
        return places

    def _repeat(self, repeat: Repeat, places: set[int]) -> set[int]:
        for _ in range(repeat.least):
            if not places:
                return places
            places = self._unit(repeat.unit, places)
        reached, fresh = set(places), places
        for _ in range(repeat.most - repeat.least if repeat.most < ENDLESS else len(self._text) + 1):
            fresh = self._unit(repeat.unit, fresh) - reached
            if not fresh:
                break
            reached |= fresh
        return reached

    def _unit(self, unit: Letter | Choice, places: set[int]) -> set[int]:
        self._step(1 + len(places) // 4)
        if isinstance(unit, Choice):
            return set[int]().union(*(self.sequence(branch.repeats, places) for branch in unit.branches))
        text = self._text
        return {place + 1 for place in places if place < len(text) and unit.has(text[place])}
