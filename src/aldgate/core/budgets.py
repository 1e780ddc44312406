"""Budgets: how much an account may spend in a calendar period (UTC), and what such a period is called."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import msgspec

Period = Literal["hour", "day", "week", "month", "total"]
PERIODS: tuple[Period, ...] = get_args(Period)


class Budget(msgspec.Struct, frozen=True, omit_defaults=True):
    """At most `microusd` micro-dollars per `period`.

    Attributes:
        is_soft: A call is let through on an estimate of its cost instead of an upper bound, and may overdraw it.
    """

    microusd: int
    period: Period
    is_soft: bool = False


def tightest(budgets: Iterable[Budget]) -> tuple[Budget, ...]:
    """What all of them allow: for each period the smallest one, a hard one before a soft one that is as small."""
    least: dict[Period, Budget] = {}
    for budget in budgets:
        known = least.get(budget.period)
        if known is None or (budget.microusd, budget.is_soft) < (known.microusd, known.is_soft):
            least[budget.period] = budget
    return tuple(least[period] for period in PERIODS if period in least)


def period_name(period: Period, at: datetime) -> str:
    """The calendar period that `at` falls in: `2026-11-21T14`, `2026-11-21`, `2026-W47`, `2026-11` or `total`.

    A hold settles in the period it was taken in, so the name is part of the account's id.
    """
    at = at.astimezone(UTC)
    match period:
        case "hour":
            return at.strftime("%Y-%m-%dT%H")
        case "day":
            return at.strftime("%Y-%m-%d")
        case "week":
            return at.strftime("%G-W%V")
        case "month":
            return at.strftime("%Y-%m")
        case "total":
            return "total"


def period_end(period: Period, at: datetime) -> datetime | None:
    """When the period that `at` falls in is over; None for `total`. Weeks begin on Monday (ISO 8601)."""
    at = at.astimezone(UTC)
    start = at.replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "hour":
            return at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        case "day":
            return start + timedelta(days=1)
        case "week":
            return start + timedelta(days=7 - start.weekday())
        case "month":
            return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        case "total":
            return None
