from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import ConcurrencyLimited, GatewayError, RateLimited
from aldgate.core.limits import DAY, MINUTE, NO_UNITS, SECOND, UNLIMITED, Limits, Units
from aldgate.limiter.headers import rate_headers
from aldgate.limiter.memory import Gauge, Limited, MemoryLimiter, Places, Remaining
from aldgate.storage import RecentUse

ALL = Limits(rpm=3, tpm=100, tpd=250, concurrency=2)
HUGE = Limits(rpm=10**12, tpm=10**12, tpd=10**12, concurrency=10**12)


def of(limiter: MemoryLimiter, limits: Limits, account: str = "key") -> Gauge:
    return limiter.gauge([Limited(account, limits)])


def units(tokens: int) -> Units:
    return (1, tokens, 0, 0, 0)


def call(limiter: MemoryLimiter, limits: Limits, tokens: int, now_ns: int, account: str = "key") -> Places:
    gauge = of(limiter, limits, account)
    gauge.check(units(tokens), now_ns)
    return gauge.spend(units(tokens))


def settle(limiter: MemoryLimiter, limits: Limits, places: Places, held: int, used: int) -> None:
    of(limiter, limits).settle(places, units(held), units(used))


def headers(limiter: MemoryLimiter, limits: Limits, now_ns: int) -> list[tuple[bytes, bytes]]:
    return rate_headers(of(limiter, limits).standings(now_ns))


def refusal(limiter: MemoryLimiter, limits: Limits, tokens: int, now_ns: int) -> GatewayError:
    with pytest.raises((RateLimited, ConcurrencyLimited)) as raised:
        of(limiter, limits).check(units(tokens), now_ns)
    return raised.value


@pytest.mark.parametrize(
    ("limits", "tokens", "name", "retry_after_s"),
    [
        (Limits(rpm=1), 0, "1 requests per minute", 60),
        (Limits(tpm=10), 10, "10 tokens per minute", 60),
        (Limits(tpd=10), 10, "10 tokens per day", 86_400),
        (Limits(rpm=1, tpm=10, tpd=10), 10, "10 tokens per day", 86_400),
        (Limits(rpm=1, tpm=1000), 10, "1 requests per minute", 60),
    ],
)
def test_a_refusal_names_the_limit_that_lasts_longest(limits: Limits, tokens: int, name: str, retry_after_s: int) -> None:
    limiter = MemoryLimiter()
    settle(limiter, limits, call(limiter, limits, tokens, 0), tokens, tokens)
    error = refusal(limiter, limits, tokens, 0)
    assert name in error.message and error.retry_after_s == retry_after_s
    of(limiter, limits).check(units(tokens), retry_after_s * SECOND)


def test_a_refused_call_spends_nothing() -> None:
    limiter = MemoryLimiter()
    call(limiter, ALL, 90, 0)
    before = headers(limiter, ALL, 0)
    for _ in range(5):
        refusal(limiter, ALL, 20, 0)
    assert headers(limiter, ALL, 0) == before
    assert limiter.in_flight() == 1


def test_calls_under_way_are_counted_and_their_places_come_back() -> None:
    limiter = MemoryLimiter()
    limits = Limits(concurrency=2)
    call(limiter, limits, 0, 0)
    call(limiter, limits, 0, 0)
    assert refusal(limiter, limits, 0, 0).retry_after_s == 1
    settle(limiter, limits, [], 0, 0)
    call(limiter, limits, 0, 0)
    assert limiter.in_flight() == 2


def test_settling_gives_back_what_was_held_and_not_used_or_takes_more() -> None:
    limiter = MemoryLimiter()
    limits = Limits(tpm=100, tpd=1000)
    settle(limiter, limits, call(limiter, limits, 100, 0), 100, 30)
    settle(limiter, limits, call(limiter, limits, 70, 0), 70, 170)
    assert refusal(limiter, limits, 50, 0).retry_after_s == 90
    assert dict(headers(limiter, limits, 0))[b"x-ratelimit-remaining-tokens"] == b"0"


def test_accounts_are_apart_and_limits_may_change_between_calls() -> None:
    limiter = MemoryLimiter()
    call(limiter, Limits(rpm=1), 0, 0)
    call(limiter, Limits(rpm=1), 0, 0, account="other")
    refusal(limiter, Limits(rpm=1), 0, 0)
    call(limiter, Limits(rpm=2), 0, 0)
    call(limiter, UNLIMITED, 10**9, 0)
    assert limiter.in_flight() == 4


def test_limits_of_a_million_million_are_exact() -> None:
    limiter = MemoryLimiter()
    call(limiter, HUGE, 10**12 - 1, 0)
    assert dict(headers(limiter, HUGE, 0))[b"x-ratelimit-remaining-tokens"] == b"1"
    call(limiter, HUGE, 1, 0)
    assert refusal(limiter, HUGE, 1, 0).retry_after_s == 1
    assert "1000000000000 tokens per day" in refusal(limiter, HUGE, 1, 0).message


