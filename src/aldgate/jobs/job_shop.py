"""What every job needs of its worker."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol

import msgspec

from aldgate.core.calls import LedgerRow
from aldgate.core.job_decisions import BASE_WAIT_S
from aldgate.core.jobs import Claim, Job, Made
from aldgate.gate.jobs import Ended
from aldgate.jobs.insisting import Wait
from aldgate.making import Engine
from aldgate.queueing import Choose, JobStore

LEASE_S = 30.0

ClaimJobs = Callable[[Collection[str], Choose, float], Awaitable[list[Claim]]]
"""`JobStore.claim_jobs`, or who asks devices besides."""


def nobody_minds(job: Job, row: LedgerRow | None) -> None:
    """Where a job that ended is counted by nobody."""


class Save(Protocol):
    """Keeps a file that a job made."""

    async def __call__(
        self, job: Job, data: bytes | AsyncIterable[bytes], *, mime: str, name: str, facts: Mapping[str, Any]
    ) -> Made:
        """The artifact it became; the same bytes again are the same artifact.

        Raises:
            StoreUnavailable: There is no room for it.
        """
        ...


class JobShop(msgspec.Struct, frozen=True, kw_only=True):
    """What every job needs.

    Attributes:
        engines: Who makes things here, by name. Jobs for others are left alone.
        choose: Which jobs that wait may begin.
        claim: Takes such; None: the store does.
        ended: Told of each job that ended here, and its line in the ledger.
        lease_s: After so long without a word from its worker, a job is taken over by another.
        poll_s: Seconds between two looks; what is told is heard at once.
        backoff_s: Seconds before the second attempt; twice as many before each further one.
        tell_s: Seconds between two reports of progress that are kept.
        now: Unix seconds.
        clock: Monotonic seconds.
        random: A number from 0 up to 1.
    """

    store: JobStore
    engines: Mapping[str, Engine]
    save: Save
    choose: Choose
    claim: ClaimJobs | None = None
    ended: Ended = nobody_minds
    lease_s: float = LEASE_S
    poll_s: float = 1.0
    backoff_s: float = BASE_WAIT_S
    tell_s: float = 0.5
    now: Callable[[], float]
    clock: Callable[[], float]
    random: Callable[[], float]
    wait: Wait
