"""Money in a process, against a real database: no interleaving and no lost answer spends a cent twice."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aldgate.core.budgets import Budget
from aldgate.core.errors import BudgetExceeded, StoreUnavailable
from aldgate.core.principals import Level, Policy, Principal
from aldgate.gate.money.purses import Claim, Cost
from aldgate.gate.money.slices import REPEATS, Held, Slice, Slices
from aldgate.storage import SliceGrant, SliceRequest, Store
from tests.gate.conftest import Clock

BUDGET = Budget(1_000, "day")


class Losing:
    """A store whose answers may get lost after they were committed, or that is away altogether."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked = 0
        self.after: Callable[[], None] = lambda: None
        self.is_away = False

    async def refill(self, process: str, seq: int, requests: Sequence[SliceRequest]) -> list[SliceGrant]:
        if self.is_away:
            raise StoreUnavailable("away")
        self.asked += 1
        grants = await self._store.refill(process, seq, requests)
        self.after()
        return grants


def _principal(budget: Budget) -> Principal:
    return Principal.of("key", Level("key", "key", "key", Policy(budgets=(budget,))))


class Till:
    """Slices of one account's budgets."""

    def __init__(self, slices: Slices) -> None:
        self.slices = slices

    def _parts(self, budget: Budget) -> list[tuple[Slice, Claim]]:
        return self.slices.parts(_principal(budget))

    async def refill_all(self, budget: Budget = BUDGET) -> None:
        await self.slices.refill_all(self._parts(budget))

    def hold(self, microusd: int, budget: Budget = BUDGET) -> Held | None:
        return self.slices.hold(self._parts(budget), Cost(microusd, microusd))

    async def refill(self, microusd: int, budget: Budget = BUDGET, most: int | None = None) -> None:
        await self.slices.refill(self._parts(budget), Cost(microusd, microusd), None if most is None else Cost(most, most))

    def affordable(self, budget: Budget = BUDGET) -> int:
        return self.slices.affordable(self._parts(budget)) or 0


@pytest.fixture
def till(slices: Slices) -> Till:
    return Till(slices)


@pytest.fixture
def losing(store: Store) -> Losing:
    return Losing(store)


@pytest.fixture
def slices(losing: Losing, clock: Clock) -> Slices:
    return Slices(losing, "this-process", clock)  # pyright: ignore[reportArgumentType]


async def left(store: Store, slices: Slices, budget: Budget = BUDGET, account: str = "key") -> int:
    """What the database still has to grant, and what is open of this process's slice."""
    request = SliceRequest(account, slices.period(budget), budget.microusd, 0, 0, 0, 0)
    (grant,) = await store.refill("this-process", 10**9 + id(request), [request])
    return grant.free


@pytest.mark.anyio
async def test_a_slice_is_asked_for_once_and_spent_without_asking(slices: Slices, till: Till, losing: Losing) -> None:
    assert till.hold(10) is None
    await till.refill(10)
    assert till.affordable() == 80
    held = till.hold(10)
    assert held is not None and [(part.period, amount) for part, amount in held] == [("2026-09-21", 10)]
    slices.settle(held, 4)
    assert till.affordable() == 76
    await till.refill(76)
    assert losing.asked == 1


@pytest.mark.anyio
async def test_what_does_not_fit_is_refused_in_dollars(slices: Slices, till: Till) -> None:
    with pytest.raises(BudgetExceeded) as raised:
        await till.refill(1_001)
    assert raised.value.message == (
        "This call may cost up to $0.001001, but only $0.001 is left of the budget of $0.001 per day."
    )
    await till.refill(5_000_000, Budget(5_000_000, "total"))
    assert till.hold(4_000_000, Budget(5_000_000, "total"))
    with pytest.raises(
        BudgetExceeded, match=r"only \$1.00 is left of the total budget of \$5.00, and \$4.00 is held by calls under way"
    ):
        await till.refill(4_000_000, Budget(5_000_000, "total"))


@pytest.mark.anyio
async def test_the_whole_budget_can_be_spent_and_not_a_micro_dollar_more(slices: Slices, till: Till) -> None:
    spent = 0
    while True:
        try:
            await till.refill(7)
        except BudgetExceeded:
            break
        held = till.hold(7)
        assert held is not None
        slices.settle(held, 7)
        spent += 7
    assert spent == 994
    await till.refill(6)
    assert till.hold(6) and till.hold(1) is None