def test_headers_are_those_of_openai() -> None:
    limiter = MemoryLimiter()
    assert headers(limiter, Limits(concurrency=1), 0) == []
    call(limiter, ALL, 40, 0)
    assert dict(headers(limiter, ALL, 0)) == {
        b"x-ratelimit-limit-requests": b"3",
        b"x-ratelimit-remaining-requests": b"2",
        b"x-ratelimit-reset-requests": b"20s",
        b"x-ratelimit-limit-tokens": b"100",
        b"x-ratelimit-remaining-tokens": b"60",
        b"x-ratelimit-reset-tokens": b"24s",
        b"ratelimit-limit": b"100",
        b"ratelimit-remaining": b"60",
        b"ratelimit-reset": b"24",
    }
    daily = dict(headers(limiter, Limits(tpd=250), 0))
    assert (daily[b"x-ratelimit-limit-tokens"], daily[b"x-ratelimit-remaining-tokens"]) == (b"250", b"210")


@pytest.mark.parametrize(
    ("used", "limit", "reset"),
    [(0, 1, b"0ms"), (1, 60_000, b"1ms"), (1, 61, b"984ms"), (15, 120, b"7.5s"), (6, 1, b"6m0s"), (61, 1, b"1h1m0s")],
)
def test_resets_are_spelled_as_openai_spells_them(used: int, limit: int, reset: bytes) -> None:
    limiter = MemoryLimiter()
    settle(limiter, Limits(rpm=limit, tpm=limit), [0, 0], 0, used)
    assert dict(headers(limiter, Limits(rpm=limit, tpm=limit), 0))[b"x-ratelimit-reset-tokens"] == reset


MORNING = 1_790_000_000.0
uses = st.lists(st.tuples(st.integers(0, 86_400), st.integers(1, 3), st.integers(0, 300)), max_size=12)


@given(uses, st.integers(0, 2 * DAY))
def test_a_restart_resets_no_limit_whatever_the_machines_clock_says(uses: list[tuple[int, int, int]], uptime_ns: int) -> None:
    """A limiter rebuilt from the ledger stands where one stands that has seen every call; the machine may just have booted."""
    steps = sorted(uses, reverse=True)
    seen, rebuilt = MemoryLimiter(), MemoryLimiter()
    for ago_s, calls, tokens in steps:
        at_ns = 3 * DAY - ago_s * SECOND
        for each in range(calls):
            with suppress(RateLimited):
                of(seen, ALL).check(NO_UNITS, at_ns)  # brings the levels forward
            places = of(seen, ALL).spend(units(tokens if not each else 0))
            settle(seen, ALL, places, 0, 0)
    recent = [RecentUse(MORNING - ago_s, calls, tokens) for ago_s, calls, tokens in steps]
    rebuilt.restore("key", ALL, recent, now_s=MORNING, now_ns=uptime_ns)
    assert headers(rebuilt, ALL, uptime_ns) == headers(seen, ALL, 3 * DAY)
    assert rebuilt.in_flight() == 0


def test_what_is_known_is_not_rebuilt() -> None:
    limiter = MemoryLimiter()
    assert not limiter.knows("key")
    limiter.restore("key", ALL, [], now_s=MORNING, now_ns=MINUTE)
    assert limiter.knows("key")
    limiter.restore("key", ALL, [RecentUse(MORNING, 3, 0)], now_s=MORNING, now_ns=MINUTE)
    of(limiter, ALL).check(units(0), MINUTE)


def test_a_copy_is_asked_without_a_trace() -> None:
    limits = Limits(rpm=2, concurrency=3)
    limiter = MemoryLimiter()
    of(limiter, limits).spend(units(0))
    copied = limiter.copy_of("key", "nobody")
    assert copied.knows("key") and not copied.knows("nobody")
    assert of(copied, limits).remaining(0) == [Remaining("requests per minute", 2, 1, 30.0), Remaining("calls at once", 3, 2)]
    of(copied, limits).spend(units(0))
    with pytest.raises(RateLimited):
        of(copied, limits).check(units(0), 0)
    of(limiter, limits).check(units(0), 0)
    assert limiter.in_flight() == 1


def test_what_remains_is_told_of_every_limit() -> None:
    remaining = of(MemoryLimiter(), Limits(rpm=1, tpm=2, tpd=3, concurrency=4)).remaining(0)
    assert [(each.what, each.limit, each.left, each.reset_s) for each in remaining] == [
        ("requests per minute", 1, 1, 0.0),
        ("tokens per minute", 2, 2, 0.0),
        ("tokens per day", 3, 3, 0.0),
        ("calls at once", 4, 4, None),
    ]
