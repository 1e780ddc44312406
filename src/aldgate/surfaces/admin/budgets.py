"""`/admin/budgets`: where the money of budgets is, and what lost processes may have spent, returned by an operator."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from aldgate.core.errors import InvalidRequest
from aldgate.core.giving import check_beneath
from aldgate.core.principals import Principal
from aldgate.sharing import BudgetStanding
from aldgate.surfaces.admin.acts import Administration, plain
from aldgate.surfaces.http.bodies import decoded

MOST = 1_000

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class ReleaseRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What to count as unspent. What is not given is not asked about; nothing at all must be said on purpose, by `all`."""

    account: Name | None = None
    period: Name | None = None
    process: Name | None = None
    all: bool = False


class BudgetAdmin:
    """What the paths under `/admin/budgets` do."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._store = administration.store

    async def list(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Budgets that something was spent of; with `lost=true` only those that lost processes may have spent from.

        Raises:
            InvalidRequest: A parameter is not readable.
        """
        lost = query.get("lost", "false")
        if lost not in ("true", "false"):
            raise InvalidRequest("`lost` is true or false.", param="lost")
        standings = await self._store.budget_standings(query.get("account") or None, is_lost=lost == "true", limit=MOST + 1)
        return {"object": "list", "data": [_shown(each) for each in standings[:MOST]], "has_more": len(standings) > MOST}

    async def release(self, who: Principal, body: bytes) -> dict[str, Any]:
        """Count as unspent what lost processes had and did not report.

        Raises:
            InvalidRequest: It does not say of what.
            PolicyDenied: Who asks is restricted, perhaps by this budget.
        """
        check_beneath(who, ())
        wanted = decoded(body, ReleaseRequest)
        if wanted.all == (wanted.account is not None or wanted.period is not None or wanted.process is not None):
            raise InvalidRequest("Say of which `account`, `period` or `process`, or say `all`.")
        released = await self._store.release_lost(wanted.account, wanted.period, wanted.process)
        details = {**plain(wanted), "released_microusd": released}
        await self._administration.did(who, "budget.release", wanted.account or "all", details)
        return {"released_microusd": released}


def _shown(standing: BudgetStanding) -> dict[str, Any]:
    return {
        "account": standing.account,
        "period": standing.period,
        "limit_microusd": standing.limit,
        "settled_microusd": standing.settled,
        "outstanding_microusd": standing.outstanding,
        "presumed_microusd": standing.presumed_spent,
        "lost": [
            {
                "process": part.process,
                "microusd": part.microusd,
                "seen_at": part.seen_at and datetime.fromtimestamp(part.seen_at, UTC).isoformat(timespec="seconds"),
            }
            for part in standing.lost
        ],
    }
