"""Streams hold what they have come to and a step ahead, to the last token that a budget pays for and not one more."""

from collections.abc import Iterable

import pytest

from aldgate.core.budgets import Budget
from aldgate.core.calls import UNBOUND, Admission, Call, Outcome
from aldgate.core.errors import BudgetExceeded, PolicyDenied, PriceUnknown, StoreUnavailable
from aldgate.core.principals import Level, Policy, Principal
from aldgate.core.usage import Usage
from aldgate.storage import Store
from tests.gate.conftest import Clock
from tests.gate.test_gate import House

pytestmark = pytest.mark.anyio
OUTPUT = 10
"""Micro-dollars per output token of the house's models; a byte of input is one."""
STEP = 16


@pytest.fixture
def house(store: Store, clock: Clock) -> House:
    house = House(store, clock)
    house.gate.steps.tokens = STEP
    return house


def budget(*microusd: int, is_soft: bool = False) -> Policy:
    periods = ("day", "month", "total")
    return Policy(budgets=tuple(Budget(each, period, is_soft) for each, period in zip(microusd, periods, strict=False)))


def stream(house: House, policy: Policy, max_tokens: int = 100, n: int = 1) -> Call:
    return house.call(policy=policy, stream=True, max_tokens=max_tokens, n=n)


async def deliver(house: House, admission: Admission, counts: Iterable[int]) -> int:
    """Come to these counts one after the other, as a relay does; returns the last that went through."""
    passed = 0
    for count in counts:
        if count >= admission.extend_at and not house.gate.extend(admission, count):
            await house.gate.extend_shared(admission, count)
        assert count <= admission.paid_output
        passed = count
    return passed


def held(admission: Admission) -> int:
    (amount,) = {amount for _, amount in admission.held or []}
    return amount


@pytest.mark.parametrize("n", [1, 3])
async def test_a_step_is_held_at_first_and_the_next_before_it_is_used_up(house: House, n: int) -> None:
    call = stream(house, budget(100_000, 200_000), n=n)
    admission = await house.admit(call)
    body = len(call.peek.body)
    assert (held(admission), admission.paid_output) == (body + STEP * OUTPUT * n, STEP * n)
    assert admission.extend_at == STEP * n // 2
    await deliver(house, admission, range(admission.extend_at))
    assert held(admission) == body + STEP * OUTPUT * n
    await deliver(house, admission, [admission.extend_at])
    assert held(admission) == admission.most_microusd == body + 2 * STEP * OUTPUT * n
    await deliver(house, admission, range(100 * n))
    assert held(admission) == body + 100 * OUTPUT * n, "never more than the whole"
    assert admission.extend_at >= UNBOUND
    house.gate.settle(admission, Outcome(200, Usage(5, 100 * n), "reported"))
    assert house.slices.held == 0


@pytest.mark.parametrize("jump", [1, 3, 7, 40, 1_000])
@pytest.mark.parametrize("pays_for", [0, 1, 15, 16, 17, 33, 99])
async def test_it_goes_on_to_the_last_token_that_the_budget_pays_for(house: House, jump: int, pays_for: int) -> None:
    body = len(stream(house, Policy(), max_tokens=1_000).peek.body)
    microusd = body + (STEP + pays_for) * OUTPUT + 9
    admission = await house.admit(stream(house, budget(microusd, 10**9), max_tokens=1_000))
    with pytest.raises(BudgetExceeded, match=r"^The stream was cut: the next part of this stream may cost up to .* per day"):
        await deliver(house, admission, range(0, 2_001, jump))
    assert admission.paid_output == STEP + pays_for
    assert house.slices.held <= 2 * microusd and held(admission) <= microusd
    house.gate.settle(admission, Outcome(200, Usage(body, admission.paid_output), "counted"))
    assert house.slices.held == 0
    assert microusd - OUTPUT < house.rows[0].cost_microusd + 9 <= microusd


async def test_streams_of_one_budget_share_it_to_the_token(house: House) -> None:
    body = len(stream(house, Policy(), max_tokens=1_000).peek.body)
    microusd = 3 * (body + STEP * OUTPUT) + 50 * OUTPUT
    admissions = [await house.admit(stream(house, budget(microusd), max_tokens=1_000)) for _ in range(3)]
    spent = 0
    for count in range(1, 100):
        for admission in list(admissions):
            try:
                await deliver(house, admission, [count])
            except BudgetExceeded:
                admissions.remove(admission)
                usage = Usage(body, admission.paid_output)
                house.gate.settle(admission, Outcome(200, usage, "counted"))
                spent += house.rows[-1].cost_microusd
    assert not admissions and microusd - OUTPUT < spent <= microusd


