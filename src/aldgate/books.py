"""What is kept of what was done, as it is read: sums and rows of the ledger, what is booked on budgets, the audit log."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from aldgate.core.audit import Anchor, AuditEntry, AuditRow
from aldgate.core.calls import LedgerRow


class UsageRow(msgspec.Struct, frozen=True):
    """One group of ledger rows. Fields not grouped by are None. Money in micro-dollars, times in UTC."""

    key_id: str | None
    key: str | None
    model: str | None
    day: str | None
    calls: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost_microusd: int
    user_id: str | None = None
    user: str | None = None
    client_id: str | None = None
    client: str | None = None
    team_id: str | None = None
    team: str | None = None
    organisation_id: str | None = None
    organisation: str | None = None
    requested_model: str | None = None
    provider: str | None = None
    operation: str | None = None
    status: int | None = None
    error_code: str | None = None
    usage_source: str | None = None
    hour: str | None = None
    week: str | None = None
    month: str | None = None
    attempts: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class BudgetRow(msgspec.Struct, frozen=True):
    """What is booked on one budget in one period: `settled` was spent, `presumed` was held by a process that is gone."""

    period: str
    limit_microusd: int
    settled_microusd: int
    presumed_microusd: int


class ReportStore(Protocol):
    """The ledger and the budgets, added up. Every method may raise `StoreUnavailable`."""

    async def usage(
        self,
        *,
        group_by: Sequence[str],
        account: str | None,
        since: float | None,
        until: float | None,
        where: Sequence[tuple[str, Sequence[str]]] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[UsageRow]:
        """Ledger sums by any dimensions (the names of `core.dimensions.DIMENSIONS`), the newest first, then dearest first.

        Args:
            group_by: Dimensions; none sums all in one row.
            account: Only this account's rows; None for all.
            since: Unix seconds, inclusive.
            until: Unix seconds, exclusive.
            where: Dimensions and the values wanted of each; accounts and keys by id or name. `key_id`, `user_id`, `client_id`,
                `team_id` and `organisation_id` take ids alone. All must hold; a dimension may stand twice.
            limit: Rows at most; None for all.
            offset: Rows to leave out first.
        """
        ...

    async def ledger_rows(
        self,
        *,
        since: float | None,
        until: float | None,
        where: Sequence[tuple[str, Sequence[str]]] = (),
        after: tuple[str, int] | None = None,
        limit: int,
    ) -> list[LedgerRow]:
        """Ledger rows themselves, ordered by call id and attempt: those behind `after`, at most `limit`. See `usage`."""
        ...

    async def budget_rows(self, account: str) -> list[BudgetRow]:
        """All that is booked on an account's budgets, period by period."""
        ...


class AuditStore(Protocol):
    """What administrators did: a chain that is only ever added to."""

    async def add_audit(self, entry: AuditEntry) -> AuditRow:
        """Put the entry at the end of the chain, committed when this returns. Processes that come together take turns."""
        ...

    async def audit_rows(
        self,
        *,
        where: Mapping[str, Sequence[str]],
        since_us: int | None = None,
        until_us: int | None = None,
        before: int | None = None,
        after: int | None = None,
        limit: int,
    ) -> list[AuditRow]:
        """Rows whose fields are among the values in `where`: those behind `after`, oldest first, else newest first.

        Args:
            where: Any of `who`, `act`, `target`, `outcome`, `origin`.
            since_us: Unix microseconds, inclusive.
            until_us: Unix microseconds, exclusive.
            before: Only rows with lower numbers.
            after: Only rows with higher numbers.
            limit: Rows at most.
        """
        ...

    async def audit_head(self) -> Anchor | None:
        """How far the chain has come; None while nothing was done yet."""
        ...
