"""Jobs: which state follows which, what is tried again, what becomes of lost attempts, what it costs."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import (
    DeadlineExceeded,
    GatewayError,
    InternalError,
    InvalidRequest,
    PolicyDenied,
    UpstreamAuth,
    UpstreamBroken,
    UpstreamLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
    WorkerLost,
)
from aldgate.core.generation import Progress, Recovery
from aldgate.core.job_bills import cost_microusd
from aldgate.core.job_decisions import LONGEST_WAIT_S, NOT_YET, ByPlaces, after_failure, is_overdue, not_yet, recovery_of
from aldgate.core.jobs import (
    ENDED,
    FOLLOWERS,
    STATES,
    UNDER_WAY,
    Job,
    Owner,
    Phase,
    Price,
    Queue,
    Waiting,
    Work,
    asked_of,
    further,
    may_follow,
)

HOPEFUL = (UpstreamBroken, UpstreamLimited, UpstreamTimeout, UpstreamUnreachable, WorkerLost, InternalError)
HOPELESS = (InvalidRequest, PolicyDenied, UpstreamAuth, UpstreamRejected, DeadlineExceeded)
JITTER = st.floats(0, 1, exclude_max=True)


@given(st.lists(st.sampled_from(STATES), max_size=30))
def test_nothing_follows_an_end_and_an_end_follows_a_beginning(wished: list) -> None:
    state = "queued"
    walked = [state]
    for then in wished:
        if may_follow(state, then):
            state = then
            walked.append(state)
    assert all(each not in ENDED for each in walked[:-1])
    assert "succeeded" not in walked or "running" in walked
    assert all(walked[place - 1] in UNDER_WAY for place, each in enumerate(walked) if place and each == "queued")


def test_every_state_can_end_cancelled_or_has_ended() -> None:
    assert all((state in ENDED) != ("cancelled" in FOLLOWERS[state]) for state in STATES)


@given(st.sampled_from(HOPELESS), st.integers(1, 100), JITTER)
def test_what_would_fail_again_is_not_tried_again(kind: type[GatewayError], failures: int, jitter: float) -> None:
    assert after_failure(kind("no"), failures, 1_000, jitter) is None


@given(st.sampled_from(HOPEFUL), st.integers(1, 2_000), st.integers(1, 10), JITTER)
def test_a_job_is_parked_after_its_last_failure(kind: type[GatewayError], failures: int, most: int, jitter: float) -> None:
    again = after_failure(kind("no"), failures, most, jitter)
    assert (again is None) == (failures >= most)
    assert again is None or 0 < again.wait_s <= LONGEST_WAIT_S


@given(st.integers(1, 2_000), st.integers(1, 10_000), JITTER)
def test_a_wait_that_was_asked_for_is_kept_up_to_the_longest(failures: int, asked: int, jitter: float) -> None:
    again = after_failure(UpstreamLimited("later", retry_after_s=asked), failures, 9_999, jitter)
    assert again is not None and again.wait_s >= min(asked, LONGEST_WAIT_S)


@given(st.sampled_from(get_args(Recovery)), st.sampled_from(get_args(Phase)), st.booleans(), st.floats(-100, 100))
def test_nothing_begins_while_a_lost_attempt_may_run(recovery: Recovery, phase: Phase, is_wanted: bool, until_s: float) -> None:
    verdict = recovery_of(recovery, phase, is_wanted=is_wanted, until_s=until_s)
    assert (verdict == "begin") == (phase != "submitted" or (recovery == "wait" and until_s <= 0))
    assert verdict != "adopt" or (recovery == "adopt" and is_wanted)
    assert verdict != "stop" or recovery != "wait"
    assert (verdict == "lose") == (recovery == "lose" and phase == "submitted" and is_wanted)


@given(st.sampled_from((*HOPELESS, *HOPEFUL, *NOT_YET)), st.integers(1, 2_000), JITTER)
def test_what_limits_refuse_for_now_is_asked_for_later(kind: type[GatewayError], attempts: int, jitter: float) -> None:
    later = not_yet(kind("no"), attempts, jitter)
    assert (later is not None) == issubclass(kind, NOT_YET)
    assert later is None or 0 < later.wait_s <= LONGEST_WAIT_S


@given(st.integers(0, 5), st.integers(0, 8), st.integers(0, 20))
def test_no_more_begin_than_there_are_places(places: int, under_way: int, waiting: int) -> None:
    ids = [f"job-{number}" for number in range(waiting)]
    queue = Queue({"e": tuple(Waiting(each, "e", "", "a", 0, 0, 0) for each in ids)}, {"e": under_way}, 0)
    choice = ByPlaces({"e": places})(queue)
    assert list(choice.begin) == ids[: max(0, places - under_way)]
    assert set(choice.reasons) == set(ids) - set(choice.begin)


FRACTION = st.none() | st.floats(0, 1)


@given(st.lists(st.builds(Progress, FRACTION, st.none() | st.integers(0, 50), st.none() | st.integers(1, 50)), min_size=1))
def test_progress_never_goes_back(told: list[Progress]) -> None:
    known = Progress()
    for each in told:
        then = further(known, each)
        assert known.fraction is None or (then.fraction or 0) >= known.fraction
        assert known.step is None or (then.step or 0) >= known.step
        known = then


@pytest.mark.parametrize(
    ("price", "work", "cost"),
    [
        (Price(), Work(9, 9, 9), 0),
        (Price(gpu_second=250_000_000), Work(gpu_s=2), 500),
        (Price(gpu_second=1), Work(gpu_s=1), 1),
        (Price(image=2_000_000, audio_second=3_000_000, job=5_000_000), Work(2, 3), 18),
    ],
)
def test_work_costs_whole_microdollars_rounded_up(price: Price, work: Work, cost: int) -> None:
    assert cost_microusd(price, work) == cost


def test_a_job_knows_its_call_its_deadline_and_what_was_asked() -> None:
    job = Job(id="job-00ff", owner=Owner("k", "k"), operation="image", engine="e", deadline=10.0, asked=b'{"operation":"image"}')
    assert (job.call_id, job.has_ended, is_overdue(job, 9.9), is_overdue(job, 10.0)) == ("req-00ff", False, False, True)
    assert asked_of(job).count == 1
