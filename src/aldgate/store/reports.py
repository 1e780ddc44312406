"""What is read out of the ledger for people: sums by any dimension, rows, and what is booked on budgets.

Everything is added up by the database, which works beside the event loop: a thread of SQLite's, or a server of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from aldgate.books import BudgetRow, UsageRow
from aldgate.core.calls import LedgerRow
from aldgate.store.database import QueryGroup
from aldgate.store.dimensions import NAMED, WRITTEN, condition, grouped, named
from aldgate.store.ledger import between, calls, total
from aldgate.store.tables import budgets, ledger

COUNTED = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "cost_microusd")
_SHOWN = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}
_NEWEST_FIRST = ("month", "week", "day", "hour")


class Reports(QueryGroup):
    """Queries that add up; each method as `ports.Store` says."""

    async def usage(
        self,
        *,
        group_by: Sequence[str],
        account: str | None,
        since: float | None,
        until: float | None,
        where: Sequence[tuple[str, Sequence[str]]] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[UsageRow]:
        """See `Store`. An account without a key (an admin's) goes by its own name."""
        groups = dict(grouped(self._database, name) for name in group_by)
        conditions = [*between(account, since, until), *_conditions(where)]
        inner = select(
            *(column.label(name) for name, column in groups.items()),
            calls().label("calls"),
            calls(ledger.c.status >= 400).label("errors"),
            func.count().label("attempts"),
            *(total(ledger.c[name]).label(_SHOWN.get(name, name)) for name in COUNTED),
        )
        sums = inner.where(*conditions).group_by(*groups.values()).subquery("sums")
        names = [named(sums, name) for name in group_by if name in NAMED]
        source: Any = sums
        for _, table, on in names:
            source = source.outerjoin(table, on)
        newest = [sums.c[name].desc() for name in _NEWEST_FIRST if name in groups]
        order = (*newest, sums.c.cost_microusd.desc(), *(sums.c[name] for name in groups))
        query = select(sums, *(label for label, _, _ in names)).select_from(source).order_by(*order).limit(limit).offset(offset)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        # Thousands of rows are made into structs beside the event loop.
        return await asyncio.to_thread(lambda: [_usage_row(row) for row in rows])

    async def ledger_rows(
        self,
        *,
        since: float | None,
        until: float | None,
        where: Sequence[tuple[str, Sequence[str]]] = (),
        after: tuple[str, int] | None = None,
        limit: int,
    ) -> list[LedgerRow]:
        """See `Store`."""
        conditions = [*between(None, since, until), *_conditions(where)]
        if after is not None:
            call, attempt = after
            later = or_(ledger.c.call_id > call, and_(ledger.c.call_id == call, ledger.c.attempt > attempt))
            conditions += [ledger.c.call_id >= call, later]
        query = select(ledger).where(*conditions).order_by(ledger.c.call_id, ledger.c.attempt).limit(limit)
        async with self._database.read() as connection:
            return [LedgerRow(*row) for row in await connection.execute(query)]

    async def budget_rows(self, account: str) -> list[BudgetRow]:
        """See `Store`."""
        query = select(budgets).where(budgets.c.account == account).order_by(budgets.c.period)
        async with self._database.read() as connection:
            rows = await connection.execute(query)
            return [BudgetRow(row.period, row.limit_microusd, row.settled, row.presumed) for row in rows]


def _conditions(where: Sequence[tuple[str, Sequence[str]]]) -> list[ColumnElement[bool]]:
    return [condition(name, values) for name, values in where]


def _usage_row(row: Mapping[Any, Any]) -> UsageRow:
    fields = dict.fromkeys(("key_id", "key", "model", "day")) | {name: _read(name, value) for name, value in row.items()}
    return UsageRow(**fields)  # pyright: ignore[reportArgumentType] - the query's names are the struct's


def _read(name: str, value: Any) -> Any:
    if name in WRITTEN:
        return WRITTEN[name](int(value))
    # PostgreSQL sums 64-bit integers as decimals.
    return int(value) if name.endswith(("_tokens", "_microusd")) else value
