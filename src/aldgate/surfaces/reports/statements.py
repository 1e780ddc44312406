"""`GET /admin/statements/{account}`: a month of one account, as JSON, CSV or text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response

from aldgate.core.budgets import Budget
from aldgate.core.clients import FILE_ID_PREFIX
from aldgate.core.errors import InvalidRequest, NotFound
from aldgate.core.levels import AccountKind
from aldgate.core.principals import ADMIN
from aldgate.core.spans import parse_month
from aldgate.core.statements import Amounts, Booked, Statement, amounts, as_text, budget_lines, total
from aldgate.gate.principals.client_files import FileClient
from aldgate.storage import Store
from aldgate.surfaces.reports.ledger_query import month
from aldgate.surfaces.reports.sheets import format_of, sheet

FORMATS = ("json", "csv", "text")
NO_FILES: Mapping[str, FileClient] = {}
KINDS: tuple[AccountKind, ...] = ("organisation", "team", "client", "user")


class Subject(msgspec.Struct, frozen=True):
    """Whose statement it is."""

    id: str
    kind: str
    name: str
    budgets: Sequence[Budget] = ()

    @property
    def column(self) -> str:
        """Where the ledger names it."""
        return f"{self.kind}_id" if self.kind in KINDS else "key_id"


async def answer(
    store: Store, account: str, query: QueryParams, accept: str = "", filed: Mapping[str, FileClient] = NO_FILES
) -> dict[str, Any] | Response:
    """The statement of an account (its id, `kind:name`, or a key's id) for `month`; `filed` are the clients in files.

    Raises:
        NotFound: There is no such account.
        InvalidRequest: There is no such month or format.
    """
    unknown = next((name for name in query if name not in ("month", "format")), None)
    if unknown is not None:
        raise InvalidRequest(f"There is no parameter `{unknown[:100]}` here.", param=unknown[:100])
    wanted, form = month(query), format_of(query, accept, FORMATS)
    made = await statement(store, await subject(store, account, filed), wanted)
    if form == "text":
        return Response(as_text(made), 200, {"cache-control": "no-store"}, "text/plain; charset=utf-8")
    if form == "csv":
        return sheet(f"statement-{wanted}", ("part", *Amounts.__struct_fields__), _pages(made))
    return msgspec.structs.asdict(made)


async def statement(store: Store, of: Subject, wanted: str) -> Statement:
    """Make the statement of somebody for a month."""
    since, until = parse_month(wanted)
    where = ((of.column, (of.id,)),)
    rows = await store.usage(group_by=("model", "day"), account=None, since=since, until=until, where=where)
    (before,) = await store.usage(group_by=(), account=None, since=None, until=since, where=where)
    booked = {
        row.period: Booked(row.limit_microusd, row.settled_microusd, row.presumed_microusd)
        for row in await store.budget_rows(of.id)
    }
    whole = total(rows)
    budgets = budget_lines(wanted, of.budgets, booked, before.cost_microusd, whole.cost_microusd)
    return Statement(of.id, of.kind, of.name, wanted, whole, amounts(rows, "model"), amounts(rows, "day"), budgets)


async def subject(store: Store, account: str, filed: Mapping[str, FileClient] = NO_FILES) -> Subject:
    """Whoever has this id or name.

    Raises:
        NotFound: Nobody.
    """
    missing = NotFound(f"There is no account `{account[:100]}`.")
    if "\0" in account:  # some databases keep none
        raise missing
    kind, _, name = account.partition(":")
    if kind == "client" or f"{kind}:" == FILE_ID_PREFIX:
        file = filed.get(name)
        if file is not None:
            return Subject(file.account.id, "client", file.account.name)
    if kind in KINDS:
        found = await store.find_account(kind, name)
    else:
        found = next(reversed(await store.lineage(account)), None)
    if found is not None:
        return Subject(found.id, found.kind, found.name, found.policy.budgets)
    if account == ADMIN.id:
        return Subject(ADMIN.id, "admin", ADMIN.name)
    key = await store.get_key(account)
    if key is None:
        raise missing
    return Subject(key.id, "key", key.name, key.policy.budgets)


async def _pages(made: Statement) -> AsyncIterator[Sequence[Sequence[Any]]]:
    parts = (("model", made.models), ("day", made.days), ("total", [made.total]))
    yield [(part, *msgspec.structs.astuple(row)) for part, rows in parts for row in rows]
