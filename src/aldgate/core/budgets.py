"""Budgets: how much an account may spend in a calendar period (UTC), and what such a period is called."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

Period = Literal["day", "month", "total"]


class Budget(msgspec.Struct, frozen=True):
    """At most `microusd` micro-dollars per `period`."""

    microusd: int
    period: Period


def period_name(period: Period, at: datetime) -> str:
    """The calendar period that `at` falls in: `2026-11-21`, `2026-11` or `total`.

    A hold settles in the period it was taken in, so the name is part of the account's id.
    """
    at = at.astimezone(UTC)
    match period:
        case "day":
            return at.strftime("%Y-%m-%d")
        case "month":
            return at.strftime("%Y-%m")
        case "total":
            return "total"


def period_end(period: Period, at: datetime) -> datetime | None:
    """When the period that `at` falls in is over; None for `total`."""
    start = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "day":
            return start + timedelta(days=1)
        case "month":
            return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        case "total":
            return None
