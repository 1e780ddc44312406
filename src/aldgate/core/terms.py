"""How people write money and time: `10.00/month`, `30d`. Parsed here once, for the command line, the API and the file."""

import re
from decimal import Decimal
from typing import cast

from aldgate.core.budgets import Budget, Period

MICRO = 1_000_000
MAX_BUDGET_USD = 1_000_000_000
MAX_DURATION_S = 100 * 365 * 86_400

_BUDGET = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,6})?)/(hour|day|week|month|total)( soft)?")
_DURATION = re.compile(r"([0-9]{1,10})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_budget(text: str) -> Budget:
    """Read a budget: dollars, a slash and a calendar period.

    Args:
        text: `AMOUNT/hour`, `/day`, `/week`, `/month` or `/total`, and ` soft` behind it if it holds estimates; more than 0 and
            at most 10^9 dollars, with at most 6 decimals.

    Raises:
        ValueError: Says how to write it.
    """
    found = _BUDGET.fullmatch(text.strip())
    if found is None:
        raise ValueError("write a budget as dollars per period, like `10.00/month`, `2.50/day` or `500/total`")
    microusd = int(Decimal(found[1]) * MICRO)
    if not 0 < microusd <= MAX_BUDGET_USD * MICRO:
        raise ValueError(f"a budget is more than 0 and at most {MAX_BUDGET_USD} dollars, like `10.00/month`")
    return Budget(microusd, cast(Period, found[2]), is_soft=found[3] is not None)


def parse_duration(text: str) -> int:
    """Read a length of time and return it in seconds.

    Args:
        text: A whole number and `s`, `m`, `h` or `d`; more than 0 and at most 36500 days.

    Raises:
        ValueError: Says how to write it.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError("write a duration as a whole number and a unit, like `30d`, `12h`, `90m` or `45s`")
    seconds = int(found[1]) * _UNIT_S[found[2]]
    if not 0 < seconds <= MAX_DURATION_S:
        raise ValueError("a duration is more than 0 and at most `36500d`")
    return seconds


def format_usd(microusd: int) -> str:
    """Write micro-dollars as dollars, exactly, with two decimals or as many as it takes: `10.00`, `0.000123`, `-1.50`."""
    dollars, rest = divmod(abs(microusd), MICRO)
    decimals = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{'-' if microusd < 0 else ''}{dollars}.{decimals}"
