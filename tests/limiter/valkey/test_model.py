"""The scripts against `core.limits.Bucket`, exactly, under a clock that jumps: whatever is asked, in any order."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from copy import copy
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from aldgate.core.errors import GatewayError
from aldgate.core.limits import SECOND, Bucket
from aldgate.limiter.claims import Claim, Standing, Unit, concurrency_limited, rate_limited
from aldgate.limiter.valkey.calls import ValkeyTaken
from aldgate.limiter.valkey.limiter import ValkeyLimiter
from aldgate.limiter.valkey.scripts import Scripts
from tests.limiter.valkey.server import Server

CLOCK = "(function() local t = tonumber(redis.call('GET', 'clock')) return {math.floor(t / 1000), (t % 1000) * 1000} end)()"
MILLISECOND = 1_000_000
LIMITS = [1, 3, 10, 599, 999_999_999_989, 10**12]
rates = st.builds(
    Claim,
    st.just("org"),
    st.sampled_from(["requests", "tokens"]),
    st.sampled_from(LIMITS),
    st.sampled_from([60, 86_400]),
    st.just(0),
)
places = st.builds(Claim, st.just("key"), st.just("concurrency"), st.integers(1, 4), st.just(0), st.just(1))
counters = st.lists(rates | rates | places, min_size=1, max_size=3, unique_by=lambda claim: (claim.unit, claim.period_s))
shares = st.lists(st.sampled_from([0, 1, 10, 33, 50, 100, 130]), min_size=3, max_size=3)
"""Of the limit, in percent; and one unit more."""


class Model:
    """The same limits, one after the other, in integers of any size."""

    def __init__(self) -> None:
        self.buckets: dict[tuple[str, str, int], Bucket] = {}
        self.under_way = Counter[str]()
        self.now_ms = 1_790_000_000_000

    def standings(self, claims: list[Claim]) -> list[Standing]:
        return [self._standing(claim) for claim in claims]

    def _standing(self, claim: Claim) -> Standing:
        if not claim.period_s:
            return Standing(claim.limit, max(0, claim.limit - self.under_way[claim.account]), 0)
        bucket = copy(self._bucket(claim))
        return Standing(claim.limit, *bucket.standing(self.now_ms * MILLISECOND))

    def _bucket(self, claim: Claim) -> Bucket:
        key = claim.account, claim.unit, claim.period_s
        bucket = self.buckets.get(key) or Bucket(claim.limit, claim.period_s * SECOND, at_ns=self.now_ms * MILLISECOND)
        bucket.limit = claim.limit
        return bucket

    def take(self, claims: list[Claim]) -> list[int]:
        for claim in claims:
            if not claim.period_s and self.under_way[claim.account] >= claim.limit:
                raise concurrency_limited(claim, self.under_way[claim.account])
        trial = [copy(self._bucket(claim)) if claim.period_s else None for claim in claims]
        waits = [
            (bucket.wait_ns(claim.units, self.now_ms * MILLISECOND), claim)
            for bucket, claim in zip(trial, claims, strict=True)
            if bucket
        ]
        longest = max(waits, key=lambda wait: wait[0], default=(0, claims[0]))
        if longest[0]:
            raise rate_limited(longest[1], longest[0])
        return [self._spend(claim, bucket) for claim, bucket in zip(claims, trial, strict=True)]

    def _spend(self, claim: Claim, bucket: Bucket | None) -> int:
        if bucket is None:
            self.under_way[claim.account] += 1
            return 0
        self.buckets[claim.account, claim.unit, claim.period_s] = bucket
        return bucket.spend(claim.units)

    def settle(self, claims: list[Claim], spent: list[int], used: dict[Unit, int]) -> None:
        for claim, place in zip(claims, spent, strict=True):
            if not claim.period_s:
                self.under_way[claim.account] -= 1
            else:
                amount = used.get(claim.unit, claim.units)
                self._bucket(claim).settle(place, claim.units, amount)


class Held:
    def __init__(self, claims: list[Claim], spent: list[int], taken: ValkeyTaken) -> None:
        self.claims, self.spent, self.taken = claims, spent, taken


class Comparison(RuleBasedStateMachine):
    numbers = count()
    server: Server
    runner: asyncio.Runner
    limiter: ValkeyLimiter
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.number = next(self.numbers)
        self.asked: list[Claim] = []
        self.server.ask("SET", "clock", str(self.model.now_ms))

    @initialize(counters=counters)
    def choose(self, counters: list[Claim]) -> None:
        self.asked = [claim._replace(account=f"{claim.account}{self.number}") for claim in counters]

    @rule(step=st.one_of(st.integers(0, 20_000), st.integers(-90_000, 0), st.sampled_from([1, 40_000_000, 90_000_000])))
    def pass_time(self, step: int) -> None:
        self.model.now_ms += step
        self.server.ask("SET", "clock", str(self.model.now_ms))

    @rule(number=st.integers(0, 2), limit=st.sampled_from(LIMITS))
    def change_a_limit(self, number: int, limit: int) -> None:
        if number < len(self.asked) and self.asked[number].period_s:
            self.asked[number] = self.asked[number]._replace(limit=limit)

    @rule(target=held, shares=shares)
    def take(self, shares: list[int]):
        claims = [_claiming(claim, share) for claim, share in zip(self.asked, shares, strict=False)]
        found = self.runner.run(outcome(self.limiter, claims))
        try:
            spent = self.model.take(claims)
        except GatewayError as expected:
            assert isinstance(found, GatewayError)
            assert (type(found), found.message, found.retry_after_s) == (type(expected), expected.message, expected.retry_after_s)
            return multiple()
        assert isinstance(found, ValkeyTaken), found
        assert found.standings() == self.model.standings(claims)
        return Held(claims, spent, found)

    @rule(held=consumes(held), share=st.sampled_from([0, 1, 20, 50, 99, 100, 150]), is_for_all=st.booleans())
    def settle(self, held: Held, share: int, is_for_all: bool) -> None:
        used = {claim.unit: claim.units * share // 100 for claim in held.claims[: None if is_for_all else 1]}
        self.model.settle(held.claims, held.spent, used)
        self.limiter.settle(held.taken, used)

    @invariant()
    def stands_alike(self) -> None:
        if self.asked:
            assert self.runner.run(self.limiter.standings(self.asked)) == self.model.standings(self.asked)

    def teardown(self) -> None:
        self.server.ask("DEL", "clock")


def _claiming(claim: Claim, share: int) -> Claim:
    return claim._replace(units=1 + claim.limit * share // 100) if claim.period_s else claim


async def outcome(limiter: ValkeyLimiter, claims: list[Claim]) -> ValkeyTaken | GatewayError:
    try:
        return await limiter.take(claims)
    except GatewayError as error:
        return error


@pytest.fixture
def comparison(shared_server: Server) -> Iterator[type[Comparison]]:
    """The machine, with a limiter whose clock is the model's."""
    with asyncio.Runner() as runner:
        shared_server.ask("SET", "clock", "0")

        async def opened() -> ValkeyLimiter:
            limiter = ValkeyLimiter(
                shared_server.url, process="model", is_open=lambda _: False, prefix="model", scripts=Scripts(CLOCK), timeout_s=5
            )
            await limiter.open()
            return limiter

        Comparison.server, Comparison.runner, Comparison.limiter = shared_server, runner, runner.run(opened())
        yield Comparison
        shared_server.ask("SET", "clock", "0")
        runner.run(Comparison.limiter.aclose())


