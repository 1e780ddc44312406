"""`POST /admin/reconcile`: the ledger beside a provider's own export. Nothing is changed by it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
from starlette.datastructures import QueryParams

from aldgate.books import UsageRow
from aldgate.core.calls import LedgerRow
from aldgate.core.errors import InvalidRequest
from aldgate.core.exports import Billed, UnreadableExport, read_export
from aldgate.core.reconciliation import Figures, Ours, Place, Tolerance, compare, compare_requests, gathered, plain_model
from aldgate.core.spans import parse_day, parse_month
from aldgate.storage import Store
from aldgate.surfaces.reports.ledger_query import month, whole

MAX_EXPORT_BYTES = 64 * 1_048_576
PAGE = 10_000
_PARAMETERS = ("provider", "month", "layout", "column", "model", "tolerance_ppm", "tolerance_microusd")


async def reconcile(store: Store, query: QueryParams, body: bytes) -> dict[str, Any]:
    """Compare an export with what the ledger has of the provider in the same days.

    Args:
        store: Has the ledger.
        query: `provider`; `month`, else the days of the export; `layout`; `column` (`day=Date`) and `model` (`their name=ours`),
            each as often as it takes; tolerances.
        body: The export.

    Raises:
        InvalidRequest: A parameter or the export cannot be read.
    """
    unknown = next((name for name in query if name not in _PARAMETERS), None)
    if unknown is not None:
        raise InvalidRequest(f"There is no parameter `{unknown[:100]}` here.", param=unknown[:100])
    provider = query.get("provider") or ""
    if not provider or not provider.isprintable():
        raise InvalidRequest("`provider` names a provider of the configuration.", param="provider")
    renamed, columns = _pairs(query, "model"), _pairs(query, "column")
    tolerance = Tolerance(
        whole(query, "tolerance_ppm", 1_000, 10**6, 0) / 10**6, whole(query, "tolerance_microusd", 10_000, 10**12, 0)
    )
    try:
        text = body.decode("utf-8-sig", "replace")
        layout, lines = await asyncio.to_thread(read_export, text, query.get("layout", ""), columns)
    except UnreadableExport as error:
        raise InvalidRequest(f"The export: {error}.") from None
    since, until, lines = _period(query, lines)
    rows = await store.usage(
        group_by=("day", "model", "status", "usage_source"),
        account=None,
        since=since,
        until=until,
        where=(("provider", (provider,)),),
    )
    ours = _ours(rows, provider, renamed)
    report = await asyncio.to_thread(lambda: compare(ours, gathered(lines, provider, renamed), tolerance))
    answer: dict[str, Any] = {"provider": provider, "layout": layout, "days": sorted({line.day for line in lines})}
    answer |= msgspec.to_builtins(report)
    if lines and all(line.request_id is not None for line in lines):
        kept = await _requests(store, provider, renamed, since, until)
        theirs = _by_request(lines, provider, renamed)
        answer["requests"] = msgspec.to_builtins(await asyncio.to_thread(compare_requests, kept, theirs, tolerance))
    return answer


def _period(query: QueryParams, lines: list[Billed]) -> tuple[float, float, list[Billed]]:
    if query.get("month") is not None:
        name = month(query)
        return *parse_month(name), [line for line in lines if line.day.startswith(name)]
    if not lines:
        raise InvalidRequest("The export has no lines; say which `month` it is of.", param="month")
    last = date.fromisoformat(max(line.day for line in lines)) + timedelta(days=1)
    return parse_day(min(line.day for line in lines))[0], parse_day(last.isoformat())[0], lines


def _ours(rows: Sequence[UsageRow], provider: str, renamed: Mapping[str, str]) -> dict[Place, Ours]:
    sums: dict[Place, Ours] = {}
    for row in rows:
        if row.usage_source == "cache":
            continue  # it was answered here
        place = row.day or "", plain_model(row.model or "", provider, renamed)
        ours = sums.setdefault(place, Ours(Figures(), Figures()))
        is_billed = (row.status or 0) < 400 or row.usage_source != "none"
        figures = Figures(
            row.attempts if is_billed else 0,
            row.prompt_tokens,
            row.completion_tokens,
            row.cached_tokens,
            row.cache_write_tokens,
            row.cost_microusd,
        )
        ours.figures.add(figures)
        if _is_cut(row.status or 0, row.usage_source or ""):
            ours.cancelled.add(figures)
    return sums


def _is_cut(status: int, usage_source: str) -> bool:
    """The provider's own count never came."""
    return status >= 400 and usage_source in ("counted", "bound")


async def _requests(
    store: Store, provider: str, renamed: Mapping[str, str], since: float, until: float
) -> dict[str, tuple[Place, Ours]]:
    found: dict[str, tuple[Place, Ours]] = {}
    after: tuple[str, int] | None = None
    while True:
        rows = await store.ledger_rows(since=since, until=until, where=(("provider", (provider,)),), after=after, limit=PAGE)
        for row in rows:
            if row.usage_source not in ("none", "cache"):
                _take(found, row, provider, renamed)
        if len(rows) < PAGE:
            return found
        after = rows[-1].call_id, rows[-1].attempt


def _take(found: dict[str, tuple[Place, Ours]], row: LedgerRow, provider: str, renamed: Mapping[str, str]) -> None:
    day = (date(1970, 1, 1) + timedelta(days=int(row.received_at // 86_400))).isoformat()
    place = day, plain_model(row.model, provider, renamed)
    _, ours = found.setdefault(row.call_id, (place, Ours(Figures(), Figures())))
    figures = Figures(1, row.input_tokens, row.output_tokens, row.cached_tokens, row.cache_write_tokens, row.cost_microusd)
    ours.figures.add(figures)
    if _is_cut(row.status, row.usage_source):
        ours.cancelled.add(figures)


def _by_request(lines: Sequence[Billed], provider: str, renamed: Mapping[str, str]) -> dict[str, tuple[Place, Figures]]:
    found: dict[str, tuple[Place, Figures]] = {}
    for line in lines:
        place = line.day, plain_model(line.model, provider, renamed)
        found.setdefault(line.request_id or "", (place, Figures()))[1].add(line)
    return found


def _pairs(query: QueryParams, name: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in query.getlist(name):
        left, sign, right = text.partition("=")
        if not (left and sign and right):
            raise InvalidRequest(f"`{name}` is written like `one=other`.", param=name)
        pairs[left] = right
    return pairs
