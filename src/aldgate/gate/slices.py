"""Money in this process: slices of budgets that the database granted, held and spent without asking it again.

A slice is committed before it is spent, so no interleaving, crash or lost cache lets two calls spend the same cent. The database
is asked when a slice runs out; nothing waits for it before.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from aldgate.core.budgets import Budget, period_end, period_name
from aldgate.core.errors import BudgetExceeded
from aldgate.core.prices import MILLION
from aldgate.ports import SliceGrant, SliceRequest, Store

CALLS_PER_SLICE = 8
SECONDS_PER_SLICE = 5
REPEATS = 50
NEVER = float("-inf")
REFUSED_S = 1.0
"""How long the database's word that a budget is spent is good for; another process may give some back meanwhile."""


class _Slice(msgspec.Struct):
    account: str
    period: str
    limit: int
    granted: int = 0
    spent: int = 0
    held: int = 0
    refilled_at: float = 0.0
    spent_at_refill: int = 0
    wish: int = 0
    repeats: int = 0
    free: int = 0
    refused_at: float = NEVER

    @property
    def available(self) -> int:
        return self.granted - self.spent - self.held


class Purse(msgspec.Struct, frozen=True):
    """How a budget stands, in micro-dollars, for one process.

    Attributes:
        ends_at: Unix seconds; None: never.
        held: By calls under way in this process.
        at_hand: Of its slice, neither spent nor held.
        free: What the database would grant.
        refused: What it said when it last granted nothing, if that was just now: until it is old, nobody asks again.
    """

    budget: Budget
    period: str
    ends_at: float | None
    held: int
    at_hand: int
    free: int
    refused: int | None

    @property
    def left(self) -> int:
        """What calls may still be held for."""
        return self.at_hand + self.free

    def fits(self, microusd: int) -> bool:
        """Whether a call of so much would be let through."""
        is_refused = self.refused is not None and self.at_hand + self.refused < microusd
        return self.at_hand >= microusd or (not is_refused and self.left >= microusd)

    def exceeded(self, microusd: int) -> BudgetExceeded:
        """The refusal of a call of so much."""
        return _exceeded(self.budget, microusd, self.left, self.held)