async def test_what_has_no_hard_budget_asks_for_nothing(house: House) -> None:
    for policy in (Policy(), budget(100_000, is_soft=True)):
        admission = await house.admit(stream(house, policy))
        assert (admission.extend_at, admission.paid_output) in ((UNBOUND, UNBOUND), (UNBOUND + 1, UNBOUND))
        assert not admission.parts


async def test_a_soft_budget_holds_an_estimate_whole_and_streamed(house: House) -> None:
    for is_stream in (False, True):
        call = house.call(policy=budget(10**6, is_soft=True), stream=is_stream, max_tokens=5_000)
        admission = await house.admit(call)
        assert (
            held(admission)
            <= admission.likely_microusd
            == min(admission.most_microusd, -(-len(call.peek.body) // 4) + 512 * OUTPUT)
        )


async def test_without_the_database_a_stream_goes_on_as_far_as_it_is_paid_for(house: House) -> None:
    class Away:
        async def refill(self, *_: object) -> None:
            raise StoreUnavailable("away")

    admission = await house.admit(stream(house, budget(10**6), max_tokens=10_000))
    house.slices._store = Away()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(StoreUnavailable):
        await deliver(house, admission, range(10_001))
    paid = admission.paid_output
    assert STEP < paid < 10_000
    house.gate.settle(admission, Outcome(200, Usage(5, paid), "counted"))


def changed(call: Call, policy: Policy) -> Principal:
    return Principal.of("key", Level("key", call.principal.id, "shop", policy))


async def test_a_budget_that_is_lowered_or_comes_or_goes_holds_for_a_stream(house: House) -> None:
    call = stream(house, budget(10_000), max_tokens=1_000)
    admission = await house.admit(call)
    steps = house.gate.steps
    await deliver(house, admission, range(20))
    await steps.adapt(admission, changed(call, budget(9_000, 8_000)), 20)
    assert len(admission.held or []) == 2 and held(admission) == admission.most_microusd
    with pytest.raises(BudgetExceeded, match=r"budget of \$0.0001 per month"):
        await steps.adapt(admission, changed(call, budget(9_000, 100)), 20)
    with pytest.raises(BudgetExceeded, match="is less now than what is spent and held of it"):
        await steps.adapt(admission, changed(call, budget(50)), 20)
    await steps.adapt(admission, changed(call, Policy()), 20)
    assert admission.extend_at >= UNBOUND and await deliver(house, admission, [900]) == 900
    await steps.adapt(admission, changed(call, budget(50_000)), 900)
    day = next(amount for part, amount in admission.held or [] if part is admission.parts[0][0])
    assert admission.paid_output == 916 and day == admission.most_microusd >= 916 * OUTPUT
    house.gate.settle(admission, Outcome(200, Usage(5, 900), "reported"))
    assert house.slices.held == 0


async def test_what_nobody_knows_the_price_of_ends_when_a_budget_comes(house: House) -> None:
    call = house.call(model="secret", stream=True)
    admission = await house.admit(call)
    with pytest.raises(PriceUnknown):
        await house.gate.steps.adapt(admission, changed(call, budget(10_000)), 3)


async def test_a_settled_stream_takes_nothing_any_more(house: House) -> None:
    admission = await house.admit(stream(house, budget(10_000), max_tokens=1_000))
    house.gate.settle(admission, Outcome(200, Usage(5, 5), "reported"))
    assert house.gate.extend(admission, 500) and house.slices.held == 0


async def test_a_policy_that_allows_less_output_ends_it_there(house: House) -> None:
    admission = await house.admit(stream(house, budget(10_000)))
    house.gate.steps.restrict(admission, 5)
    assert await deliver(house, admission, range(6)) == 5
    with pytest.raises(PolicyDenied, match="no more than 5 output tokens"):
        await deliver(house, admission, [6])


async def test_models_that_have_thought_hold_the_whole_from_then_on(house: House) -> None:
    call = stream(house, budget(100_000))
    house.gate.settle(await house.admit(call), Outcome(200, Usage(5, 5, reasoning_tokens=3), "reported"))
    admission = await house.admit(stream(house, budget(100_000)))
    assert held(admission) == len(call.peek.body) + 100 * OUTPUT and not admission.paid_output < UNBOUND
