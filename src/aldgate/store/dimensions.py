"""What the ledger can be summed and filtered by: the columns behind each name, and how their values are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, false, func, literal_column, or_, select

from aldgate.core.clients import FILE_ID_PREFIX
from aldgate.core.spans import TIMES
from aldgate.store.database import Database
from aldgate.store.tables import accounts, keys, ledger

NAMED: dict[str, tuple[str, Column[Any], Table]] = {
    "key": ("key_id", ledger.c.account, keys),
    "user": ("user_id", ledger.c.user_id, accounts),
    "client": ("client_id", ledger.c.client_id, accounts),
    "team": ("team_id", ledger.c.team_id, accounts),
    "organisation": ("organisation_id", ledger.c.organisation_id, accounts),
}
"""Dimensions whose values have an id and a name: what the id is called, its column, and where the name stands."""
PLAIN: dict[str, Column[Any]] = {
    name: ledger.c[name] for name in ("model", "requested_model", "provider", "operation", "status", "error_code", "usage_source")
}

_DAY = ledger.c.received_at / literal_column("86400")
_EPOCH = date(1970, 1, 1)


def grouped(database: Database, name: str) -> tuple[str, ColumnElement[Any]]:
    """The column to group by for a dimension, and the name it goes by in `UsageRow`."""
    if name in NAMED:
        return NAMED[name][:2]
    if name in PLAIN:
        return name, PLAIN[name]
    match name:
        case "hour":
            return name, database.floor(ledger.c.received_at / literal_column("3600"))
        case "day":
            return name, database.floor(_DAY)
        case "week":  # the first day of the epoch was a Thursday, and weeks begin on Monday
            return name, database.floor((_DAY + literal_column("3")) / literal_column("7"))
        case _:
            return name, database.month(ledger.c.received_at)


def condition(name: str, values: Sequence[str]) -> ColumnElement[bool]:
    """The rows whose `name` is one of `values`; see `Store.usage`."""
    if name in TIMES:
        spans = [TIMES[name](value) for value in values]
        return or_(false(), *((ledger.c.received_at >= start) & (ledger.c.received_at < end) for start, end in spans))
    if name == "status":
        return ledger.c.status.in_([int(value) for value in values])
    if name in PLAIN:
        return PLAIN[name].in_(values)
    if name in NAMED:
        _, column, table = NAMED[name]
        known = select(table.c.id).where(table.c.name.in_(values))
        if name == "client":
            values = [*values, *(FILE_ID_PREFIX + value for value in values)]
        return column.in_(values) | column.in_(known if table is keys else known.where(accounts.c.kind == name))
    column = next(column for id_name, column, _ in NAMED.values() if id_name == name)
    return column.in_(values)


def named(sums: Any, name: str) -> tuple[ColumnElement[Any], Any, ColumnElement[bool]]:
    """The name behind the ids of a dimension in a subquery: its column, the table to join, and on what."""
    id_name, _, table = NAMED[name]
    known = table.alias(f"of_{name}")
    unknown = func.replace(sums.c[id_name], FILE_ID_PREFIX, "") if name == "client" else sums.c[id_name]
    return func.coalesce(known.c.name, unknown).label(name), known, known.c.id == sums.c[id_name]


WRITTEN: dict[str, Callable[[int], str]] = {
    "hour": lambda number: datetime.fromtimestamp(number * 3600, UTC).strftime("%Y-%m-%dT%H"),
    "day": lambda number: (_EPOCH + timedelta(days=number)).isoformat(),
    "week": lambda number: (_EPOCH + timedelta(days=number * 7 - 3)).strftime("%G-W%V"),
}
"""How the numbers of times are written."""