class Slices:
    """All slices of this process.

    Args:
        store: Grants them.
        incarnation: This process's random id.
        now: Unix seconds.
    """

    def __init__(self, store: Store, incarnation: str, now: Callable[[], float]) -> None:
        self._store = store
        self._incarnation = incarnation
        self._now = now
        self._seq = 0
        self._refilling = asyncio.Lock()
        self._unanswered: tuple[int, _Slice, SliceRequest] | None = None
        self._slices: dict[tuple[str, str], _Slice] = {}
        self._periods: dict[str, tuple[str, float]] = {}

    def period(self, budget: Budget) -> str:
        """The name of the budget's current period."""
        cached = self._periods.get(budget.period)
        now = self._now()
        if cached is None or now >= cached[1]:
            at = datetime.fromtimestamp(now, UTC)
            end = period_end(budget.period, at)
            cached = period_name(budget.period, at), end.timestamp() if end else float("inf")
            self._periods[budget.period] = cached
        return cached[0]

    def _slice(self, account: str, budget: Budget) -> _Slice:
        key = account, self.period(budget)
        part = self._slices.get(key)
        if part is None:
            part = self._slices[key] = _Slice(account, key[1], budget.microusd, refilled_at=self._now())
        if part.limit != budget.microusd:
            part.limit, part.refused_at = budget.microusd, NEVER
        return part

    def hold(self, account: str, budget: Budget, microusd: int) -> str | None:
        """Hold so much of the slice. Returns the period it is held in, or None if the slice does not suffice."""
        part = self._slice(account, budget)
        if part.available < microusd:
            return None
        part.held += microusd
        return part.period

    def settle(self, account: str, period: str, held: int, spent: int) -> None:
        """Turn a hold into what was really spent; more than was held is a visible overdraft."""
        part = self._slices[account, period]
        part.held -= held
        part.spent += spent
        part.repeats = REPEATS

    async def refill(self, account: str, budget: Budget, need: int, most: int | None = None) -> None:
        """See that at least `need` micro-dollars are available, asking the database if they are not.

        Raises:
            BudgetExceeded: They do not fit what is left of the budget.
            StoreUnavailable: The database did not answer; nothing was granted.
        """
        part = self._slice(account, budget)
        async with self._refilling:
            if self._unanswered is not None:
                await self._answer(self._unanswered)
            if part.available >= need:
                return
            if 0 <= self._now() - part.refused_at < REFUSED_S and part.available + part.free < need:
                raise _exceeded(budget, need, part.available + part.free, part.held)
            part.granted = max(part.granted, part.spent)  # an overdraft that was reported counts as granted there, too
            lacking = need - part.available
            wish = most or self._wish(part, need)
            most = max(lacking, wish - max(0, part.available))
            self._seq += 1
            self._unanswered = self._seq, part, SliceRequest(account, part.period, part.limit, part.spent, 0, lacking, most)
            grant = await self._answer(self._unanswered)
            part.free, part.refused_at = grant.free, NEVER if grant.granted else self._now()
            if not grant.granted:
                raise _exceeded(budget, need, grant.free + part.available, part.held)
            part.refilled_at, part.spent_at_refill, part.wish = self._now(), part.spent, wish

    async def _answer(self, asked: tuple[int, _Slice, SliceRequest]) -> SliceGrant:
        """Ask, and note the answer. Until there is one it is not known what the database did, so the next to ask repeats this.

        The number is the same then, and so the database answers as before instead of granting twice.
        """
        seq, part, request = asked
        (grant,) = await self._store.refill(self._incarnation, seq, [request])
        self._unanswered = None
        part.granted += grant.granted
        return grant

    def _wish(self, part: _Slice, need: int) -> int:
        """How much to ask for: about `SECONDS_PER_SLICE` of what is being spent; twice the last time, if that went faster."""
        elapsed = self._now() - part.refilled_at
        if elapsed < SECONDS_PER_SLICE:
            return max(need * CALLS_PER_SLICE, 2 * part.wish)
        return max(need * CALLS_PER_SLICE, int((part.spent - part.spent_at_refill) / elapsed * SECONDS_PER_SLICE))

    @property
    def held(self) -> int:
        """Micro-dollars that calls under way hold, over all accounts."""
        return sum(part.held for part in self._slices.values())

    def affordable(self, account: str, budget: Budget) -> int:
        """Micro-dollars that could be held now without asking the database."""
        return max(0, self._slice(account, budget).available)

    async def purse(self, account: str, budget: Budget) -> Purse:
        """How a budget stands. Nothing changes, here or in the database.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        period = self.period(budget)
        kept = self._slices.get((account, period))
        free = await self._store.budget_free(self._incarnation, account, period, budget.microusd, kept.spent if kept else 0)
        now = self._now()
        part = self._slices.get((account, period)) or _Slice(account, period, budget.microusd)
        end = period_end(budget.period, datetime.fromtimestamp(now, UTC))
        is_refused = part.limit == budget.microusd and 0 <= now - part.refused_at < REFUSED_S
        return Purse(
            budget,
            period,
            end.timestamp() if end else None,
            part.held,
            max(part.granted, part.spent) - part.spent - part.held,
            free,
            part.free if is_refused else None,
        )

    def reports(self) -> list[SliceRequest]:
        """What was spent so far, for the ledger's writer to fold into the budgets with the rows that spent it.

        Reports are cumulative, and each change is repeated `REPEATS` times, so that a failed commit loses none.
        """
        reports: list[SliceRequest] = []
        for part in self._slices.values():
            if part.repeats:
                part.repeats -= 1
                reports.append(SliceRequest(part.account, part.period, part.limit, part.spent, 0, 0, 0))
        return reports

    def forget_past(self) -> None:
        """Drop the slices of periods that are over and fully reported."""
        current = {self.period(Budget(0, period)) for period in ("day", "month", "total")}
        for key, part in list(self._slices.items()):
            if part.period not in current and not part.held and not part.repeats:
                del self._slices[key]

    async def give_back(self) -> None:
        """Return all that is not held, before the process ends."""
        if self._unanswered is not None:
            await self._answer(self._unanswered)
        requests = [
            SliceRequest(part.account, part.period, part.limit, part.spent, max(0, part.available), 0, 0)
            for part in self._slices.values()
        ]
        if requests:
            self._seq += 1
            await self._store.refill(self._incarnation, self._seq, requests)
        for part in self._slices.values():
            part.granted -= max(0, part.available)


def _exceeded(budget: Budget, need: int, free: int, held: int) -> BudgetExceeded:
    under_way = f", and {_usd(held)} is held by calls under way" if held else ""
    return BudgetExceeded(
        f"This call may cost up to {_usd(need)}, but only {_usd(max(0, free))} is left of the budget of"
        f" {_usd(budget.microusd)} per {budget.period}{under_way}."
        if budget.period != "total"
        else f"This call may cost up to {_usd(need)}, but only {_usd(max(0, free))} is left of the total budget of"
        f" {_usd(budget.microusd)}{under_way}."
    )


def _usd(microusd: int) -> str:
    dollars, rest = divmod(microusd, MILLION)
    return f"${dollars}.{rest:06d}".rstrip("0").ljust(len(str(dollars)) + 4, "0")