def test_every_answer_is_that_of_the_model(comparison: type[Comparison]) -> None:
    run_state_machine_as_test(comparison, settings=settings(max_examples=100, stateful_step_count=40, deadline=None))


calls = st.lists(
    st.tuples(st.integers(0, 20_000), st.integers(1, 7), st.integers(0, 3), st.sampled_from([0, 0, 40, 80, 120])),
    min_size=3,
    max_size=15,
)


@given(st.sampled_from([7, 9, 11, 599, 10**12 - 11]), calls)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_given_back_late_is_what_the_model_gives_back(
    comparison: type[Comparison], limit: int, calls: list[tuple[int, int, int, int]]
) -> None:
    """One busy bucket, and calls that end when others have begun and part of what they held has drained."""
    machine = comparison()
    machine.choose([Claim("org", "tokens", limit, 60, 0)])
    under_way: list[Held] = []
    for pause, tenths, ending, share in calls:
        machine.pass_time(pause)
        held = machine.take([tenths * 10])
        if isinstance(held, Held):
            under_way.append(held)
        for each in under_way[:ending]:
            machine.settle(each, share, True)
        del under_way[:ending]
        machine.stands_alike()


def test_what_was_held_in_a_bucket_that_is_gone_comes_back_from_no_other(comparison: type[Comparison]) -> None:
    machine = comparison()
    machine.choose([Claim("gone", "tokens", 100, 60, 0)])
    held = machine.take([89])
    comparison.server.ask("DEL", f"{{model}}:{machine.asked[0].account}:tokens:60")
    machine.model.buckets.clear()
    machine.pass_time(1)
    assert isinstance(held, Held) and isinstance(machine.take([29]), Held)
    comparison.limiter.settle(held.taken, {"tokens": 0})
    machine.stands_alike()


def test_a_unit_passes_at_the_millisecond_at_which_it_fits(comparison: type[Comparison]) -> None:
    machine = comparison()
    machine.choose([Claim("exact", "requests", 599, 60, 0)])
    machine.take([99])
    while isinstance(machine.take([0]), Held):
        pass
    for pause, passes in ((100, False), (1, True), (99, False), (1, True), (99, False), (1, True)):  # one each 100.17 ms
        machine.pass_time(pause)
        assert isinstance(machine.take([0]), Held) is passes
        machine.stands_alike()


def test_when_a_counter_of_all_that_drained_begins_anew_nothing_is_given_back_wrongly(comparison: type[Comparison]) -> None:
    machine, limiter, run = comparison(), comparison.limiter, comparison.runner.run
    claim = Claim(f"wrap{machine.number}", "tokens", 10**15, 86_400, 10**15)
    first = run(limiter.take([claim]))
    machine.pass_time(86_400_000)
    run(limiter.take([claim]))
    machine.pass_time(86_400_000)
    third = run(limiter.take([claim]))
    limiter.settle(first, {"tokens": 0})
    assert run(limiter.standings([claim])) == [Standing(10**15, 0, 86_400 * SECOND)]
    limiter.settle(third, {"tokens": 1})
    assert run(limiter.standings([claim]))[0].left == 10**15 - 1
