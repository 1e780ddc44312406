"""A month's statement for one account: what it used by model and by day, and how its budgets began and ended.

All sums are taken from the same rows, so that models and days each add up to the total, to the micro-dollar.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from aldgate.core.budgets import Budget, Period, period_name
from aldgate.core.spans import parse_month
from aldgate.core.terms import format_usd

HOUR_S = 3_600


class Amounts(msgspec.Struct):
    """What was used. Money in micro-dollars."""

    name: str
    calls: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_microusd: int = 0

    def add(self, row: Any) -> None:
        """Add a group of ledger rows."""
        for name in self.__struct_fields__[1:]:
            setattr(self, name, getattr(self, name) + getattr(row, name))


class BudgetLine(msgspec.Struct, frozen=True):
    """A budget in one of its periods: what was free when the period (or, in all, the month) began, and when it ended.

    `presumed_microusd` is what a process held that is gone; it is taken off like what was spent.
    """

    period: Period
    name: str
    limit_microusd: int
    opening_microusd: int
    spent_microusd: int
    presumed_microusd: int
    closing_microusd: int


class Statement(msgspec.Struct, frozen=True):
    """One account's month (UTC)."""

    account: str
    kind: str
    name: str
    month: str
    total: Amounts
    models: list[Amounts]
    days: list[Amounts]
    budgets: list[BudgetLine]


class Booked(msgspec.Struct, frozen=True):
    """What stands booked on a budget in one period."""

    limit_microusd: int
    settled_microusd: int
    presumed_microusd: int


def amounts(rows: Iterable[Any], name: str) -> list[Amounts]:
    """Rows (grouped by model and day) summed up by one of the two, in its order."""
    sums: dict[str, Amounts] = {}
    for row in rows:
        value = getattr(row, name)
        sums.setdefault(value, Amounts(value)).add(row)
    return [sums[value] for value in sorted(sums)]


def total(rows: Iterable[Any]) -> Amounts:
    """All rows summed up."""
    sums = Amounts("total")
    for row in rows:
        sums.add(row)
    return sums


def budget_lines(
    month: str, budgets: Sequence[Budget], booked: dict[str, Booked], spent_before: int, spent: int
) -> list[BudgetLine]:
    """How budgets went.

    Args:
        month: As in `2026-11`.
        budgets: Those the account has now.
        booked: What is booked, by the name of the period.
        spent_before: By the ledger, before the month.
        spent: By the ledger, within it.
    """
    limits = {budget.period: budget.microusd for budget in budgets}
    lines: list[BudgetLine] = []
    if "total" in limits or "total" in booked:
        there = booked.get("total", Booked(limits.get("total", 0), 0, 0))
        limit = limits.get("total", there.limit_microusd)
        opening = limit - spent_before
        lines.append(BudgetLine("total", "total", limit, opening, spent, there.presumed_microusd, opening - spent))
    if "month" in limits or month in booked:
        there = booked.get(month, Booked(limits.get("month", 0), 0, 0))
        limit = there.limit_microusd
        closing = limit - spent - there.presumed_microusd
        lines.append(BudgetLine("month", month, limit, limit, spent, there.presumed_microusd, closing))
    for name, period in _pieces(month).items():
        there = booked.get(name)
        if there is not None:
            limit, gone = there.limit_microusd, there.settled_microusd
            closing = limit - gone - there.presumed_microusd
            lines.append(BudgetLine(period, name, limit, limit, gone, there.presumed_microusd, closing))
    return lines


def _pieces(month: str) -> dict[str, Period]:
    """The weeks, days and hours that touch a month, in this order."""
    start, end = parse_month(month)
    hours = [datetime.fromtimestamp(at, UTC) for at in range(int(start), int(end), HOUR_S)]
    periods: tuple[Period, ...] = ("week", "day", "hour")
    return {period_name(period, at): period for period in periods for at in hours}


def as_text(statement: Statement) -> str:
    """The statement to be read."""
    lines = [f"Statement for {statement.kind} {statement.name} ({statement.account})", f"Month: {statement.month} (UTC)", ""]
    for title, rows in (("By model", statement.models), ("By day", statement.days)):
        lines += [title, *_table([*rows, statement.total]), ""]
    if statement.budgets:
        lines += ["Budgets", *_budget_table(statement.budgets), ""]
    return "\n".join(lines)


def _table(rows: Sequence[Amounts]) -> list[str]:
    width = max(len(row.name) for row in rows)
    head = f"  {'':{width}} {'calls':>10} {'errors':>8} {'input':>14} {'output':>14} {'cost':>18}"
    body = (
        f"  {row.name:{width}} {row.calls:>10} {row.errors:>8} {row.prompt_tokens:>14} {row.completion_tokens:>14} "
        f"{_usd(row.cost_microusd):>18}"
        for row in rows
    )
    return [head, *body]


def _budget_table(rows: Sequence[BudgetLine]) -> list[str]:
    head = f"  {'':16} {'limit':>14} {'opening':>14} {'spent':>14} {'presumed':>14} {'closing':>14}"
    figures = ("limit_microusd", "opening_microusd", "spent_microusd", "presumed_microusd", "closing_microusd")
    return [head, *(f"  {row.name:16} " + " ".join(f"{_usd(getattr(row, name)):>14}" for name in figures) for row in rows)]


def _usd(microusd: int) -> str:
    return f"${format_usd(microusd)}" if microusd >= 0 else f"-${format_usd(-microusd)}"
