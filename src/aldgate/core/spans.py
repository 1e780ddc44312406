"""Stretches of time as people write them: `2026-11`, `2026-W47`, `2026-11-21`, `7d`. All in UTC, as Unix seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from aldgate.core.terms import parse_duration

Span = tuple[float, float]
"""From, and until before."""


def parse_month(text: str) -> Span:
    """`2026-11`. Raises `ValueError` for anything else, as do the next three."""
    if re.fullmatch(r"\d{4}-\d\d", text, re.ASCII) is None:
        raise ValueError("write a month like 2026-11")
    start = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    return start.timestamp(), _after(start, timedelta(days=32)).replace(day=1).timestamp()


def parse_week(text: str) -> Span:
    """`2026-W47`, which begins on Monday (ISO 8601)."""
    if re.fullmatch(r"\d{4}-W\d\d", text, re.ASCII) is None:
        raise ValueError("write a week like 2026-W47")
    start = datetime.strptime(f"{text}-1", "%G-W%V-%u").replace(tzinfo=UTC)
    return start.timestamp(), _after(start, timedelta(days=7)).timestamp()


def parse_day(text: str) -> Span:
    """`2026-11-21`."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) is None:
        raise ValueError("write a day like 2026-11-21")
    start = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    return start.timestamp(), _after(start, timedelta(days=1)).timestamp()


def parse_hour(text: str) -> Span:
    """`2026-11-21T14`."""
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d", text, re.ASCII) is None:
        raise ValueError("write an hour like 2026-11-21T14")
    start = datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    return start.timestamp(), _after(start, timedelta(hours=1)).timestamp()


TIMES: dict[str, Callable[[str], Span]] = {"hour": parse_hour, "day": parse_day, "week": parse_week, "month": parse_month}
"""How the calendar's pieces are read, by what they are called."""


def parse_moment(text: str, now: float) -> float:
    """A moment: an ISO date or time (UTC where it says nothing), Unix seconds, or so long ago, as in `7d`.

    Raises:
        ValueError: It is none of these.
    """
    if text.isascii() and text.isdigit() and len(text) < 12:
        return float(text)
    if text[-1:] in "smhd" and text[:-1].isascii() and text[:-1].isdigit():
        return now - parse_duration(text)
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _after(start: datetime, length: timedelta) -> datetime:
    try:
        return start + length
    except OverflowError:
        raise ValueError("this is further than the calendar goes") from None
