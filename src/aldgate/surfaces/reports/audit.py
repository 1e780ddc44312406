"""`/admin/audit`: what administrators did, and whether the record of it is whole."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response

from aldgate.books import AuditStore
from aldgate.core.audit import Anchor, AuditRow
from aldgate.core.errors import InvalidRequest
from aldgate.gate.audit import Audit
from aldgate.surfaces.reports.ledger_query import moment, whole
from aldgate.surfaces.reports.sheets import format_of, sheet

FILTERS = ("who", "act", "target", "outcome", "origin")
_PARAMETERS = (*FILTERS, "since", "until", "before", "after", "limit", "format")
USUAL_PAGE, MOST_PAGE = 100, 1_000
MICRO = 1_000_000


class AuditFace:
    """What the paths under `/admin/audit` answer."""

    def __init__(self, store: AuditStore, audit: Audit) -> None:
        self._store = store
        self._audit = audit

    async def list(self, query: QueryParams, accept: str = "") -> dict[str, Any] | Response:
        """A page of rows, newest first, or oldest first behind `after`; all of them, oldest first, as CSV.

        Raises:
            InvalidRequest: A parameter is not readable.
        """
        _know(query, _PARAMETERS)
        where = {name: query.getlist(name) for name in FILTERS if query.get(name)}
        if any("\0" in value for values in where.values() for value in values):
            raise InvalidRequest("A filter has no control characters.")
        now = time.time()
        since, until = _microseconds(moment(query, "since", now)), _microseconds(moment(query, "until", now))
        after = whole(query, "after", 0, 10**15, 0) if query.get("after") is not None else None
        before = whole(query, "before", 0, 10**15, 0) if query.get("before") else None

        async def page(after: int | None, limit: int) -> Sequence[AuditRow]:
            return await self._store.audit_rows(
                where=where, since_us=since, until_us=until, before=before, after=after, limit=limit
            )

        if format_of(query, accept) == "csv":
            return sheet("audit", AuditRow.__struct_fields__, _pages(page, after or 0))
        limit = whole(query, "limit", USUAL_PAGE, MOST_PAGE)
        rows = await page(after, limit + 1)
        return {"object": "list", "data": [shown(row) for row in rows[:limit]], "has_more": len(rows) > limit}

    async def verify(self, query: QueryParams) -> dict[str, Any]:
        """Whether every row is there and as it was written. `anchor` may stand several times.

        Raises:
            InvalidRequest: An anchor is none.
        """
        _know(query, ("anchor",))
        findings, rows, head = await self._audit.verify([parse_anchor(text) for text in query.getlist("anchor")])
        return {
            "is_whole": not findings,
            "rows": rows,
            "anchor": None if head is None else str(head),
            "findings": [msgspec.structs.asdict(finding) for finding in findings],
        }

    async def anchor(self, query: QueryParams) -> dict[str, Any]:
        """How far the log has come, to be kept where nobody who can write to the database can."""
        _know(query, ())
        head = await self._store.audit_head()
        return {"anchor": None if head is None else str(head)}


def parse_anchor(text: str) -> Anchor:
    """Read `NUMBER:HASH`.

    Raises:
        InvalidRequest: It is none.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,15}):([0-9a-f]{64})", text.strip(), re.ASCII)
    if found is None:
        raise InvalidRequest("An anchor is a row's number, a colon and its hash of 64 hex digits.", param="anchor")
    return Anchor(int(found[1]), found[2])


def shown(row: AuditRow) -> dict[str, Any]:
    """A row as the API shows it: all that is hashed, and the time for people."""
    at = datetime.fromtimestamp(row.at_us / MICRO, UTC).isoformat()
    return {"seq": row.seq, "at": at, **{name: value for name, value in msgspec.structs.asdict(row).items() if name != "seq"}}


async def _pages(page: Any, after: int) -> AsyncIterator[list[tuple[Any, ...]]]:
    while rows := await page(after, MOST_PAGE):
        yield [msgspec.structs.astuple(row) for row in rows]
        after = rows[-1].seq


def _know(query: QueryParams, names: Sequence[str]) -> None:
    unknown = next((name for name in query if name not in names), None)
    if unknown is not None:
        raise InvalidRequest(f"There is no parameter `{unknown[:100]}` here.", param=unknown[:100])


def _microseconds(at: float | None) -> int | None:
    return None if at is None else int(at * MICRO)
