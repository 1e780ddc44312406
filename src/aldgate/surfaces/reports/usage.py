"""`GET /v1/usage`, `/admin/usage` and `/admin/ledger`: what the ledger says, summed up or row by row, as JSON or CSV."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response

from aldgate.books import UsageRow
from aldgate.core.calls import LedgerRow
from aldgate.core.dimensions import DIMENSIONS
from aldgate.core.errors import InvalidRequest
from aldgate.core.principals import Principal
from aldgate.storage import Store
from aldgate.surfaces.reports.ledger_query import Asked, asked, seen_by, whole
from aldgate.surfaces.reports.sheets import format_of, sheet

GROUPS = ("key", "model", "day")
"""What is summed by if nothing is said."""
IDS = {name: f"{name}_id" for name in ("key", "user", "client", "team", "organisation")}
SUMS = (
    "calls",
    "errors",
    "attempts",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_microusd",
)
USUAL_ROWS, MOST_ROWS = 10_000, 100_000
USUAL_PAGE, MOST_PAGE = 1_000, 10_000
_PARAMETERS = ("group_by", "limit", "offset", "format")


async def usage(store: Store, principal: Principal, query: QueryParams, accept: str = "") -> dict[str, Any] | Response:
    """Sums grouped by `group_by` (any of `DIMENSIONS`, comma-separated), from `since` to before `until`, of what one may see.

    Raises:
        ScopeDenied: The key may not read usage.
        InvalidRequest: A parameter is not readable.
    """
    own = seen_by(principal)
    wanted = asked(query, time.time(), _PARAMETERS)
    groups = [name for name in query.get("group_by", ",".join(GROUPS)).split(",") if name]
    if not set(groups) <= set(DIMENSIONS) or len(set(groups)) != len(groups):
        raise InvalidRequest(f"`group_by` takes any of {', '.join(DIMENSIONS)}, each once.", param="group_by")
    is_sheet = format_of(query, accept) == "csv"
    limit = whole(query, "limit", MOST_ROWS if is_sheet else USUAL_ROWS, MOST_ROWS)
    rows = await store.usage(
        group_by=groups,
        account=None,
        since=wanted.since,
        until=wanted.until,
        where=(*own, *wanted.where),
        limit=limit + 1,
        offset=whole(query, "offset", 0, 10**9, 0),
    )
    if is_sheet:
        columns = [*_columns(groups), *SUMS]
        return sheet("usage", columns, _in_pages([getattr(row, name) for name in columns] for row in rows[:limit]))
    shown = {"key_id", "key", "model", "day", *_columns(groups), *SUMS}
    data = await asyncio.to_thread(lambda: [_plain(row, shown) for row in rows[:limit]])
    return {"object": "list", "data": data, "has_more": len(rows) > limit}


async def ledger(store: Store, query: QueryParams, accept: str = "") -> dict[str, Any] | Response:
    """The rows themselves in the order they began: a page of them as JSON, `next` leading on, or all of them as CSV.

    Raises:
        InvalidRequest: A parameter is not readable.
    """
    wanted = asked(query, time.time(), ("limit", "after", "format"))
    after = _cursor(query.get("after"))
    if format_of(query, accept) == "csv":
        return sheet("ledger", LedgerRow.__struct_fields__, _ledger_pages(store, wanted, after))
    limit = whole(query, "limit", USUAL_PAGE, MOST_PAGE)
    rows = await _ledger_page(store, wanted, after, limit + 1)
    page = rows[:limit]
    more = len(rows) > limit
    following = f"{page[-1].call_id}:{page[-1].attempt}" if more else None
    return {"object": "list", "data": [msgspec.structs.asdict(row) for row in page], "has_more": more, "next": following}


async def _ledger_page(store: Store, wanted: Asked, after: tuple[str, int] | None, limit: int) -> list[LedgerRow]:
    return await store.ledger_rows(since=wanted.since, until=wanted.until, where=wanted.where, after=after, limit=limit)


async def _ledger_pages(store: Store, wanted: Asked, after: tuple[str, int] | None) -> AsyncIterator[list[tuple[Any, ...]]]:
    while rows := await _ledger_page(store, wanted, after, MOST_PAGE):
        yield [msgspec.structs.astuple(row) for row in rows]
        if len(rows) < MOST_PAGE:
            return
        after = rows[-1].call_id, rows[-1].attempt


async def _in_pages(rows: Any) -> AsyncIterator[Sequence[Sequence[Any]]]:
    page: list[Sequence[Any]] = []
    for row in rows:
        page.append(row)
        if len(page) == 1_000:
            yield page
            page = []
    yield page


def _cursor(text: str | None) -> tuple[str, int] | None:
    if not text:
        return None
    found = re.fullmatch(r"([!-9;-~]{1,200}):([0-9]{1,9})", text)
    if found is None:
        raise InvalidRequest("`after` is what `next` said on the page before.", param="after")
    return found[1], int(found[2])


def _columns(groups: Sequence[str]) -> list[str]:
    return [column for name in groups for column in ((IDS[name], name) if name in IDS else (name,))]


def _plain(row: UsageRow, shown: set[str]) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(row).items() if name in shown}
