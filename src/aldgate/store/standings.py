"""Budgets as an operator sees them: where the money is, what lost processes had, who was told of what."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, select, true, tuple_, update

from aldgate.core.alerts import Alert, reached
from aldgate.sharing import BudgetStanding, LostSlice
from aldgate.store.budgets import CHUNK, OF_JOBS
from aldgate.store.database import QueryGroup
from aldgate.store.processes import LAPSE_S
from aldgate.store.tables import alerts, budgets, processes, slices
from aldgate.store.unbroken import unbroken

_IS_OPEN = slices.c.granted > slices.c.reported
_OF_BUDGET = and_(slices.c.account == budgets.c.account, slices.c.period == budgets.c.period)


class Standings(QueryGroup):
    """Queries on where money is; each method as `sharing.BudgetAuthority` says."""

    async def budget_standings(self, account: str | None, *, is_lost: bool, limit: int) -> list[BudgetStanding]:
        """See `BudgetAuthority`."""
        query = select(budgets).order_by(budgets.c.account, budgets.c.period).limit(limit)
        if account is not None:
            query = query.where(budgets.c.account == account)
        if is_lost:
            has_lost = select(slices.c.process).where(_OF_BUDGET, _IS_OPEN, self._is_gone(slices.c.process)).exists()
            query = query.where(has_lost | (budgets.c.presumed > 0))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            parts: dict[tuple[str, str], list[Any]] = {(row.account, row.period): [] for row in rows}
            names = list(parts)
            for start in range(0, len(names), CHUNK):
                for part in await connection.execute(self._parts(names[start : start + CHUNK])):
                    parts[part.account, part.period].append(part)
        return [_standing(row, parts[row.account, row.period]) for row in rows]

    def _parts(self, names: Sequence[tuple[str, str]]) -> Select[Any]:
        """Open slices of budgets, with whether their process is gone and when it was seen."""
        is_gone = self._is_gone(slices.c.process).label("is_gone")
        seen = slices.outerjoin(processes, processes.c.process == slices.c.process)
        of = tuple_(slices.c.account, slices.c.period).in_(names)
        return select(slices, processes.c.seen_at, is_gone).select_from(seen).where(of, _IS_OPEN).order_by(slices.c.process)

    def _is_gone(self, process: ColumnElement[str]) -> ColumnElement[bool]:
        """Whether the process is taken for dead. Of an embedded database, whoever else used it is; a job never is."""
        if self._database.is_embedded:
            return and_(process != literal(self._incarnation), process.not_like(OF_JOBS))
        is_seen = processes.c.seen_at > self._database.now() - LAPSE_S
        return and_(process.not_in(select(processes.c.process).where(is_seen).scalar_subquery()), process.not_like(OF_JOBS))

    @unbroken
    async def release_lost(self, account: str | None, period: str | None, process: str | None) -> int:
        """See `BudgetAuthority`. Budgets are locked in the order of their names, as when they are granted from."""
        wanted = {budgets.c.account: account, budgets.c.period: period}
        which = and_(true(), *(column == value for column, value in wanted.items() if value is not None))
        lost = [_IS_OPEN, self._is_gone(slices.c.process)]
        if process is not None:
            lost.append(slices.c.process == process)
        has_lost = select(slices.c.process).where(_OF_BUDGET, *lost).exists()
        if process is None:
            has_lost |= budgets.c.presumed > 0
        locked = select(budgets).where(which, has_lost).order_by(budgets.c.account, budgets.c.period).with_for_update()
        released = 0
        async with self._database.write() as connection:
            for row in (await connection.execute(locked)).all():
                mine = (slices.c.account == row.account, slices.c.period == row.period, *lost)
                released += int(await connection.scalar(select(func.sum(slices.c.granted - slices.c.reported)).where(*mine)) or 0)
                await connection.execute(update(slices).where(*mine).values(granted=slices.c.reported))
                if process is None and row.presumed:
                    released += row.presumed
                    this = (budgets.c.account == row.account, budgets.c.period == row.period)
                    await connection.execute(update(budgets).where(*this).values(presumed=0))
        return released

    @unbroken
    async def claim_alerts(self, names: Sequence[tuple[str, str]], percents: Sequence[int], now: float) -> list[Alert]:
        """See `BudgetAuthority`."""
        found: list[Alert] = []
        async with self._database.read() as connection:
            for start in range(0, len(names), CHUNK):
                query = select(budgets).where(tuple_(budgets.c.account, budgets.c.period).in_(names[start : start + CHUNK]))
                for row in await connection.execute(query):
                    found += [
                        Alert(row.account, row.period, percent, row.limit_microusd, row.settled, now)
                        for percent in reached(row.limit_microusd, row.settled, percents)
                    ]
        if not found:
            return []
        claimed: list[Alert] = []
        async with self._database.write(relaxed=True) as connection:
            for alert in sorted(found, key=lambda alert: (alert.account, alert.period, alert.percent)):
                claim = {"account": alert.account, "period": alert.period, "percent": alert.percent, "at": now}
                insert = self._database.insert(alerts).values(claim).on_conflict_do_nothing().returning(alerts.c.percent)
                if (await connection.execute(insert)).first() is not None:
                    claimed.append(alert)
        return claimed


def _standing(row: Any, parts: Sequence[Any]) -> BudgetStanding:
    lost = tuple(LostSlice(part.process, part.granted - part.reported, part.seen_at) for part in parts if part.is_gone)
    outstanding = sum(part.granted - part.reported for part in parts if not part.is_gone)
    return BudgetStanding(row.account, row.period, row.limit_microusd, row.settled, outstanding, lost, row.presumed)
