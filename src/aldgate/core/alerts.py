"""When somebody is to be told that a budget is being spent."""

from collections.abc import Sequence

import msgspec


class Alert(msgspec.Struct, frozen=True):
    """A budget has come to a part of its limit, for the first time in its period. Money in micro-dollars.

    Attributes:
        percent: That part.
        at: Unix seconds.
    """

    account: str
    period: str
    percent: int
    limit_microusd: int
    spent_microusd: int
    at: float

    @property
    def id(self) -> str:
        """The same for each attempt to tell of it."""
        return f"{self.account}/{self.period}/{self.percent}"


def reached(limit_microusd: int, spent_microusd: int, percents: Sequence[int]) -> list[int]:
    """Those of `percents` of the limit that are spent, in order. Of a budget of nothing, all are once anything is spent."""
    if spent_microusd <= 0:
        return []
    return sorted(percent for percent in set(percents) if spent_microusd * 100 >= limit_microusd * percent)


def parse_percents(text: str) -> tuple[int, ...]:
    """Percentages as an operator writes them: `50,80,100`.

    Raises:
        ValueError: One of them is no whole number from 1 to 1000.
    """
    percents: list[int] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        if not (part.isascii() and part.isdigit() and 1 <= int(part) <= 1000):
            raise ValueError(f"`{part[:20]}` is no whole number of percent from 1 to 1000")
        percents.append(int(part))
    return tuple(sorted(set(percents)))
