"""What a call claims of each limit above it, how a limit stands, and the sentences of a refusal: the same for every limiter."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from aldgate.core.errors import ConcurrencyLimited, RateLimited
from aldgate.core.limits import DAY, SECOND, whole_seconds

Unit = Literal["requests", "tokens", "images", "audio_seconds", "gpu_seconds", "concurrency"]
LONGEST_PERIOD_S = DAY // SECOND


class Claim(NamedTuple):
    """So many units of one limit of one account. A call makes several, of every level above it."""

    account: str
    unit: Unit
    limit: int
    """Units allowed per period, at least 1; for concurrency, calls at once."""
    period_s: int
    """Seconds, at most a day; 0 for concurrency."""
    units: int
    """What the call is expected to use; 1 for concurrency."""
    whose: str = ""
    """Whose limit it is, for a caller whom it refuses; empty: the caller's own."""


class Standing(NamedTuple):
    """How an account stands with one limit."""

    limit: int
    left: int
    """Whole units that would fit now."""
    reset_ns: int
    """Nanoseconds until all of it is there again; 0 for concurrency, where that is when calls end."""


class Taken(Protocol):
    """What a call holds until it is settled."""

    claims: Sequence[Claim]

    def standings(self) -> list[Standing]:
        """How every claim's limit stood once all were spent, in their order; empty where nobody was asked."""
        ...


def rate_limited(claim: Claim, wait_ns: int) -> RateLimited:
    """The refusal of a claim that would fit after `wait_ns`."""
    retry_after_s = whole_seconds(wait_ns)
    of = f" of {claim.whose}" if claim.whose else ""
    limit = f"{claim.limit} {_UNITS.get(claim.unit, claim.unit)} per {_period(claim.period_s)}{of}"
    return RateLimited(f"The limit of {limit} is reached; try again in {retry_after_s} s.", retry_after_s=retry_after_s)


def concurrency_limited(claim: Claim, in_flight: int) -> ConcurrencyLimited:
    """The refusal of a claim on one more call at once, with so many under way."""
    where = f"in {claim.whose}" if claim.whose else "with this key"
    return ConcurrencyLimited(f"{in_flight} calls are under way {where}, and the limit is {claim.limit}.", retry_after_s=1)


_UNITS = {"audio_seconds": "seconds of audio", "gpu_seconds": "GPU-seconds"}


def _period(period_s: int) -> str:
    return {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}.get(period_s, f"{period_s} s")
