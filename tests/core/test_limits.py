"""GCRA against a slow exact model: what was let through, in fractions, second by second."""

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from aldgate.core.limits import DAY, MINUTE, SECOND, UNLIMITED, Bucket, Limits, whole_seconds

limits = st.one_of(st.integers(1, 20), st.integers(1, 10**12))
periods = st.sampled_from([SECOND, MINUTE, DAY])
steps = st.lists(st.tuples(st.integers(-MINUTE, 2 * MINUTE), st.integers(0, 30)), max_size=30)


class Model:
    """A tank of `limit` units that drains evenly, in exact fractions."""

    def __init__(self, limit: int, period_ns: int) -> None:
        self.limit, self.rate = limit, Fraction(limit, period_ns)
        self.level, self.at = Fraction(0), 0

    def drain(self, now: int) -> None:
        if now > self.at:
            self.level = max(Fraction(0), self.level - (now - self.at) * self.rate)
            self.at = now

    def fits(self, units: int, now: int) -> bool:
        self.drain(now)
        return self.level + min(units, self.limit) <= self.limit


def take(bucket: Bucket, units: int, now: int) -> bool:
    if bucket.wait_ns(units, now):
        return False
    bucket.spend(units)
    return True


@given(limits, periods, steps)
def test_it_decides_as_the_exact_model_does(limit: int, period_ns: int, steps: list[tuple[int, int]]) -> None:
    bucket, model, now = Bucket(limit, period_ns), Model(limit, period_ns), 0
    for elapsed, units in steps:
        now += elapsed
        fits = model.fits(units, now)
        assert take(bucket, units, now) is fits
        if fits:
            model.level += units
        assert Fraction(bucket.level, period_ns) == model.level
        assert bucket.standing(now)[0] == max(0, (limit - model.level) // 1)
        assert bucket.standing(now)[1] == -(-model.level // model.rate)


@given(limits, periods, st.integers(0, 10**15))
def test_n_at_once_then_one_each_nth_of_the_period(limit: int, period_ns: int, now: int) -> None:
    bucket = Bucket(limit, period_ns)
    if limit <= 20:
        assert all(take(bucket, 1, now) for _ in range(limit))
    else:
        assert take(bucket, limit, now)
    each_ns = -(-period_ns // limit)
    assert bucket.wait_ns(1, now) == each_ns
    assert not take(bucket, 1, now + each_ns - 1)
    assert take(bucket, 1, now + each_ns)


@given(st.integers(1, 10), st.lists(st.integers(0, 2 * MINUTE), max_size=40), st.integers(0, 40), st.integers(0, 3 * MINUTE))
def test_no_window_passes_more_than_a_full_tank_and_what_drains_within_it(
    limit: int, pauses: list[int], first: int, length: int
) -> None:
    bucket, now, passed = Bucket(limit, MINUTE), 0, list[int]()
    for pause in pauses:
        now += pause
        if take(bucket, 1, now):
            passed.append(now)
    within = [at for at in passed[first:] if at <= passed[first] + length]
    assert len(within) <= limit + Fraction(limit * length, MINUTE)


@given(limits, periods, st.integers(0, 40), st.integers(1, 60), st.integers(0, DAY))
def test_the_wait_is_the_first_instant_at_which_it_passes(limit: int, period_ns: int, spent: int, units: int, now: int) -> None:
    bucket = Bucket(limit, period_ns)
    bucket.leak(now)
    bucket.spend(spent)
    wait_ns = bucket.wait_ns(units, now)
    level = bucket.level
    if wait_ns:
        assert bucket.wait_ns(units, now + wait_ns - 1) == 1
        bucket = Bucket(limit, period_ns, level, now)
    assert bucket.wait_ns(units, now + wait_ns) == 0


@given(limits, periods, st.integers(1, 10**13))
def test_more_than_the_limit_waits_for_an_empty_bucket_and_pays_off_its_excess(limit: int, period_ns: int, more: int) -> None:
    bucket = Bucket(limit, period_ns)
    assert take(bucket, limit + more, 0)
    assert bucket.standing(0)[0] == 0
    assert bucket.wait_ns(limit + more, 0) == bucket.standing(0)[1]
    assert bucket.standing(0)[1] == -(-(limit + more) * period_ns // limit)


def test_a_clock_that_steps_back_leaks_nothing_and_forgives_nothing() -> None:
    bucket = Bucket(10, MINUTE)
    assert take(bucket, 10, 100 * SECOND)
    assert not take(bucket, 1, 40 * SECOND)
    assert not take(bucket, 1, 100 * SECOND)
    assert take(bucket, 1, 106 * SECOND)


calls = st.lists(
    st.tuples(st.sampled_from([0, 0, 7, 60]), st.integers(1, 12), st.sampled_from([0, 1, 12]), st.sampled_from([0, 0, 1, 2])),
    max_size=25,
)


@given(st.integers(4, 12), calls)
@example(10, [(0, 10, 0, 0), (60, 10, 0, 0), (60, 10, 12, 1), (0, 10, 12, 1)])
def test_what_is_given_back_lets_no_window_pass_more(limit: int, calls: list[tuple[int, int, int, int]]) -> None:
    """Calls hold more than they come to use, and end when others have begun: what they used keeps to the limit all the same."""
    bucket, now = Bucket(limit, MINUTE), 0
    under_way: list[tuple[int, int, int]] = []
    used: list[tuple[int, int]] = []
    for pause_s, held, share, ending in calls:
        now += pause_s * SECOND
        for place, hold, use in under_way[:ending]:
            bucket.settle(place, hold, use)
        del under_way[:ending]
        held = min(held, limit)
        if not bucket.wait_ns(held, now):
            use = min(share, held)
            under_way.append((bucket.spend(held), held, use))
            used.append((now, use))
    for first in range(len(used)):
        total = 0
        for at, units in used[first:]:
            total += units
            assert total <= limit + Fraction(limit * (at - used[first][0]), MINUTE)


@given(limits, periods, st.integers(0, 30), st.integers(0, 60), st.integers(0, 30))
def test_at_once_all_that_was_not_used_comes_back_and_more_is_added(
    limit: int, period_ns: int, held: int, used: int, before: int
) -> None:
    bucket = Bucket(limit, period_ns)
    bucket.spend(before)
    place = bucket.spend(held)
    bucket.settle(place, held, used)
    assert bucket.level == (before + used) * period_ns


def test_a_busy_bucket_gives_back_in_full_and_a_drained_one_nothing() -> None:
    bucket = Bucket(100, MINUTE)
    bucket.spend(90)
    place = bucket.spend(10)
    assert bucket.leak(30 * SECOND) == 50 * MINUTE
    bucket.settle(place, 10, 1)
    assert bucket.level == 41 * MINUTE
    late = bucket.spend(59)
    assert bucket.leak(54 * SECOND) == 60 * MINUTE
    bucket.spend(40)
    assert bucket.leak(90 * SECOND) == 40 * MINUTE
    bucket.settle(late, 59, 0)
    assert bucket.level == 40 * MINUTE


def test_limits_know_when_there_are_none() -> None:
    assert UNLIMITED.is_empty
    assert not any(Limits(**{name: 1}).is_empty for name in Limits.__struct_fields__)


def test_a_wait_is_told_in_whole_seconds_rounded_up() -> None:
    assert [whole_seconds(ns) for ns in (0, 1, SECOND, SECOND + 1, 90 * SECOND)] == [1, 1, 1, 2, 90]
