"""Money in a process, against a real database: no interleaving and no lost answer spends a cent twice."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aldgate.core.budgets import Budget
from aldgate.core.errors import BudgetExceeded, StoreUnavailable
from aldgate.gate.slices import REPEATS, Slices
from aldgate.ports import SliceGrant, SliceRequest, Store
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
async def test_a_slice_is_asked_for_once_and_spent_without_asking(slices: Slices, losing: Losing) -> None:
    assert slices.hold("key", BUDGET, 10) is None
    await slices.refill("key", BUDGET, 10)
    assert slices.affordable("key", BUDGET) == 80
    period = slices.hold("key", BUDGET, 10)
    assert period == "2026-09-21"
    slices.settle("key", period, 10, 4)
    assert slices.affordable("key", BUDGET) == 76
    await slices.refill("key", BUDGET, 76)
    assert losing.asked == 1


@pytest.mark.anyio
async def test_what_does_not_fit_is_refused_in_dollars(slices: Slices) -> None:
    with pytest.raises(BudgetExceeded) as raised:
        await slices.refill("key", BUDGET, 1_001)
    assert raised.value.message == (
        "This call may cost up to $0.001001, but only $0.001 is left of the budget of $0.001 per day."
    )
    await slices.refill("key", Budget(5_000_000, "total"), 5_000_000)
    assert slices.hold("key", Budget(5_000_000, "total"), 4_000_000)
    with pytest.raises(
        BudgetExceeded, match=r"only \$1.00 is left of the total budget of \$5.00, and \$4.00 is held by calls under way"
    ):
        await slices.refill("key", Budget(5_000_000, "total"), 4_000_000)


@pytest.mark.anyio
async def test_the_whole_budget_can_be_spent_and_not_a_micro_dollar_more(slices: Slices) -> None:
    spent = 0
    while True:
        try:
            await slices.refill("key", BUDGET, 7)
        except BudgetExceeded:
            break
        period = slices.hold("key", BUDGET, 7)
        assert period is not None
        slices.settle("key", period, 7, 7)
        spent += 7
    assert spent == 994
    await slices.refill("key", BUDGET, 6)
    assert slices.hold("key", BUDGET, 6) and slices.hold("key", BUDGET, 1) is None


@pytest.mark.anyio
async def test_many_who_wait_share_what_one_asked_for(slices: Slices, losing: Losing) -> None:
    await asyncio.gather(*(slices.refill("key", BUDGET, 10) for _ in range(8)))
    assert losing.asked == 1


@pytest.mark.anyio
async def test_an_overdraft_counts_and_is_not_paid_twice(slices: Slices, store: Store) -> None:
    await slices.refill("key", BUDGET, 10, most=10)
    period = slices.hold("key", BUDGET, 10)
    assert period is not None
    slices.settle("key", period, 10, 400)
    assert slices.affordable("key", BUDGET) == 0 and slices.hold("key", BUDGET, 1) is None
    await slices.refill("key", BUDGET, 600)
    assert slices.hold("key", BUDGET, 600)
    with pytest.raises(BudgetExceeded, match=r"only \$0.00 is left"):
        await slices.refill("key", BUDGET, 1)


@pytest.mark.anyio
async def test_reports_are_cumulative_and_repeated(slices: Slices, store: Store) -> None:
    assert slices.reports() == []
    await slices.refill("key", BUDGET, 10)
    for _ in range(2):
        period = slices.hold("key", BUDGET, 5)
        assert period is not None
        slices.settle("key", period, 5, 3)
    reports = slices.reports()
    assert [(each.account, each.reported, each.minimum, each.give_back) for each in reports] == [("key", 6, 0, 0)]
    await store.record([], reports)
    await store.record([], reports)
    assert await left(store, slices) == 1_000 - 80
    assert [len(slices.reports()) for _ in range(REPEATS)] == [1] * (REPEATS - 1) + [0]


@pytest.mark.anyio
async def test_a_new_period_is_a_new_budget_and_old_ones_are_forgotten(slices: Slices, clock: Clock, store: Store) -> None:
    await slices.refill("key", BUDGET, 10)
    held = slices.hold("key", BUDGET, 10)
    assert held is not None
    clock.at = datetime(2026, 9, 22, tzinfo=UTC).timestamp() - 0.001
    assert slices.period(BUDGET) == held
    clock.at += 0.001
    assert slices.period(BUDGET) == "2026-09-22" and slices.hold("key", BUDGET, 10) is None
    slices.forget_past()
    slices.settle("key", held, 10, 10)  # in the period it was held in
    slices.forget_past()
    (report,) = slices.reports()
    assert (report.period, report.reported) == (held, 10)
    for _ in range(REPEATS):
        slices.reports()
    slices.forget_past()
    with pytest.raises(KeyError):
        slices.settle("key", held, 0, 0)


@pytest.mark.anyio
async def test_what_is_not_held_is_given_back_at_the_end(slices: Slices, store: Store) -> None:
    await slices.give_back()
    await slices.refill("key", BUDGET, 100)
    first, second = slices.hold("key", BUDGET, 30), slices.hold("key", BUDGET, 50)
    assert first is not None and second is not None
    slices.settle("key", first, 30, 20)
    await slices.give_back()
    assert slices.affordable("key", BUDGET) == 0
    assert await left(store, slices) == 1_000 - 20 - 50


@pytest.mark.anyio
async def test_a_lowered_limit_holds_at_once(slices: Slices) -> None:
    await slices.refill("key", BUDGET, 100, most=100)
    assert slices.hold("key", BUDGET, 100)
    with pytest.raises(BudgetExceeded):
        await slices.refill("key", Budget(150, "day"), 100)
    await slices.refill("key", Budget(200, "day"), 100)


@pytest.mark.anyio
async def test_while_the_store_is_away_what_was_granted_can_be_spent(slices: Slices, losing: Losing) -> None:
    await slices.refill("key", BUDGET, 10)
    losing.is_away = True
    with pytest.raises(StoreUnavailable):
        await slices.refill("key", BUDGET, 500)
    assert slices.hold("key", BUDGET, 80)
    losing.is_away = False
    await slices.refill("key", BUDGET, 500)


@pytest.mark.anyio
@pytest.mark.parametrize("need", [500, 990])
async def test_an_answer_that_got_lost_is_neither_a_second_grant_nor_a_loss(slices: Slices, losing: Losing, need: int) -> None:
    """The caller left, or the connection broke, just after the database had granted or refused."""

    def cut() -> None:
        raise asyncio.CancelledError

    await slices.refill("key", BUDGET, 60, most=60)
    assert slices.hold("key", BUDGET, 20)
    losing.after = cut
    with pytest.raises(asyncio.CancelledError):
        await slices.refill("key", BUDGET, need)
    losing.after = lambda: None
    held = 20
    for amount in (40, 30, 30, 300, 600, 100, 10, 7, 3):
        try:
            await slices.refill("key", BUDGET, amount)
        except BudgetExceeded:
            continue
        assert slices.hold("key", BUDGET, amount)
        held += amount
    assert held <= 1_000
    await slices.refill("key", BUDGET, 1_000 - held)
    assert slices.hold("key", BUDGET, 1_000 - held)


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
    open_holds: list[tuple[str, int]] = []
    spent = 0

    def cut() -> None:
        raise asyncio.CancelledError

    for what, amount, part in steps:
        losing.after, losing.is_away = (cut if what == "lose" else lambda: None), what == "away"
        if what == "settle" and open_holds:
            period, held = open_holds.pop(part % len(open_holds))
            spent += min(part, held)
            slices.settle("key", period, held, min(part, held))
        elif what == "report":
            await store.record([], slices.reports())
        elif what == "give back":
            await slices.give_back()
        else:
            try:
                await slices.refill("key", BUDGET, amount)
            except (BudgetExceeded, StoreUnavailable, asyncio.CancelledError):
                pass
            period = slices.hold("key", BUDGET, amount)
            if period is not None:
                open_holds.append((period, amount))
        assert spent + sum(held for _, held in open_holds) <= BUDGET.microusd


days = iter(range(1, 10_000))


async def new_day(store: Store) -> int:
    return next(days)