@pytest.mark.anyio
async def test_what_was_granted_before_a_budget_was_lowered_is_not_spent_after(slices: Slices, till: Till, store: Store) -> None:
    await till.refill(10)
    held = till.hold(10)
    assert held is not None and till.affordable() > 40
    lower = Budget(40, "day")
    assert till.hold(1, lower) is None and till.affordable(lower) == 0
    with pytest.raises(BudgetExceeded, match=r"only \$0.00003 is left"):
        await till.refill(31, lower)
    await till.refill(30, lower)
    assert till.hold(30, lower) and till.hold(1, lower) is None
    slices.settle(held, 10)
    assert await left(store, slices, lower) == 0


@pytest.mark.anyio
async def test_what_a_lowered_budget_set_aside_goes_back_at_the_end_and_when_recalled(
    slices: Slices, till: Till, store: Store
) -> None:
    await till.refill(10)
    period = slices.period(BUDGET)
    assert till.affordable(Budget(500, "day")) == 0
    await slices.give_back("key", period)
    assert await store.budget_free("another-process", "key", period, 500, 0) == 500
    await till.refill(10, Budget(500, "day"))
    assert till.affordable(Budget(400, "day")) == 0
    await slices.give_all_back()
    assert await store.budget_free("another-process", "key", period, 400, 0) == 400


@pytest.mark.anyio
async def test_a_call_that_takes_what_there_is_gets_all_of_the_scarcest_budget(till: Till, slices: Slices, store: Store) -> None:
    await till.refill(600, most=10_000)
    assert till.affordable() == 600
    await till.refill_all()
    assert till.affordable() == 1_000 and await left(store, slices) == 0


@pytest.mark.anyio
async def test_many_who_wait_share_what_one_asked_for(slices: Slices, till: Till, losing: Losing) -> None:
    await asyncio.gather(*(till.refill(10) for _ in range(8)))
    assert losing.asked == 1


@pytest.mark.anyio
async def test_what_is_there_is_kept_for_whoever_asks_for_the_rest(slices: Slices, losing: Losing) -> None:
    """A call with two budgets asks for the one that lacks; meanwhile nobody takes what it has of the other."""
    plenty, scarce = (
        Level("team", "team", "team", Policy(budgets=(BUDGET,))),
        Level("key", "key", "key", Policy(budgets=(BUDGET,))),
    )
    both, one = Principal.of("key", scarce, (plenty,)), Principal.of("team", plenty)
    await slices.refill(slices.parts(one), Cost(100, 100), Cost(100, 100))
    met: list[Held | None] = []
    losing.after = lambda: met.append(slices.hold(slices.parts(one), Cost(60, 60)))
    await slices.refill(slices.parts(both), Cost(80, 80))
    assert met == [None]
    assert slices.hold(slices.parts(both), Cost(80, 80)) is not None
    assert slices.held == 160


@pytest.mark.anyio
async def test_an_overdraft_counts_and_is_not_paid_twice(slices: Slices, till: Till, store: Store) -> None:
    await till.refill(10, most=10)
    held = till.hold(10)
    assert held is not None
    slices.settle(held, 400)
    assert till.affordable() == 0 and till.hold(1) is None
    await till.refill(600)
    assert till.hold(600)
    with pytest.raises(BudgetExceeded, match=r"only \$0.00 is left"):
        await till.refill(1)


@pytest.mark.anyio
async def test_reports_are_cumulative_and_repeated(slices: Slices, till: Till, store: Store) -> None:
    assert slices.reports() == []
    await till.refill(10)
    for _ in range(2):
        held = till.hold(5)
        assert held is not None
        slices.settle(held, 3)
    reports = slices.reports()
    assert [(each.account, each.reported, each.minimum, each.give_back) for each in reports] == [("key", 6, 0, 0)]
    await store.record([], reports)
    await store.record([], reports)
    assert await left(store, slices) == 1_000 - 80
    assert [len(slices.reports()) for _ in range(REPEATS)] == [1] * (REPEATS - 1) + [0]


@pytest.mark.anyio
async def test_a_new_period_is_a_new_budget_and_old_ones_are_forgotten(
    slices: Slices, till: Till, clock: Clock, store: Store
) -> None:
    await till.refill(10)
    held = till.hold(10)
    assert held is not None
    clock.at = datetime(2026, 9, 22, tzinfo=UTC).timestamp() - 0.001
    assert slices.period(BUDGET) == held[0][0].period
    clock.at += 0.001
    assert slices.period(BUDGET) == "2026-09-22" and till.hold(10) is None
    slices.forget_past()
    slices.settle(held, 10)  # in the period it was held in
    slices.forget_past()
    (report,) = slices.reports()
    assert (report.period, report.reported) == ("2026-09-21", 10)
    for _ in range(REPEATS):
        slices.reports()
    slices.forget_past()
    slices.settle(held, 0)
    assert slices.reports() == []


