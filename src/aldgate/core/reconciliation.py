"""The ledger beside a provider's own export: where they differ, by how much, and what that most likely comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Literal

import msgspec

from aldgate.core.exports import Billed
from aldgate.core.terms import format_usd

Kind = Literal["only_here", "only_there", "requests_differ", "tokens_differ", "price_differs", "cancelled", "day_edge"]
_DATED = re.compile(r"-(\d{4}-\d\d-\d\d|\d{8})$")
_TOKENS = ("input", "output")


class Figures(msgspec.Struct):
    """What one side says of a day and a model, or of a request. None: that side does not say."""

    requests: int | None = None
    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    cost_microusd: int | None = None

    def add(self, other: Figures | Billed) -> None:
        """Add what is said; what only one says stays."""
        for name in self.__struct_fields__:
            more = getattr(other, name)
            if more is not None:
                setattr(self, name, (getattr(self, name) or 0) + more)


class Ours(msgspec.Struct):
    """What the ledger says, and how much of it was counted here because the provider never said: calls that were cut off."""

    figures: Figures
    cancelled: Figures


class Tolerance(msgspec.Struct, frozen=True):
    """What is no difference: a share of tokens, or so much money (exports round it)."""

    share: float = 0.001
    microusd: int = 10_000


class Difference(msgspec.Struct, frozen=True):
    """One line of the report. `request_id` where both sides know single requests."""

    kind: Kind
    day: str
    model: str
    message: str
    ours: Figures | None
    theirs: Figures | None
    request_id: str | None = None


class Report(msgspec.Struct, frozen=True):
    """The outcome. `compared` counts the lines that both have."""

    compared: int
    agreeing: int
    differences: list[Difference]
    ours: Figures
    theirs: Figures


Place = tuple[str, str]
"""A day and a model."""


def plain_model(name: str, provider: str, renamed: Mapping[str, str]) -> str:
    """A model's name so that both sides say the same: without the provider, a date, spaces and dots.

    `lab/gpt-4.1-2025-04-14` is `gpt-4-1`, and so is `GPT 4.1`.
    """
    name = renamed.get(name, name)
    name = name.removeprefix(f"{provider}/").removeprefix("models/").strip().lower()
    return re.sub(r"[ .@_]+", "-", _DATED.sub("", name))


def gathered(lines: Iterable[Billed], provider: str, renamed: Mapping[str, str]) -> dict[Place, Figures]:
    """An export's lines, added up for each day and model."""
    sums: dict[Place, Figures] = {}
    for line in lines:
        sums.setdefault((line.day, plain_model(line.model, provider, renamed)), Figures()).add(line)
    return sums


def compare(ours: Mapping[Place, Ours], theirs: Mapping[Place, Figures], tolerance: Tolerance) -> Report:
    """Compare by day and model."""
    edges = _edges(ours, theirs, tolerance)
    differences: list[Difference] = []
    both = ours.keys() & theirs.keys()
    for place in sorted(ours.keys() | theirs.keys()):
        here, there = ours.get(place), theirs.get(place)
        found = explain(here, there, tolerance)
        if found is None:
            continue
        kind, message = found
        if place in edges:
            kind, message = "day_edge", f"{edges[place]} ({message})"
        differences.append(Difference(kind, *place, message, here.figures if here else None, there))
    agreeing = len(both) - sum((difference.day, difference.model) in both for difference in differences)
    return Report(len(both), agreeing, differences, _total(each.figures for each in ours.values()), _total(theirs.values()))


def compare_requests(
    ours: Mapping[str, tuple[Place, Ours]], theirs: Mapping[str, tuple[Place, Figures]], tolerance: Tolerance
) -> list[Difference]:
    """Compare by request id."""
    differences: list[Difference] = []
    for request in sorted(ours.keys() | theirs.keys()):
        here, there = ours.get(request), theirs.get(request)
        place = here[0] if here is not None else theirs[request][0]
        found = explain(here and here[1], there and there[1], tolerance)
        if found is None and here is not None and there is not None and here[0] != there[0]:
            found = (
                "day_edge",
                f"here it began on {here[0][0]} as {here[0][1]}, there it is billed on {there[0][0]} as {there[0][1]}",
            )
        if found is not None:
            figures = here[1].figures if here else None
            differences.append(Difference(found[0], *place, found[1], figures, there and there[1], request))
    return differences


def explain(ours: Ours | None, theirs: Figures | None, tolerance: Tolerance) -> tuple[Kind, str] | None:
    """What differs, and why most likely; None if nothing does."""
    if theirs is None:
        assert ours is not None
        return _only_here(ours)
    if ours is None:
        return "only_there", "the provider bills it and the gate did not make it: another user of the same account or key"
    return _tokens(ours, theirs, tolerance) or _money(ours.figures, theirs, tolerance) or _requests(ours, theirs, tolerance)


