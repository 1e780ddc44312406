"""Money in this process: slices of budgets that the database granted, held and spent without asking it again.

A slice is committed before it is spent, so no interleaving, crash or lost cache lets two calls spend the same cent. The database
is asked when a slice runs out; nothing waits for it before.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from aldgate.core.budgets import PERIODS, Budget, Period, period_end, period_name
from aldgate.core.errors import BudgetExceeded
from aldgate.core.principals import Principal
from aldgate.gate.money.purses import Claim, Cost, Purse, claims_of, exceeded, named
from aldgate.storage import SliceGrant, SliceRequest, Store

CALLS_PER_SLICE = 8
SECONDS_PER_SLICE = 5
REPEATS = 50
MOST_PRINCIPALS = 50_000
NEVER = float("-inf")
WANTED_S = 1.0
"""How long a process asks for what single calls need, after another lacked what it had."""
REFUSED_S = 1.0
"""How long the database's word that a budget is spent is good for; another process may give some back meanwhile."""


class Slice(msgspec.Struct):
    """What this process was granted of one budget in one period, and what became of it. All amounts in micro-dollars.

    Attributes:
        returning: What was granted under a higher limit and not held when that was lowered: goes back with the next request.
    """

    account: str
    period: str
    limit: int
    granted: int = 0
    spent: int = 0
    held: int = 0
    returning: int = 0
    refilled_at: float = 0.0
    spent_at_refill: int = 0
    wish: int = 0
    repeats: int = 0
    free: int = 0
    refused_at: float = NEVER
    wanted_until: float = NEVER
    recalled_at: float = NEVER
    recall: asyncio.Future[None] | None = None

    @property
    def available(self) -> int:
        """What is neither spent nor held."""
        return self.granted - self.spent - self.held

    def set_aside(self) -> None:
        """What is available goes back with the next request."""
        amount = max(0, self.available)
        self.granted -= amount
        self.returning += amount

    def request(self, minimum: int = 0, maximum: int = 0) -> SliceRequest:
        """What to tell the database, and ask of it."""
        return SliceRequest(self.account, self.period, self.limit, self.spent, self.returning, minimum, maximum)


class Neighbours(Protocol):
    """The other processes that spend from the same budgets."""

    @property
    def are_there(self) -> bool:
        """Whether there are any now."""
        ...

    async def recall(self, account: str, period: str) -> None:
        """Ask them to give back what they do not hold of a budget, and wait until they have, though not for long."""
        ...


Held = list[tuple[Slice, int]]
"""What a call holds, slice by slice."""
Parts = list[tuple[Slice, Claim]]
"""The slices that a principal's calls are held against, and for which budget."""