@pytest.mark.anyio
async def test_what_is_not_held_is_given_back_at_the_end(slices: Slices, till: Till, store: Store) -> None:
    await slices.give_all_back()
    await till.refill(100)
    first, second = till.hold(30), till.hold(50)
    assert first is not None and second is not None
    slices.settle(first, 20)
    await slices.give_all_back()
    assert till.affordable() == 0
    assert await left(store, slices) == 1_000 - 20 - 50


@pytest.mark.anyio
async def test_a_lowered_limit_holds_at_once(slices: Slices, till: Till) -> None:
    await till.refill(100, most=100)
    assert till.hold(100)
    with pytest.raises(BudgetExceeded):
        await till.refill(100, Budget(150, "day"))
    await till.refill(100, Budget(200, "day"))


@pytest.mark.anyio
async def test_while_the_store_is_away_what_was_granted_can_be_spent(slices: Slices, till: Till, losing: Losing) -> None:
    await till.refill(10)
    losing.is_away = True
    with pytest.raises(StoreUnavailable):
        await till.refill(500)
    assert till.hold(80)
    losing.is_away = False
    await till.refill(500)


@pytest.mark.anyio
@pytest.mark.parametrize("need", [500, 990])
async def test_an_answer_that_got_lost_is_neither_a_second_grant_nor_a_loss(
    slices: Slices, till: Till, losing: Losing, need: int
) -> None:
    """The caller left, or the connection broke, just after the database had granted or refused."""

    def cut() -> None:
        raise asyncio.CancelledError

    await till.refill(60, most=60)
    assert till.hold(20)
    losing.after = cut
    with pytest.raises(asyncio.CancelledError):
        await till.refill(need)
    losing.after = lambda: None
    held = 20
    for amount in (40, 30, 30, 300, 600, 100, 10, 7, 3):
        try:
            await till.refill(amount)
        except BudgetExceeded:
            continue
        assert till.hold(amount)
        held += amount
    assert held <= 1_000
    await till.refill(1_000 - held)
    assert till.hold(1_000 - held)


@pytest.mark.anyio
async def test_what_is_given_back_at_the_end_is_given_back_once(slices: Slices, till: Till) -> None:
    for amount in (201, 400):
        await till.refill(amount)
        assert till.hold(amount)
    await slices.give_all_back()
    with pytest.raises(BudgetExceeded):
        await till.refill(400)
    assert till.hold(400) is None


amounts = st.integers(0, 400)
steps = st.lists(
    st.tuples(st.sampled_from(["call", "settle", "lose", "away", "report", "give back"]), amounts, amounts), max_size=25
)


@pytest.mark.anyio
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
async def test_held_and_spent_never_exceed_the_budget(store: Store, steps: list[tuple[str, int, int]]) -> None:
    losing = Losing(store)
    clock = Clock(1_790_000_000.0 + 86_400 * (await new_day(store)))
    slices = Slices(losing, "this-process", clock)  # pyright: ignore[reportArgumentType]
    slices._seq = int(clock.at)  # pyright: ignore[reportPrivateUsage] - the days share one database
    till = Till(slices)
    open_holds: list[tuple[Held, int]] = []
    spent = 0

    def cut() -> None:
        raise asyncio.CancelledError

    for what, amount, part in steps:
        losing.after, losing.is_away = (cut if what == "lose" else lambda: None), what == "away"
        if what == "settle" and open_holds:
            holding, held = open_holds.pop(part % len(open_holds))
            spent += min(part, held)
            slices.settle(holding, min(part, held))
        elif what == "report":
            await store.record([], slices.reports())
        elif what == "give back":
            await slices.give_all_back()
        else:
            try:
                await till.refill(amount)
            except (BudgetExceeded, StoreUnavailable, asyncio.CancelledError):
                pass
            holding = till.hold(amount)
            if holding is not None:
                open_holds.append((holding, amount))
        assert spent + sum(held for _, held in open_holds) <= BUDGET.microusd


days = iter(range(1, 10_000))


async def new_day(store: Store) -> int:
    return next(days)