def _only_here(ours: Ours) -> tuple[Kind, str] | None:
    if not any((ours.figures.input, ours.figures.output, ours.figures.cost_microusd)):
        return None
    if (ours.cancelled.requests or 0) >= (ours.figures.requests or 0):
        return "cancelled", "calls that were cut off were counted here, and the provider billed none of them"
    return (
        "only_here",
        "the gate made these calls and the provider does not bill them: not yet, under another name, or not at all",
    )


def _tokens(ours: Ours, theirs: Figures, tolerance: Tolerance) -> tuple[Kind, str] | None:
    gaps: dict[str, int] = {}
    for name in _TOKENS:
        here, there = getattr(ours.figures, name), getattr(theirs, name)
        if here is not None and there is not None and abs(there - here) > tolerance.share * max(here, there):
            gaps[name] = there - here
    if not gaps:
        return None
    said = ", ".join(f"{gap:+d} {name} tokens there" for name, gap in gaps.items())
    cut = ours.cancelled.requests or 0
    if cut and all(-(getattr(ours.cancelled, name) or 0) <= gap for name, gap in gaps.items() if gap < 0):
        at_least = all(abs(gap) <= max(getattr(ours.cancelled, name) or 0, 1) for name, gap in gaps.items())
        if at_least:
            return "cancelled", f"{said}: {cut} calls were cut off and counted here, the provider counted them otherwise"
    calls, billed = ours.figures.requests, theirs.requests
    if calls is not None and billed is not None and calls != billed:
        more = "there" if billed > calls else "here"
        return "tokens_differ", f"{said}, and {abs(billed - calls)} more requests {more}: calls are missing on one side"
    return "tokens_differ", f"{said} for the same calls: the two count differently"


def _money(ours: Figures, theirs: Figures, tolerance: Tolerance) -> tuple[Kind, str] | None:
    here, there = ours.cost_microusd, theirs.cost_microusd
    if here is None or there is None or abs(there - here) <= max(tolerance.microusd, tolerance.share * max(here, there)):
        return None
    more = f"${format_usd(abs(there - here))} {'more' if there > here else 'less'} there"
    if theirs.input is None and theirs.output is None:
        return "price_differs", f"{more}; this export has no tokens, so it cannot be told whether use or price differs"
    if here == 0:
        return "price_differs", f"{more} for the same tokens: no price is set here"
    return "price_differs", f"{more} for the same tokens: {there / here:.4g} times the price set here"


def _requests(ours: Ours, theirs: Figures, tolerance: Tolerance) -> tuple[Kind, str] | None:
    here, there = ours.figures.requests, theirs.requests
    if here is None or there is None or abs(there - here) <= tolerance.share * max(here, there):
        return None
    if abs(there - here) <= (ours.cancelled.requests or 0):
        return "cancelled", f"{there - here:+d} requests there: calls that were cut off are not counted alike"
    return "requests_differ", f"{there - here:+d} requests there, for the same tokens: tries that failed are not counted alike"


def _edges(ours: Mapping[Place, Ours], theirs: Mapping[Place, Figures], tolerance: Tolerance) -> dict[Place, str]:
    """Days whose difference comes back on the next one: what ran around midnight is counted on the other day."""
    gaps = {place: _gap(ours.get(place), theirs.get(place)) for place in ours.keys() | theirs.keys()}
    edges: dict[Place, str] = {}
    for day, model in sorted(gaps):
        following = ((date.fromisoformat(day) + timedelta(days=1)).isoformat(), model)
        gap, back = gaps[day, model], gaps.get(following, 0)
        volume = max(
            _volume(ours.get((day, model)), theirs.get((day, model))), _volume(ours.get(following), theirs.get(following))
        )
        if gap * back < 0 and (day, model) not in edges and abs(gap + back) <= tolerance.share * volume:
            words = f"{abs(gap)} tokens around the midnight between {day} and {following[0]} are counted on the other day"
            edges[day, model] = edges[following] = words
    return edges


def _gap(ours: Ours | None, theirs: Figures | None) -> int:
    """Tokens that are more there; money where an export has no tokens."""
    if theirs is not None and theirs.input is None and theirs.output is None:
        return (theirs.cost_microusd or 0) - ((ours.figures.cost_microusd or 0) if ours else 0)
    return _tokens_of(theirs) - _tokens_of(ours.figures if ours else None)


def _volume(ours: Ours | None, theirs: Figures | None) -> int:
    return max(_tokens_of(theirs), _tokens_of(ours.figures if ours else None))


def _tokens_of(figures: Figures | None) -> int:
    return 0 if figures is None else (figures.input or 0) + (figures.output or 0)


def _total(all_figures: Iterable[Figures]) -> Figures:
    sums = Figures()
    for figures in all_figures:
        sums.add(figures)
    return sums
