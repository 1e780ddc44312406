"""What is decided about jobs: which may begin, whether a failed one is tried again, what becomes of a lost attempt."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from aldgate.core.errors import (
    AnswerLost,
    CallerError,
    ConcurrencyLimited,
    DeadlineExceeded,
    GatewayError,
    NotSupported,
    PolicyError,
    RateLimited,
    ShuttingDown,
    UpstreamAuth,
    UpstreamRejected,
)
from aldgate.core.generation import Recovery
from aldgate.core.jobs import Choice, Job, Phase, Queue

BASE_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
HOPELESS = (CallerError, PolicyError, UpstreamRejected, UpstreamAuth, NotSupported, DeadlineExceeded, AnswerLost)
"""Errors that the same job would meet again: its own fault, a credential's, or its time is over."""

NOT_YET = (RateLimited, ConcurrencyLimited, ShuttingDown)
"""Refusals of the gate's that pass by themselves."""

Next = Literal["begin", "adopt", "stop", "wait", "lose"]
"""What to do about an attempt whose worker is gone, before another may begin.

`begin`: nothing, it had sent nothing. `adopt`: look it up at the engine. `stop`: have the engine stop it, or end its process.
`wait`: until it has ended by itself. `lose`: no other may begin.
"""


class Again(msgspec.Struct, frozen=True):
    """Try once more after so many seconds."""

    wait_s: float


def after_failure(error: GatewayError, failures: int, most: int, jitter: float, base_s: float = BASE_WAIT_S) -> Again | None:
    """What follows an attempt that failed. None: the job has failed.

    Args:
        error: Why.
        failures: Attempts that failed or were lost, this one among them.
        most: So many of them, and it is parked as failed.
        jitter: A random number from 0 up to 1: jobs that failed together do not come back together.
        base_s: The wait after the first failure, before jitter; it doubles with each further one.
    """
    if isinstance(error, HOPELESS) or failures >= most:
        return None
    waited = min(LONGEST_WAIT_S, base_s * 2.0 ** min(failures - 1, 30))
    return Again(min(LONGEST_WAIT_S, max(waited * (0.5 + jitter / 2), error.retry_after_s or 0.0)))


def not_yet(error: GatewayError, attempts: int, jitter: float) -> Again | None:
    """When a call may be asked for again that the gate refused for now. None: it is not refused for now.

    Args:
        error: Why.
        attempts: Made so far, this one among them.
        jitter: As in `after_failure`.
    """
    if not isinstance(error, NOT_YET):
        return None
    waited = min(LONGEST_WAIT_S, BASE_WAIT_S * 2.0 ** min(attempts - 1, 30)) * (0.5 + jitter / 2)
    return Again(min(LONGEST_WAIT_S, max(waited, error.retry_after_s or 0.0)))


def recovery_of(recovery: Recovery, phase: Phase, *, is_wanted: bool, until_s: float) -> Next:
    """What to do about an attempt whose worker is gone.

    Args:
        recovery: What its engine can do.
        phase: How far the attempt came.
        is_wanted: False: the job was cancelled, or its deadline has passed.
        until_s: Seconds until the attempt has ended by itself.
    """
    if phase != "submitted":
        return "begin"
    if recovery == "lose":
        return "lose" if is_wanted else "stop"
    if recovery == "wait":
        return "wait" if until_s > 0 else "begin"
    return "adopt" if recovery == "adopt" and is_wanted else "stop"


class ByPlaces:
    """Chooses what engines have places for: each works on so many jobs at once, in their order.

    Args:
        places: By engine; those that are left out have one.
    """

    def __init__(self, places: Mapping[str, int]) -> None:
        self._places = places

    def __call__(self, queue: Queue) -> Choice:
        """The jobs to begin."""
        begin: list[str] = []
        reasons: dict[str, str] = {}
        for engine, waiting in queue.waiting.items():
            free = max(0, self._places.get(engine, 1) - queue.under_way.get(engine, 0))
            begin += (each.id for each in waiting[:free])
            ahead = f"the engine `{engine}` works on other jobs"
            reasons |= {each.id: ahead for each in waiting[free:] if each.reason != ahead}
        return Choice(tuple(begin), reasons)


def is_past(ended_at: float | None, now: float, *lives_s: float | None) -> bool:
    """Whether a job that ended then is to be forgotten, by any of these terms; None: it sets none."""
    return ended_at is not None and any(each is not None and now >= ended_at + each for each in lives_s)


def is_overdue(job: Job, now: float) -> bool:
    """Whether its deadline has passed."""
    return job.deadline is not None and now >= job.deadline
