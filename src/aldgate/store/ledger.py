"""The ledger: appending to it, and what keys and limits need of it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Column, ColumnElement, and_, case, func, literal_column, select

from aldgate.core.calls import LedgerRow
from aldgate.core.errors import Conflict, StoreUnavailable
from aldgate.core.levels import LevelKind
from aldgate.ports import KeyUse, RecentUse, SliceRequest
from aldgate.store.budgets import lock_slices, save_slices
from aldgate.store.database import QueryGroup
from aldgate.store.tables import keys, ledger
from aldgate.store.unbroken import unbroken

MOST = 10**15
"""A single figure above this is nonsense from a provider, and is summed up as this, so that no sum leaves 64 bits."""

_COLUMNS: dict[LevelKind, ColumnElement[Any]] = {
    "organisation": ledger.c.organisation_id,
    "team": ledger.c.team_id,
    "client": ledger.c.client_id,
    "user": ledger.c.user_id,
}
"""Where a row says that a call was under an account of this kind."""


class Ledger(QueryGroup):
    """Queries on the ledger; each method as `ports.Store` says."""

    @unbroken
    async def record(self, rows: Sequence[LedgerRow], reports: Sequence[SliceRequest]) -> None:
        """See `Store`. A row that the database cannot hold as it is is mended, so that it does not keep others out."""
        try:
            await self._record(rows, reports)
        except (StoreUnavailable, Conflict):
            mended = [storable(row) for row in rows]
            if mended == list(rows):
                raise
            await self._record(mended, reports)

    async def _record(self, rows: Sequence[LedgerRow], reports: Sequence[SliceRequest]) -> None:
        async with self._database.write(relaxed=True) as connection:
            if rows:
                await self._database.append(connection, rows)
            held = await lock_slices(self._database, connection, self._incarnation, reports)
            for report in reports:
                held[report.account, report.period].report(report.limit, report.reported)
            await save_slices(self._database, connection, self._incarnation, held)

    async def key_uses(self) -> Mapping[str, KeyUse]:
        """See `Store`."""
        query = (
            select(keys.c.id, calls().label("calls"), func.max(ledger.c.received_at).label("last_used_at"))
            .join(ledger, ledger.c.account == keys.c.id)
            .group_by(keys.c.id)
        )
        async with self._database.read() as connection:
            return {row.id: KeyUse(row.calls, row.last_used_at) for row in await connection.execute(query)}

    async def recent_use(self, kind: LevelKind, account: str, since: float) -> list[RecentUse]:
        """See `Store`. `at` is the last moment of each step, so that a limit rebuilt from it is never laxer than it was."""
        at = ledger.c.received_at
        second, minute = self._database.floor(at), self._database.floor(at / literal_column("60")) * literal_column("60")
        step = case((at >= self._clock() - 60, second), else_=minute)
        tokens = ledger.c.input_tokens + ledger.c.output_tokens
        which = (_COLUMNS.get(kind, ledger.c.account) == account, at >= since)
        each = select(step.label("step"), at, tokens.label("tokens"), ledger.c.is_final).where(*which).subquery()
        latest = func.max(each.c.received_at)
        made = func.count(case((each.c.is_final, 1)))
        query = select(latest, made, func.sum(each.c.tokens)).group_by(each.c.step).order_by(latest)
        async with self._database.read() as connection:
            return [RecentUse(at, made, int(tokens)) for at, made, tokens in await connection.execute(query)]


def storable(row: LedgerRow) -> LedgerRow:
    """The row with what no database holds replaced: integers over 64 bits, broken Unicode, NUL characters, NaN."""
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    return replace(row, **{name: _storable(value) for name, value in fields.items()})


def _storable(value: object) -> object:
    match value:
        case int() if abs(value) > MOST:
            return MOST if value > 0 else -MOST
        case float() if not math.isfinite(value):
            return 0.0
        case str():
            return value.encode(errors="replace").decode().replace("\0", "?")
        case _:
            return value


def calls(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    """How many calls there were: a call may have several rows, one for each attempt, and one of them is the call's own."""
    return func.count(case((and_(ledger.c.is_final, *conditions), 1)))


def total(column: Column[Any]) -> ColumnElement[Any]:
    """The sum of a column; 0 without rows."""
    return func.coalesce(func.sum(case((column > MOST, MOST), else_=column)), 0)


def between(account: str | None, since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    """The rows of an account and a time."""
    conditions: list[ColumnElement[bool]] = []
    if account is not None:
        conditions.append(ledger.c.account == account)
    if since is not None:
        conditions.append(ledger.c.received_at >= since)
    if until is not None:
        conditions.append(ledger.c.received_at < until)
    return conditions
