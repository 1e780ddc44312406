"""What to do about an attempt that failed before its first byte reached the caller. Pure: a verdict from what is known."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from aldgate.core.errors import (
    CallerError,
    ContentFiltered,
    ContextTooLong,
    GatewayError,
    Shedding,
    UpstreamAuth,
    UpstreamError,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)

MOST_ATTEMPTS = 10
"""Attempts at one call, whatever a route says."""
BASE_WAIT_S = 0.25
LONGEST_WAIT_S = 8.0
LONGEST_PATIENCE_S = 30.0
"""The longest `Retry-After` that is waited out on a caller's behalf."""

Action = Literal["stop", "again", "next", "fallback", "resting"]
Reason = Literal["failed", "too long", "filtered"]
Resting = Literal["credential", "credential and deployment", "failure", "nothing"]
"""What a failed attempt puts to rest. `failure`: it is one more of the deployment, which its breaker counts."""


class Left(msgspec.Struct, frozen=True):
    """What is left to be tried.

    Attributes:
        others: Deployments of this stage that are ready and were not tried yet.
        larger: The same, of those that are known to read more than the one that found the prompt too long.
        resting: Deployments passed over because their credential rests, that may answer all the same.
        retries: How often one may still be asked again.
        fallbacks: For which reasons there are fallbacks yet.
        seconds: Until the deadline; None: there is none.
        attempts: Made so far.
    """

    others: int = 0
    larger: int = 0
    resting: int = 0
    retries: int = 0
    fallbacks: frozenset[Reason] = frozenset()
    seconds: float | None = None
    attempts: int = 1


class Verdict(msgspec.Struct, frozen=True):
    """What to do.

    `again`: the same deployment after `wait_s`. `next`: another one of this stage. `fallback`: those of a fallback. `resting`:
    one that was passed over.
    """

    action: Action
    wait_s: float = 0.0


STOP = Verdict("stop")


def reason_of(error: GatewayError) -> Reason | None:
    """What kind of fallback may help; None: none does.

    A `CallerError` in an attempt means that this provider's dialect cannot say what the caller asked: another may.
    """
    if isinstance(error, ContextTooLong):
        return "too long"
    if isinstance(error, ContentFiltered):
        return "filtered"
    if isinstance(error, UpstreamRejected):
        return None
    return "failed" if isinstance(error, UpstreamError | CallerError | Shedding) else None


def may_repeat(error: GatewayError) -> bool:
    """Whether asking the same deployment again may help and cannot be charged twice.

    So it is for what never got there, and for what the provider itself says it did not do.
    """
    if isinstance(error, UpstreamTimeout):
        return not error.was_sent
    if isinstance(error, UpstreamUnreachable | UpstreamOverloaded):
        return True
    return type(error) is UpstreamError and (error.upstream_status or 0) >= 500


def decide(error: GatewayError, left: Left, jitter: float) -> Verdict:
    """Where to turn after `error`. `jitter` is a random number from 0 up to 1."""
    reason = reason_of(error)
    if reason is None or left.attempts >= MOST_ATTEMPTS or left.seconds is not None and left.seconds <= 0:
        return STOP
    if reason == "failed":
        if left.others:
            return Verdict("next")
        wait_s = wait_before(error, left.attempts, jitter)
        if left.retries and may_repeat(error) and wait_s < _patience(left):
            return Verdict("again", wait_s)
    if reason == "too long" and left.larger:
        return Verdict("next")
    if reason in left.fallbacks:
        return Verdict("fallback")
    return Verdict("resting") if reason == "failed" and left.resting else STOP


def resting_after(error: GatewayError) -> Resting:
    """What rests after an attempt that failed so.

    A 401 and an empty account are the credential's. A 403 and a 429 may be the model's or the credential's, and providers do not
    say which: both rest, and another model of the credential that answers shows that it was the model.
    """
    if not isinstance(error, UpstreamError):
        return "nothing"
    if isinstance(error, UpstreamAuth):
        return "credential and deployment" if error.upstream_status == 403 else "credential"
    if isinstance(error, UpstreamLimited):
        return "credential" if _is_broke(error) else "credential and deployment"
    return "nothing" if isinstance(error, UpstreamRejected) else "failure"


def _is_broke(error: UpstreamLimited) -> bool:
    """Waiting does not mend it: dialects give a limit that it does mend a time to wait."""
    return error.retry_after_s is None or error.upstream_status == 402


def _patience(left: Left) -> float:
    return LONGEST_PATIENCE_S if left.seconds is None else min(left.seconds, LONGEST_PATIENCE_S)


def wait_before(error: GatewayError, attempts: int, jitter: float) -> float:
    """Seconds to wait before the next attempt at one deployment: doubling, half of it random, and never less than `Retry-After`.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("equal jitter")
    """
    backoff = min(LONGEST_WAIT_S, BASE_WAIT_S * 2.0 ** min(attempts - 1, 16))
    return max(backoff / 2 * (1 + jitter), float(error.retry_after_s or 0))


_USEFULNESS: tuple[type[GatewayError], ...] = (
    UpstreamRejected,
    CallerError,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamTimeout,
    Shedding,
    GatewayError,
    UpstreamUnreachable,
    UpstreamAuth,
)
"""What tells a caller most of what can be done comes first: mend the request, wait, come back; our own credential comes last."""


def most_useful(errors: Sequence[GatewayError]) -> GatewayError:
    """The one of several failures that the caller should see; of equals the one with the shortest wait, then the last."""

    def place(error: GatewayError) -> int:
        specific = (place for place, kind in enumerate(_USEFULNESS) if kind is not GatewayError and isinstance(error, kind))
        return next(specific, _USEFULNESS.index(GatewayError))

    return min(reversed(errors), key=lambda error: (place(error), error.retry_after_s or 1 << 30))


def may_have_cost(error: GatewayError) -> bool:
    """Whether the provider may charge for an attempt that failed so: it took the request and did not say that it refused."""
    if isinstance(error, UpstreamTimeout):
        return error.was_sent
    return error.code in ("upstream_broken", "upstream_invalid", "hedge_lost")
