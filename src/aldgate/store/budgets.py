"""Budgets and the slices that processes hold of them: the rows. The arithmetic is in `slices`."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Table, and_, bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.storage import SliceGrant, SliceRequest
from aldgate.store.database import Database, QueryGroup
from aldgate.store.slices import BudgetName, Slice, grant_all, name_of
from aldgate.store.tables import budgets, refills, slices
from aldgate.store.unbroken import unbroken

CHUNK = 500
"""Budgets per statement; each takes two parameters, of which databases accept some 32,000."""
OF_JOBS = "job:%"
"""Slices that were granted to jobs and not to processes: they stand until the job has ended."""


# These run with every batch of the ledger, so they are built once: a statement is a knot of references to itself, which only the
# garbage collector gets rid of.
_NAMES: BindParameter[Any] = bindparam("names", expanding=True)
_READ = select(budgets).where(tuple_(budgets.c.account, budgets.c.period).in_(_NAMES))
_LOCKED = _READ.order_by(budgets.c.account, budgets.c.period).with_for_update()
_PARTS = select(slices).where(tuple_(slices.c.account, slices.c.period).in_(_NAMES))


class Budgets(QueryGroup):
    """Queries on budgets; each method as `ports.Store` says."""

    @unbroken
    async def refill(self, process: str, seq: int, requests: Sequence[SliceRequest]) -> list[SliceGrant]:
        """See `Store`. A `seq` below the last one was overtaken: it changes nothing and is granted nothing.

        `free` is below 0 after a bill over its bound, or once a limit was lowered.
        """
        async with self._database.write() as connection:
            held = await lock_slices(self._database, connection, process, requests)
            last = (await connection.execute(select(refills).where(refills.c.process == process))).first()
            if last is not None and last.seq == seq:
                return msgspec.json.decode(last.answer, type=list[SliceGrant])
            if last is not None and last.seq > seq:
                return [SliceGrant(0, held[name_of(request)].free) for request in requests]
            for request in requests:
                held[name_of(request)].report(request.limit, request.reported)
                held[name_of(request)].take_back(request.give_back)
            grants = grant_all(held, requests)
            await save_slices(self._database, connection, process, held)
            await self._remember(connection, process, seq, grants)
        return grants

    async def budget_free(self, process: str, account: str, period: str, limit: int, reported: int) -> int:
        """See `Store`."""
        named = {"names": [(account, period)]}
        budget = Slice(limit)
        async with self._database.read() as connection:
            for row in await connection.execute(_READ, named):
                budget.settled, budget.presumed = row.settled, row.presumed
            for row in await connection.execute(_PARTS, named):
                _put(budget, row, process)
        budget.report(limit, reported)
        return budget.free

    async def _remember(self, connection: AsyncConnection, process: str, seq: int, grants: list[SliceGrant]) -> None:
        answer = {"seq": seq, "answer": msgspec.json.encode(grants)}
        upsert = self._database.insert(refills).values(process=process, **answer)
        await connection.execute(upsert.on_conflict_do_update(index_elements=["process"], set_=answer))

    async def _presume_spent(self) -> None:
        """Count what other incarnations hold as spent: they are gone, and what they began may still be billed."""
        is_other = and_(slices.c.process != self._incarnation, slices.c.process.not_like(OF_JOBS))
        is_same_budget = (slices.c.account == budgets.c.account) & (slices.c.period == budgets.c.period)
        lost = select(func.sum(slices.c.granted - slices.c.reported)).where(is_other, is_same_budget).scalar_subquery()
        has_lost = select(slices.c.process).where(is_other, is_same_budget).exists()
        async with self._database.write() as connection:
            await connection.execute(update(budgets).where(has_lost).values(presumed=budgets.c.presumed + lost))
            await connection.execute(delete(slices).where(is_other))
            await connection.execute(delete(refills).where(refills.c.process != self._incarnation))


Insert = sqlite.Insert | postgresql.Insert


@cache
def _upserts(insert: Callable[[Table], Insert]) -> tuple[Insert, Insert, Insert]:
    """For one kind of database: create a budget unless it is there, save a budget, save a slice."""
    total, part = insert(budgets), insert(slices)
    return (
        insert(budgets).on_conflict_do_nothing(),
        total.on_conflict_do_update(
            index_elements=["account", "period"],
            set_={"limit_microusd": total.excluded.limit_microusd, "settled": total.excluded.settled},
        ),
        part.on_conflict_do_update(
            index_elements=["account", "period", "process"],
            set_={"granted": part.excluded.granted, "reported": part.excluded.reported},
        ),
    )


async def lock_slices(
    database: Database, connection: AsyncConnection, process: str, requests: Sequence[SliceRequest]
) -> dict[BudgetName, Slice]:
    """Lock the budgets asked about until the transaction ends, creating those that are new, and read them.

    Always creates first and locks second, each in the order of the names, so that no two processes wait for each other.
    """
    limits = {name_of(request): request.limit for request in requests}
    names = sorted(limits)
    held: dict[BudgetName, Slice] = {}
    if names:
        blank = [
            {"account": account, "period": period, "limit_microusd": limits[account, period], "settled": 0, "presumed": 0}
            for account, period in names
        ]
        create, _, _ = _upserts(database.insert)
        await connection.execute(create, blank)
    for start in range(0, len(names), CHUNK):
        held |= await _lock_chunk(connection, process, names[start : start + CHUNK])
    return held


async def _lock_chunk(connection: AsyncConnection, process: str, names: Sequence[BudgetName]) -> dict[BudgetName, Slice]:
    named = {"names": names}
    held = {
        (row.account, row.period): Slice(row.limit_microusd, row.settled, row.presumed)
        for row in await connection.execute(_LOCKED, named)
    }
    for row in await connection.execute(_PARTS, named):
        _put(held[row.account, row.period], row, process)
    return held


def _put(budget: Slice, row: Any, process: str) -> None:
    """Take in a row of slices: this process's own, or another's."""
    if row.process == process:
        budget.granted, budget.reported = row.granted, row.reported
    else:
        budget.others += row.granted - row.reported


async def save_slices(database: Database, connection: AsyncConnection, process: str, held: Mapping[BudgetName, Slice]) -> None:
    """Write back what `lock_slices` read."""
    if not held:
        return
    totals = [
        {"account": account, "period": period, "limit_microusd": each.limit, "settled": each.settled, "presumed": each.presumed}
        for (account, period), each in held.items()
    ]
    parts = [
        {"account": account, "period": period, "process": process, "granted": each.granted, "reported": each.reported}
        for (account, period), each in held.items()
    ]
    _, total, part = _upserts(database.insert)
    await connection.execute(total, totals)
    await connection.execute(part, parts)
