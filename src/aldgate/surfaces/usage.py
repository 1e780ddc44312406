"""`GET /v1/usage`: what the ledger says. A key sees its own rows, an admin everybody's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from aldgate.core.errors import InvalidRequest, ScopeDenied
from aldgate.core.principals import Principal
from aldgate.ports import Store

GROUPS = ("key", "model", "day")


async def usage(store: Store, principal: Principal, query: Mapping[str, str]) -> dict[str, Any]:
    """Sums grouped by `group_by` (any of key, model, day, comma-separated), from `since` to before `until`.

    Args:
        store: Holds the ledger.
        principal: Who asks.
        query: `since` and `until` are ISO dates or times (UTC where they say nothing), or Unix seconds.

    Raises:
        ScopeDenied: The key may not read usage.
        InvalidRequest: A parameter is not readable.
    """
    if "usage" not in principal.rights.scopes:
        raise ScopeDenied("This API key may not read usage.")
    groups = [name for name in query.get("group_by", ",".join(GROUPS)).split(",") if name]
    if not set(groups) <= set(GROUPS) or len(set(groups)) != len(groups):
        raise InvalidRequest(f"`group_by` takes any of {', '.join(GROUPS)}, each once.", param="group_by")
    rows = await store.usage(
        group_by=groups,
        account=None if "admin" in principal.rights.scopes else principal.account,
        since=_moment(query, "since"),
        until=_moment(query, "until"),
    )
    return {"object": "list", "data": [msgspec.structs.asdict(row) for row in rows]}


def _moment(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name)
    if not text:
        return None
    try:
        return float(text) if text.isascii() and text.isdigit() and len(text) < 12 else _parse(text).timestamp()
    except (ValueError, OverflowError):
        raise InvalidRequest(f"`{name}` is a date like 2026-11-21, a time in ISO 8601, or Unix seconds.", param=name) from None


def _parse(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
