"""Strings for a schema's `pattern`, made from simple regular expressions in time proportional to their length."""

from aldgate.engines.builtin.pattern_shape import ENDLESS, LINE_ENDS, Branch, Choice, Letter, NotSimple, Repeat, read_pattern

_ANYTHING = frozenset({".*", ".+"})
_NICE = "x0 A-_.!"
"""Letters that are taken first where a class says only what is not in it."""
_PADDING = Repeat(Letter((("x", "x"),)), 0, ENDLESS)
"""What may stand beside a match that is not bound to the start or the end."""

Piece = tuple[str, int, int]


def lets_any_line_pass(pattern: str, text: str) -> bool:
    """Whether `pattern` takes every text of one line, and `text` is one."""
    return (
        (not pattern or pattern.removeprefix("^").removesuffix("$") in _ANYTHING)
        and text != ""
        and not set(LINE_ENDS) & set(text)
    )


def shortest_match(pattern: str, text: str, least: int = 0, most: int | None = None) -> str | None:
    """A string that `pattern` finds a match in, of `least` to `most` letters; None if none is found.

    `text` itself where the pattern lets any one line pass, else the shortest string, repeating what may be repeated.
    """
    most = ENDLESS if most is None else most
    if lets_any_line_pass(pattern, text) and least <= len(text) <= most:
        return text
    try:
        made = _text(_first(read_pattern(pattern)), least)
    except (NotSimple, RecursionError):
        return None
    return made if least <= len(made) <= most else None


def _first(choice: Choice) -> Branch:
    """The first alternative, with padding where it is not anchored."""
    branch = choice.branches[0]
    before, after = () if branch.at_start else (_PADDING,), () if branch.at_end else (_PADDING,)
    return Branch((*before, *branch.repeats, *after))


def _text(branch: Branch, least: int) -> str:
    """Each unit as often as it must be, and the repeatable ones more often until there are `least` letters."""
    pieces: list[Piece] = [(_unit(each.unit), each.least, each.most) for each in branch.repeats]
    length = sum(len(unit) * times for unit, times, _ in pieces)
    if max(length, least) > ENDLESS:
        raise NotSimple
    parts: list[str] = []
    for unit, times, most in pieces:
        more = min(most - times, -(-(least - length) // len(unit))) if unit and length < least else 0
        length += more * len(unit)
        parts.append(unit * (times + more))
    return "".join(parts)


def _unit(unit: Letter | Choice) -> str:
    if isinstance(unit, Choice):
        return _text(unit.branches[0], 0)
    if not unit.is_negated:
        return unit.ranges[0][0]
    allowed = next((letter for letter in _NICE if unit.has(letter)), None)
    if allowed is None:
        raise NotSimple
    return allowed
