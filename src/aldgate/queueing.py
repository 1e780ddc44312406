"""What jobs ask of the store."""

from collections.abc import Callable, Collection, Sequence
from typing import Literal, Protocol

import msgspec

from aldgate.core.calls import LedgerRow
from aldgate.core.generation import Preview, Progress
from aldgate.core.jobs import (
    Attempt,
    AttemptEnd,
    Choice,
    Claim,
    End,
    Job,
    JobError,
    JobEvent,
    JobFilter,
    Lease,
    Queue,
    Renewal,
)
from aldgate.core.webhooks import Delivery, Tried

Choose = Callable[[Queue], Choice]
"""Says which of the jobs that wait may begin. Runs within a transaction: it decides from what it is given, and at once."""
Change = Literal["state", "progress", "cancel"]
"""What of a job was changed; `cancel`: it was asked to end."""
Heard = Callable[[str, str, Change], None]
"""Told the id of a job that was changed, its engine, and what was changed."""


class Handover(msgspec.Struct, frozen=True):
    """Money that a process gives to a job, of one budget in one period; amounts in micro-dollars.

    Attributes:
        reported: All that the process has spent of its slice; as in `SliceRequest`.
    """

    account: str
    period: str
    limit: int
    reported: int
    microusd: int


class JobStore(Protocol):
    """Jobs. What takes a `Lease` raises `LeaseLost` once somebody else has claimed the job, or it has ended."""

    async def enqueue_job(self, job: Job, money: Sequence[Handover] = ()) -> Job:
        """Keep a new job together with what it holds of budgets.

        Returns the job of the account that has its idempotency key, or its id, already, if there is one: then nothing was given.
        """
        ...

    async def find_job(self, job_id: str, account: str | None = None, *, is_brief: bool = False) -> Job | None:
        """The job with this id, where an account is given only one of that account's; if brief, without what it asks for."""
        ...

    async def list_jobs(
        self, wanted: JobFilter, *, after: Job | None = None, limit: int = 100, skip: int = 0, is_ascending: bool = False
    ) -> list[Job]:
        """Jobs, newest (or oldest) first, those behind `after`, at most `limit` behind the first `skip`.

        What they ask for is left out.
        """
        ...

    async def delete_job(self, job_id: str, account: str) -> bool:
        """Forget the account's job with this id, and its history; what it cost stays in the ledger. False: it has not ended."""
        ...

    async def count_unfinished_jobs(self, account: str) -> int:
        """How many jobs of the account have not ended."""
        ...

    async def job_attempts(self, job_id: str) -> list[Attempt]:
        """A job's history, the first attempt first."""
        ...

    async def job_events(self, job_id: str, after: int = 0) -> list[JobEvent]:
        """The changes of a job's state behind the one numbered `after`, in order."""
        ...

    async def job_preview(self, job_id: str) -> Preview | None:
        """The last picture of a job under way."""
        ...

    async def ask_to_cancel(self, job_id: str, account: str | None = None) -> Job | None:
        """Note that the job is not wanted any more, unless it has ended. Returns it as it is then, None if there is none.

        Whoever asks ends a job that is still queued by `finish_job`; one that a worker has is ended by its worker.
        """
        ...

    async def claim_jobs(self, engines: Collection[str], choose: Choose, lease_s: float) -> list[Claim]:
        """Take jobs of these engines that wait and that `choose` lets begin; each begins a new attempt."""
        ...

    async def take_over_jobs(self, engines: Collection[str], lease_s: float, limit: int) -> list[Claim]:
        """Take jobs of these engines whose worker's lease has lapsed, with the attempt that it was making."""
        ...

    async def renew_jobs(self, leases: Collection[Lease], lease_s: float) -> dict[Lease, Renewal]:
        """Keep jobs for so much longer. Returns what became of those that are still held; the other leases are lost."""
        ...

    async def submit_job(self, lease: Lease, handle: str) -> None:
        """The job's attempt is about to be sent to its engine, which will know it by `handle`: the job is running."""
        ...

    async def note_progress(self, lease: Lease, progress: Progress, preview: Preview | None) -> None:
        """Keep how far it is. Without a preview the last one stays."""
        ...

    async def requeue_job(self, lease: Lease, end: AttemptEnd, error: JobError | None, wait_s: float, reason: str) -> Job:
        """End the attempt under way; the job waits at least so long for another."""
        ...

    async def leave_job(self, lease: Lease, wait_s: float, reason: str) -> None:
        """Let go of the job while its attempt goes on: in so many seconds, or before, another worker takes it over."""
        ...

    async def note_attempt(self, lease: Lease, note: str) -> None:
        """Add to the history of the attempt under way."""
        ...

    async def finish_job(self, lease: Lease, end: End, row: LedgerRow | None) -> Job:
        """End the job: state, result, event, the line in the ledger and what it holds of budgets, all at once or not at all."""
        ...

    async def doomed_jobs(self, limit: int) -> list[Job]:
        """Jobs that wait though their deadline has passed or nobody wants them any more."""
        ...

    async def forget_jobs(self, lives_s: float | None, after: tuple[float, str] | None = None) -> tuple[float, str] | None:
        """Forget some jobs that ended so long ago, or longer than policies let them be kept, and let go of what they made.

        Args:
            lives_s: How long they are kept; None: as long as policies let them.
            after: Where the last such question came to.

        Returns where this one came to, None if it saw all.
        """
        ...

    async def listen_to_jobs(self, heard: Heard) -> None:
        """Tell `heard` of changes to jobs until cancelled, those that other processes make included.

        Raises:
            StoreUnavailable: The connection was lost; what changed meanwhile is not heard.
        """
        ...


class WebhookStore(Protocol):
    """Webhooks of jobs that have ended; `JobStore.finish_job` makes them, in the transaction that ends the job."""

    async def claim_deliveries(self, lease_s: float, limit: int) -> list[Delivery]:
        """Take such as are due. Nobody else has them for so long."""
        ...

    async def note_delivery(self, delivery: Delivery, tried: Tried) -> None:
        """Keep what came of an attempt, unless somebody else has claimed the delivery since."""
        ...

    async def find_delivery(self, job_id: str) -> Delivery | None:
        """The webhook of a job that has ended, as it stands."""
        ...
