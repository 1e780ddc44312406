"""What follows a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core import errors
from aldgate.core.errors import (
    ContentFiltered,
    ContextTooLong,
    GatewayError,
    InvalidRequest,
    Shedding,
    ShuttingDown,
    UpstreamAuth,
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from aldgate.core.retry import (
    LONGEST_PATIENCE_S,
    LONGEST_WAIT_S,
    MOST_ATTEMPTS,
    Left,
    Reason,
    decide,
    may_have_cost,
    may_repeat,
    most_useful,
    reason_of,
    resting_after,
    wait_before,
)

REASONS: list[Reason] = ["failed", "too long", "filtered"]
KINDS: list[type[GatewayError]] = [
    InvalidRequest,
    Shedding,
    ShuttingDown,
    ContextTooLong,
    ContentFiltered,
    UpstreamRejected,
    UpstreamUnreachable,
    UpstreamTimeout,
    UpstreamBroken,
    UpstreamInvalid,
    UpstreamAuth,
    UpstreamLimited,
    UpstreamOverloaded,
]
upstream = st.builds(UpstreamError, st.just("no"), upstream_status=st.none() | st.integers(400, 599))
failures = st.builds(lambda kind, after: kind("no", retry_after_s=after), st.sampled_from(KINDS), st.none() | st.integers(1, 60))
any_error = failures | upstream
lefts = st.builds(
    Left,
    others=st.integers(0, 3),
    retries=st.integers(0, 3),
    larger=st.integers(0, 1),
    resting=st.integers(0, 2),
    fallbacks=st.frozensets(st.sampled_from(REASONS)),
    seconds=st.none() | st.floats(-1, 100),
    attempts=st.integers(1, MOST_ATTEMPTS + 2),
)
jitters = st.floats(0, 1, exclude_max=True)


@given(any_error, lefts, jitters)
def test_a_verdict_asks_only_whom_there_is_and_when_there_is_time(error: GatewayError, left: Left, jitter: float) -> None:
    verdict = decide(error, left, jitter)
    match verdict.action:
        case "next":
            assert left.others if reason_of(error) == "failed" else left.larger and isinstance(error, ContextTooLong)
        case "again":
            assert left.retries and not left.others and may_repeat(error)
            assert verdict.wait_s >= (error.retry_after_s or 0) and verdict.wait_s < LONGEST_PATIENCE_S
            assert left.seconds is None or verdict.wait_s < left.seconds
        case "fallback":
            assert reason_of(error) in left.fallbacks
        case "resting":
            assert left.resting and not left.others and reason_of(error) == "failed" not in left.fallbacks
        case "stop":
            pass
    if left.attempts >= MOST_ATTEMPTS or (left.seconds is not None and left.seconds <= 0):
        assert verdict.action == "stop"
    assert verdict.action == "again" or verdict.wait_s == 0


@given(lefts, jitters)
def test_what_is_refused_is_never_tried_elsewhere_but_for_its_own_fallbacks(left: Left, jitter: float) -> None:
    assert decide(UpstreamRejected("no"), left, jitter).action == "stop"
    assert decide(ContextTooLong("no"), left, jitter).action in (("next", "stop") if left.larger else ("stop", "fallback"))
    assert decide(ContentFiltered("no"), left, jitter).action in ("stop", "fallback")
    assert decide(ShuttingDown("no"), left, jitter).action == "stop"


@given(any_error)
def test_only_what_a_provider_says_of_us_rests_a_credential(error: GatewayError) -> None:
    match resting_after(error):
        case "credential":
            assert isinstance(error, UpstreamAuth | UpstreamLimited) and error.upstream_status not in (403,)
        case "credential and deployment":
            assert isinstance(error, UpstreamAuth | UpstreamLimited)
        case "failure":
            assert isinstance(error, UpstreamError) and not isinstance(error, UpstreamRejected | UpstreamAuth | UpstreamLimited)
        case "nothing":
            assert not isinstance(error, UpstreamError) or isinstance(error, UpstreamRejected)


@given(st.integers(1, 50), jitters)
def test_waits_double_up_to_a_bound_and_half_of_each_is_random(attempts: int, jitter: float) -> None:
    wait_s = wait_before(UpstreamUnreachable("no"), attempts, jitter)
    most = min(LONGEST_WAIT_S, 0.25 * 2 ** (attempts - 1))
    assert most / 2 <= wait_s <= most
    assert wait_before(UpstreamOverloaded("no", retry_after_s=20), attempts, jitter) == 20


@pytest.mark.parametrize(
    ("error", "repeats", "costs"),
    [
        (UpstreamUnreachable("no"), True, False),
        (UpstreamOverloaded("no"), True, False),
        (UpstreamError("no", upstream_status=500), True, False),
        (UpstreamError("no"), False, False),
        (UpstreamTimeout("no"), False, True),
        (UpstreamBroken("no"), False, True),
        (UpstreamInvalid("no"), False, True),
        (UpstreamLimited("no"), False, False),
        (UpstreamAuth("no"), False, False),
        (errors.HedgeLost("no"), False, True),
    ],
)
def test_nothing_that_may_have_been_charged_is_repeated(error: GatewayError, repeats: bool, costs: bool) -> None:
    assert (may_repeat(error), may_have_cost(error)) == (repeats, costs)


def test_a_timeout_before_anything_was_sent_may_be_repeated() -> None:
    late = UpstreamTimeout("no")
    late.was_sent = False
    assert may_repeat(late) and not may_have_cost(late)


@given(st.lists(any_error, min_size=1, max_size=6))
def test_the_most_useful_error_is_one_of_them_and_says_what_the_caller_can_do(met: list[GatewayError]) -> None:
    chosen = most_useful(met)
    assert chosen in met
    if any(isinstance(error, UpstreamRejected) for error in met):
        assert isinstance(chosen, UpstreamRejected)
    elif any(isinstance(error, UpstreamLimited) for error in met) and not any(isinstance(error, InvalidRequest) for error in met):
        waits = [error.retry_after_s or 1 << 30 for error in met if isinstance(error, UpstreamLimited)]
        assert isinstance(chosen, UpstreamLimited) and (chosen.retry_after_s or 1 << 30) == min(waits)
    if isinstance(chosen, UpstreamAuth):
        assert all(isinstance(error, UpstreamAuth) for error in met)
