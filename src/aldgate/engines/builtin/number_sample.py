"""Numbers within the bounds of a schema, the one nearest to zero first."""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor
from typing import Any


def numbers(flat: dict[str, Any], whole: bool, count: int) -> Iterator[int | float]:
    """Up to about 2 x `count` numbers that `minimum`, `maximum`, their exclusive forms and `multipleOf` let through.

    Exact until the end: 3 x 0.1 is 0.3 here.
    """
    step = _exact(flat.get("multipleOf", 1))
    if whole:
        step = Fraction(step.numerator)
    low, high = _bound(flat, "minimum", "exclusiveMinimum", max), _bound(flat, "maximum", "exclusiveMaximum", min)
    start = _nearest(low, high, step)
    steps = [start + sign * at * step for at in range(count) for sign in (1, -1)]
    if not whole and "multipleOf" not in flat:
        # Bounds closer than 1 may hold no whole number, and a schema may not want one.
        middle = start + Fraction(1, 2) if low is None or high is None else (low + high) / 2
        steps.insert(3, middle)
    for value in dict.fromkeys(steps):
        yield value.numerator if value.denominator == 1 else float(value)


def _exact(value: float) -> Fraction:
    return Fraction(str(value))


def _bound(flat: dict[str, Any], inclusive: str, exclusive: str, tighter: Any) -> Fraction | None:
    given = [_exact(flat[name]) for name in (inclusive, exclusive) if name in flat]
    return tighter(given) if given else None


def _nearest(low: Fraction | None, high: Fraction | None, step: Fraction) -> Fraction:
    if low is not None and low > 0:
        return ceil(low / step) * step
    if high is not None and high < 0:
        return floor(high / step) * step
    return Fraction(0)
