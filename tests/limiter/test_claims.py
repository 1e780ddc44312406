"""A refusal reads the same whichever limiter it comes from."""

import pytest

from aldgate.core.errors import ConcurrencyLimited, RateLimited
from aldgate.core.limits import RATES, SECOND, Limits, Units
from aldgate.limiter.claims import Claim, Unit, concurrency_limited, rate_limited
from aldgate.limiter.memory import Limited, MemoryLimiter

UNITS: tuple[Unit, ...] = ("requests", "tokens", "images", "audio_seconds", "gpu_seconds")
EVERYTHING: Units = (7, 7, 7, 7, 7)


@pytest.mark.parametrize("whose", ["", "team blue"])
@pytest.mark.parametrize("name", RATES)
def test_rates(name: str, whose: str) -> None:
    gauge = MemoryLimiter().gauge([Limited("key", Limits(**{name: 7}), whose)])
    gauge.spend(EVERYTHING)
    with pytest.raises(RateLimited) as raised:
        gauge.check(EVERYTHING, 0)
    rate = RATES[name]
    claim = Claim("key", UNITS[rate.unit], 7, rate.period_ns // SECOND, 7, whose)
    ours = rate_limited(claim, rate.period_ns)
    assert (ours.message, ours.retry_after_s) == (raised.value.message, raised.value.retry_after_s)


@pytest.mark.parametrize("whose", ["", "team blue"])
def test_calls_at_once(whose: str) -> None:
    gauge = MemoryLimiter().gauge([Limited("key", Limits(concurrency=1), whose)])
    gauge.spend(EVERYTHING)
    with pytest.raises(ConcurrencyLimited) as raised:
        gauge.check(EVERYTHING, 0)
    ours = concurrency_limited(Claim("key", "concurrency", 1, 0, 1, whose), 1)
    assert (ours.message, ours.retry_after_s) == (raised.value.message, raised.value.retry_after_s)


def test_periods_that_no_name_stands_for() -> None:
    assert "5 tokens per hour is" in rate_limited(Claim("key", "tokens", 5, 3600, 1), SECOND).message
    assert "5 tokens per 90 s is" in rate_limited(Claim("key", "tokens", 5, 90, 1), SECOND).message