class Slices:
    """All slices of this process.

    Args:
        store: Grants them.
        incarnation: This process's random id.
        now: Unix seconds.

    Attributes:
        neighbours: The processes to ask for what the database does not have; None: there are none.
    """

    neighbours: Neighbours | None = None

    def __init__(self, store: Store, incarnation: str, now: Callable[[], float]) -> None:
        self._store = store
        self._incarnation = incarnation
        self._now = now
        self._seq = 0
        self._refilling = asyncio.Lock()
        self._unanswered: tuple[int, list[tuple[Slice, SliceRequest]]] | None = None
        self._slices: dict[tuple[str, str], Slice] = {}
        self._periods: dict[Period, tuple[str, float]] = {}
        self._parts_of: dict[str, tuple[object, float, Parts]] = {}

    def period(self, budget: Budget) -> str:
        """The name of the budget's current period."""
        return self._period(budget.period)[0]

    def _period(self, period: Period) -> tuple[str, float]:
        cached = self._periods.get(period)
        now = self._now()
        if cached is None or now >= cached[1]:
            at = datetime.fromtimestamp(now, UTC)
            end = period_end(period, at)
            cached = period_name(period, at), end.timestamp() if end else float("inf")
            self._periods[period] = cached
        return cached

    def _slice(self, account: str, budget: Budget) -> Slice:
        key = account, self.period(budget)
        part = self._slices.get(key)
        if part is None:
            part = self._slices[key] = Slice(account, key[1], budget.microusd, refilled_at=self._now())
        if part.limit != budget.microusd:
            if budget.microusd < part.limit:
                part.set_aside()
            part.limit, part.refused_at = budget.microusd, NEVER
        return part

    def _parts(self, claims: Sequence[Claim]) -> Parts:
        return [(self._slice(claim.account, claim.budget), claim) for claim in claims]

    def parts(self, principal: Principal) -> Parts:
        """The slices that a principal's calls are held against now."""
        known = self._parts_of.get(principal.account)
        if known is not None and known[0] is principal.levels and self._now() < known[1]:
            return known[2]
        if len(self._parts_of) >= MOST_PRINCIPALS:
            self._parts_of.clear()
        claims = claims_of(principal)
        parts = self._parts(claims)
        until = min((self._period(claim.budget.period)[1] for claim in claims), default=float("inf"))
        self._parts_of[principal.account] = principal.levels, until, parts
        return parts

    def hold(self, parts: Parts, cost: Cost) -> Held | None:
        """Hold so much of every slice. Returns what is held, or None if one of them does not suffice: then nothing is."""
        held: Held = []
        for part, claim in parts:
            need = cost.likely if claim.budget.is_soft else cost.most
            if part.granted - part.spent - part.held < need:
                return None
            held.append((part, need))
        for part, need in held:
            part.held += need
        return held

    def settle(self, held: Held, spent: int) -> None:
        """Turn a hold into what was really spent; more than was held is a visible overdraft."""
        for part, need in held:
            part.held -= need
            part.spent += spent
            part.repeats = REPEATS

    def release(self, held: Held) -> None:
        """Hold it no longer; nothing was spent."""
        for part, need in held:
            part.held -= need

    def hand_over(self, held: Held) -> Held:
        """What is held goes to somebody else, who settles it; `take_back` where it did not get there."""
        for part, need in held:
            part.held -= need
            part.granted -= need
        return held

    def take_back(self, held: Held) -> None:
        """What was handed over is this process's again, and not held."""
        for part, need in held:
            part.granted += need

    def hold_up_to(self, held: Held, parts: Parts, microusd: int) -> bool:
        """Hold more of these slices, up to so much of each. False: one of them does not suffice, and nothing has changed."""
        lacking = self._lacking(held, parts, microusd)
        if any(part.available < more for part, _, more in lacking):
            return False
        for part, _, more in lacking:
            part.held += more
            place = next((place for place, (known, _) in enumerate(held) if known is part), None)
            if place is None:
                held.append((part, more))
            else:
                held[place] = part, held[place][1] + more
        return True

    async def refill_up_to(self, held: Held, parts: Parts, microusd: int, what: str) -> None:
        """See that `hold_up_to` finds enough, if it comes before anything is awaited.

        Raises:
            BudgetExceeded: It does not fit what is left of a budget; `what` says to the caller what does not.
            StoreUnavailable: The database did not answer.
        """
        lacking = self._lacking(held, parts, microusd)
        kept: Held = []
        try:
            for more in sorted({more for _, _, more in lacking}):
                alike, cost = [(part, claim) for part, claim, lacks in lacking if lacks == more], Cost(more, 0, what)
                await self.refill(alike, cost)
                kept += self.hold(alike, cost) or []
        finally:
            self.release(kept)

    def within_reach(self, held: Held, parts: Parts) -> int:
        """Micro-dollars up to which `hold_up_to` could hold now."""
        amounts = _amounts(held)
        return min((amounts.get(id(part), 0) + part.available for part, _ in parts), default=0)

    @staticmethod
    def _lacking(held: Held, parts: Parts, microusd: int) -> list[tuple[Slice, Claim, int]]:
        amounts = _amounts(held)
        wanting = [(part, claim, microusd - amounts.get(id(part), 0)) for part, claim in parts]
        return [(part, claim, more) for part, claim, more in wanting if more > 0]

    async def check_lowered(self, parts: Parts) -> None:
        """See that what is spent and held of these budgets fits them still.

        Raises:
            BudgetExceeded: One of them was lowered to less.
            StoreUnavailable: The database did not answer.
        """
        for part, claim in parts:
            if not await self._overdrawn(part, claim):
                continue
            if not await self._recall([part]) or await self._overdrawn(part, claim):
                raise BudgetExceeded(f"The stream was cut: the {named(claim)} is less now than what is spent and held of it.")

    async def _overdrawn(self, part: Slice, claim: Claim) -> bool:
        limit = claim.budget.microusd
        free = await self._store.budget_free(self._incarnation, part.account, part.period, limit, part.spent)
        return free + part.returning + max(0, part.available) < 0

    async def refill(self, parts: Parts, cost: Cost, most: Cost | None = None) -> None:
        """`_refill`, and where it is refused, once more when the other processes have given back what they do not hold.

        Whoever then holds before awaiting anything finds enough: nobody comes in between.
        """
        try:
            await self._refill(parts, cost, most)
        except BudgetExceeded:
            if not await self._recall([part for part, claim in parts if part.available < cost.of(claim.budget)]):
                raise
            await self._refill(parts, cost, most)

    async def refill_all(self, parts: Parts) -> None:
        """Have of every slice whatever is left of its budget, as far as the scarcest allows, for a call that takes what there is.

        Raises:
            StoreUnavailable: The database did not answer; nothing was granted.
        """
        hard, soft = (
            min((part.available + part.free for part, claim in parts if claim.budget.is_soft == is_soft), default=0)
            for is_soft in (False, True)
        )
        try:
            await self._refill(parts, Cost(hard, soft), Cost(hard, soft))
        except BudgetExceeded:
            return  # somebody was faster: it has to do with what it has

    async def _recall(self, parts: list[Slice]) -> bool:
        """Ask the other processes for what they do not hold. False: there are none, or they were asked just now."""
        now = self._now()
        stale = [part for part in parts if part.recall is not None or not 0 <= now - part.recalled_at < REFUSED_S]
        if self.neighbours is None or not self.neighbours.are_there or not stale:
            return False
        for part in stale:
            if part.recall is None:
                part.recall = asyncio.ensure_future(self.neighbours.recall(part.account, part.period))
        await asyncio.gather(*(asyncio.shield(part.recall) for part in stale if part.recall is not None))
        for part in stale:
            part.recall, part.recalled_at, part.refused_at = None, self._now(), NEVER
        return True

    async def give_back(self, account: str, period: str) -> None:
        """Another process needs what this one has of a budget: return what is not held, and for a while ask for little.

        Raises:
            StoreUnavailable: The database did not answer; it is asked again by who refills next.
        """
        part = self._slices.get((account, period))
        if part is None:
            return
        async with self._refilling:
            if self._unanswered is not None:
                await self._answer(self._unanswered)
            part.wanted_until = self._now() + WANTED_S
            part.set_aside()  # before anybody else can hold it
            if part.returning:
                await self._answer(self._number([(part, part.request())]))

    async def _refill(self, parts: Parts, cost: Cost, most: Cost | None = None) -> None:
        """See that at least `cost` is available in every slice, asking the database for those that lack it: for all or none.

        Args:
            parts: The slices.
            cost: What has to be there.
            most: How much to ask for at the most; None: for what is spent in `SECONDS_PER_SLICE`.

        Raises:
            BudgetExceeded: It does not fit what is left of a budget. The first such is named.
            StoreUnavailable: The database did not answer; nothing was granted.
        """
        async with self._refilling:
            if self._unanswered is not None:
                await self._answer(self._unanswered)
            asked: list[tuple[Slice, SliceRequest]] = []
            for part, claim in parts:
                need = cost.of(claim.budget)
                if part.available >= need:
                    continue
                if 0 <= self._now() - part.refused_at < REFUSED_S and part.available + part.free < need:
                    raise exceeded(claim, cost, part.available + part.free, part.held)
                asked.append((part, self._asking(part, need, most and most.of(claim.budget))))
            if not asked:
                return
            kept = self._keep(parts, cost)
            try:
                grants = await self._answer(self._number(asked))
            finally:
                self.release(kept)
            self._note(parts, cost, asked, grants)

    @staticmethod
    def _keep(parts: Parts, cost: Cost) -> Held:
        """Hold what is there of a cost while the rest is asked for: calls that come meanwhile wait behind this one."""
        kept = [(part, min(max(0, part.available), cost.of(claim.budget))) for part, claim in parts]
        for part, amount in kept:
            part.held += amount
        return kept

    def _asking(self, part: Slice, need: int, most: int | None) -> SliceRequest:
        part.granted = max(part.granted, part.spent)  # an overdraft that was reported counts as granted there, too
        lacking = need - part.available
        part.wish = most or self._wish(part, need)
        most = max(lacking, part.wish - max(0, part.available))
        return part.request(lacking, most)

    def _note(self, parts: Parts, cost: Cost, asked: list[tuple[Slice, SliceRequest]], grants: Sequence[SliceGrant]) -> None:
        now = self._now()
        refused: set[int] = set()
        for (part, request), grant in zip(asked, grants, strict=True):
            part.free = grant.free
            if grant.granted:
                part.refused_at, part.refilled_at, part.spent_at_refill = NEVER, now, part.spent
            elif grant.free < request.minimum:
                part.refused_at = now
                refused.add(id(part))
        for part, claim in parts:
            if id(part) in refused:
                raise exceeded(claim, cost, part.free + part.available, part.held)

    def _number(self, asked: list[tuple[Slice, SliceRequest]]) -> tuple[int, list[tuple[Slice, SliceRequest]]]:
        """Requests that are sent now, and again until they are answered: what was set aside is on its way."""
        self._seq += 1
        for part, _ in asked:
            part.returning = 0
        self._unanswered = self._seq, asked
        return self._unanswered

    async def _answer(self, asked: tuple[int, list[tuple[Slice, SliceRequest]]]) -> list[SliceGrant]:
        """Ask, and note the answer. Until there is one it is not known what the database did, so the next to ask repeats this.

        The number is the same then, and so the database answers as before instead of granting twice.
        """
        seq, requests = asked
        grants = await self._store.refill(self._incarnation, seq, [request for _, request in requests])
        self._unanswered = None
        for (part, _), grant in zip(requests, grants, strict=True):
            part.granted += grant.granted
        return grants

    def _wish(self, part: Slice, need: int) -> int:
        """How much to ask for: about `SECONDS_PER_SLICE` of what is being spent; twice the last time, if that went faster."""
        now = self._now()
        if now < part.wanted_until:
            return need
        elapsed = now - part.refilled_at
        if elapsed < SECONDS_PER_SLICE:
            return max(need * CALLS_PER_SLICE, 2 * part.wish)
        return max(need * CALLS_PER_SLICE, int((part.spent - part.spent_at_refill) / elapsed * SECONDS_PER_SLICE))

    @property
    def held(self) -> int:
        """Micro-dollars that calls under way hold, over all accounts."""
        return sum(part.held for part in self._slices.values())

    def affordable(self, parts: Parts, *, is_soft: bool = False) -> int | None:
        """Micro-dollars that could be held of every hard, or every soft, budget now without asking the database.

        None if there is no such budget.
        """
        open_ = [part.available for part, claim in parts if claim.budget.is_soft == is_soft]
        return max(0, min(open_)) if open_ else None

    async def purses(self, principal: Principal) -> list[Purse]:
        """How a principal's budgets stand. Nothing changes, here or in the database.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        return [await self._purse(claim) for claim in claims_of(principal)]

    async def _purse(self, claim: Claim) -> Purse:
        account, budget = claim.account, claim.budget
        period = self.period(budget)
        kept = self._slices.get((account, period))
        free = await self._store.budget_free(self._incarnation, account, period, budget.microusd, kept.spent if kept else 0)
        now = self._now()
        part = self._slices.get((account, period)) or Slice(account, period, budget.microusd)
        end = period_end(budget.period, datetime.fromtimestamp(now, UTC))
        is_refused = part.limit == budget.microusd and 0 <= now - part.refused_at < REFUSED_S
        return Purse(
            claim,
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
        current = {self.period(Budget(0, period)) for period in PERIODS}
        for key, part in list(self._slices.items()):
            if part.period not in current and not part.held and not part.repeats:
                del self._slices[key]

    async def give_all_back(self) -> None:
        """Return all that is not held, before the process ends."""
        async with self._refilling:
            if self._unanswered is not None:
                await self._answer(self._unanswered)
            for part in self._slices.values():
                part.set_aside()
            if self._slices:
                await self._answer(self._number([(part, part.request()) for part in self._slices.values()]))


def is_hard(part: tuple[Slice, Claim]) -> bool:
    """Whether a budget holds what calls may cost at the most."""
    return not part[1].budget.is_soft


def _amounts(held: Held) -> dict[int, int]:
    """How much is held of each slice, by its identity."""
    return {id(part): amount for part, amount in held}
