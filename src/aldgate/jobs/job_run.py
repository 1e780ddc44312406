"""One job that a worker has claimed, from there until it has ended, waits again, or is somebody else's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, TypeVar

from msgspec.structs import replace

from aldgate.core.errors import (
    AnswerLost,
    DeadlineExceeded,
    GatewayError,
    InternalError,
    ShuttingDown,
    StoreUnavailable,
    UpstreamAuth,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamUnreachable,
    WorkerLost,
)
from aldgate.core.generation import Generated
from aldgate.core.job_decisions import after_failure, not_yet, recovery_of
from aldgate.core.jobs import AttemptEnd, Claim, End, JobError, Lease, Renewal, asked_of
from aldgate.core.leases import LeaseLost
from aldgate.gate.jobs import cancelled, failed, ledger_row, succeeded
from aldgate.jobs.insisting import insist
from aldgate.jobs.job_shop import JobShop
from aldgate.jobs.job_steps import JobSteps
from aldgate.jobs.questions import MODELS

log = logging.getLogger("aldgate.jobs")

STOP_PATIENCE_S = 15.0
"""Between two questions to an engine that did not say that it has stopped."""
END_PATIENCE_S = 5.0
"""For the task of an engine that was cancelled to end."""
ADOPTED_S = 30.0
"""At least so long for an attempt that is taken over: it may have ended long ago, and wait to be collected."""
GONE = "The worker that made this call is gone, and its answer with it; it may have been paid for."
NOTHING_RUNS = (UpstreamRejected, UpstreamLimited, UpstreamOverloaded, UpstreamAuth)
"""Refusals: the engine took nothing, so there is nothing to stop."""

Cause = Literal["lost", "cancelled", "late", "too long", "stopping"]
"""Why work under way is to end."""
T = TypeVar("T")


class JobRun:
    """One claim.

    Args:
        claim: What was claimed.
        shop: See `JobShop`.
        claimed_at: Monotonic seconds, from before it was asked for.
    """

    def __init__(self, claim: Claim, shop: JobShop, claimed_at: float) -> None:
        self._claim = claim
        self._job = claim.job
        self._shop = shop
        self._engine = shop.engines[claim.job.engine]
        self._nudge = asyncio.Event()
        self.steps = JobSteps(claim, shop, self._nudge, claimed_at)
        self._is_cancelled = claim.job.cancel_asked_at is not None
        self._is_stopping = False
        self._late_at = None if claim.left_s is None else claimed_at + claim.left_s
        self._over_at = claimed_at + (max(claim.until_s, ADOPTED_S) if claim.is_taken_over else claim.until_s)

    @property
    def job_id(self) -> str:
        """The job's."""
        return self._job.id

    @property
    def lease(self) -> Lease:
        """The claim, as the store knows it."""
        return self._job.lease

    def look(self, renewal: Renewal | None, asked_at: float) -> None:
        """Take in what the store said of the job when it was asked then. None: it is somebody else's."""
        if renewal is None:
            self.steps.is_lost = True
        else:
            self.steps.renewed(asked_at)
            self._is_cancelled = self._is_cancelled or renewal.is_cancelled
        self._nudge.set()

    def stop(self) -> None:
        """The worker ends: end this in good order."""
        self._is_stopping = True
        self._nudge.set()

    async def run(self) -> None:
        """Carry the job on.

        Raises:
            LeaseLost: It is somebody else's.
            StoreUnavailable: The worker ends, and the database did not take what became of the job.
        """
        if self._claim.is_taken_over:
            await self._recover()
        else:
            await self._make(self._engine.generate)

    async def _recover(self) -> None:
        """See to an attempt whose worker is gone."""
        attempt = self._claim.attempt
        cause = self._cause()
        until_s = self._claim.until_s
        is_wanted = cause not in ("cancelled", "late")
        match recovery_of(self._engine.recovery, attempt.phase, is_wanted=is_wanted, until_s=until_s):
            case "adopt":
                await self._shop.store.note_attempt(self.lease, "its worker was lost, and another went on with it")
                await self._make(self._adopt)
            case "wait":
                await self._leave(until_s, "an attempt whose worker was lost may still run")
            case "lose":
                await self._end(AnswerLost(GONE), "lost")
            case "stop" if not await self._has_stopped() and until_s > 0:
                await self._leave(min(STOP_PATIENCE_S, until_s), "its engine has not said that it has stopped")
            case _:
                await self._end(cause if not is_wanted else WorkerLost("The worker that had this job is gone."), "lost")

    async def _adopt(self, asked: Any, steps: JobSteps) -> Generated:
        result = await self._engine.adopt(steps.handle, asked, steps)
        if result is None:
            raise WorkerLost("The worker that had this job is gone, and its engine knows nothing of it.")
        return result

    async def _make(self, generate: Callable[[Any, JobSteps], Coroutine[Any, Any, Generated]]) -> None:
        """Have the engine make it, and see to whatever becomes of that."""
        ended = await self._watch(asyncio.ensure_future(generate(asked_of(self._job), self.steps)))
        if isinstance(ended, Generated):
            await self._finish(succeeded(self._job, ended, self.steps.made, self.steps.seconds()))
        elif ended == "lost" or isinstance(ended, LeaseLost):
            raise LeaseLost(self.job_id)
        elif ended == "stopping" and self._engine.recovery == "adopt" and self.steps.handle:
            await self._leave(0.0, "its worker stopped")
        elif ended == "stopping" and self._engine.recovery == "lose" and self.steps.handle:
            await self._end(AnswerLost(GONE), "lost")
        elif self._may_run(ended) and not await self._has_stopped():
            left_s = self._over_at - self._shop.clock()
            patience_s = left_s if self._engine.recovery == "wait" else min(STOP_PATIENCE_S, left_s)
            await self._leave(max(0.0, patience_s), "its engine has not said that it has stopped")
        else:
            await self._end(ended, "lost" if isinstance(ended, WorkerLost) else "failed")

    async def _watch(self, work: asyncio.Future[Generated]) -> Generated | GatewayError | LeaseLost | Cause:
        """Wait until the work has ended, or end it where there is a cause. What it came to, or that cause."""
        work.add_done_callback(lambda _: self._nudge.set())
        try:
            while not work.done():
                if (cause := self._cause()) is not None:
                    return await self._cut(work, cause)
                await self._shop.wait(self._nudge, self._patience_s())
                self._nudge.clear()
                await self._tell()
            return self._outcome(work)
        finally:
            work.cancel()

    def _cause(self) -> Cause | None:
        now = self._shop.clock()
        if self.steps.is_lost or now >= self.steps.safe_until:
            self.steps.is_lost = True
            return "lost"
        if self._is_cancelled:
            return "cancelled"
        if self._late_at is not None and now >= self._late_at:
            return "late"
        if now >= self._over_at:
            return "too long"
        return "stopping" if self._is_stopping else None

    def _patience_s(self) -> float:
        """Seconds until something is to be done, unless something happens."""
        ends = [self.steps.safe_until, self._over_at, *([] if self._late_at is None else [self._late_at])]
        told = self.steps.tell_in_s()
        return max(0.0, min(min(ends) - self._shop.clock(), *([] if told is None else [told]), self._shop.lease_s))

    async def _tell(self) -> None:
        try:
            await self.steps.tell()
        except LeaseLost:
            self.steps.is_lost = True
        except StoreUnavailable as error:
            log.warning("the progress of a job was not kept", extra={"job": self.job_id}, exc_info=error)

    async def _cut(self, work: asyncio.Future[Generated], cause: Cause) -> Generated | Cause:
        """End the work. If it was done just then, it counts, unless the job is somebody else's."""
        work.cancel()
        await asyncio.wait([work], timeout=END_PATIENCE_S)
        if not work.done():
            log.error(
                "an engine goes on although its work was cancelled", extra={"job": self.job_id, "engine": self._engine.name}
            )
            return cause
        outcome = self._outcome(work) if not work.cancelled() else cause
        return outcome if isinstance(outcome, Generated) and cause != "lost" else cause

    def _outcome(self, work: asyncio.Future[Generated]) -> Generated | GatewayError | LeaseLost:
        error = asyncio.CancelledError() if work.cancelled() else work.exception()
        if error is None:
            return work.result()
        if isinstance(error, GatewayError | LeaseLost):
            return error
        log.error("an engine failed", extra={"job": self.job_id, "engine": self._engine.name}, exc_info=error)
        return InternalError("The engine's adapter failed; the gate's log says why.")

    def _may_run(self, ended: GatewayError | Cause) -> bool:
        """Whether the engine may still be at work on it."""
        if not self.steps.handle or isinstance(ended, (*NOTHING_RUNS, WorkerLost)):
            return False
        return not isinstance(ended, UpstreamUnreachable) or self.steps.has_told

    async def _has_stopped(self) -> bool:
        """Have the engine stop. False: it did not say that it has, or cannot be asked."""
        self.steps.check()
        if self._engine.recovery == "wait" and self._claim.is_taken_over:
            return False
        try:
            async with asyncio.timeout(max(0.0, self.steps.safe_until - self._shop.clock())):
                await self._engine.stop(self.steps.handle)
        except (GatewayError, TimeoutError) as error:
            noted = {"job": self.job_id, "engine": self._engine.name}
            log.warning("an engine did not say that it has stopped", extra=noted, exc_info=error)
            return False
        return True

    async def _end(self, why: GatewayError | Cause | None, end: AttemptEnd) -> None:
        """End the attempt; the job, too, unless it is to be tried again."""
        match why:
            case "cancelled":
                return await self._finish(cancelled(self._job, self.steps.seconds(), has_attempt=True))
            case "late":
                return await self._finish(failed(DeadlineExceeded("The job was not done by its deadline."), "failed"))
            case "too long":
                limit = f"An attempt takes longer than the {self._job.timeout_s:g} seconds that one may."
                return await self._finish(failed(DeadlineExceeded(limit), "failed"))
            case "stopping":
                return await self._requeue("given back", ShuttingDown("The worker stopped."), 0.0)
            case GatewayError():
                later = None if self.steps.handle else not_yet(why, self._job.attempts, self._shop.random())
                if later is not None:
                    return await self._requeue("given back", why, later.wait_s)
                most = 1 if self._engine.recovery == "lose" and self._may_run(why) else self._job.most_failures
                again = after_failure(why, self._job.failures + 1, most, self._shop.random(), self._shop.backoff_s)
                if again is None:
                    return await self._finish(failed(why, end))
                return await self._requeue(end, why, again.wait_s)
            case _:
                raise LeaseLost(self.job_id)

    async def _requeue(self, end: AttemptEnd, error: GatewayError, wait_s: float) -> None:
        reason = "waits for another attempt"
        told = JobError.of(error)
        await self._insist(lambda: self._shop.store.requeue_job(self.lease, end, told, wait_s, reason))

    async def _leave(self, wait_s: float, reason: str) -> None:
        await self._insist(lambda: self._shop.store.leave_job(self.lease, wait_s, reason))

    async def _finish(self, end: End) -> None:
        row = None
        if self._job.engine != MODELS or not self.steps.handle:
            row = ledger_row(self._job, end, self._shop.now())
        elif end.result is not None:  # its calls have lines of their own
            end = replace(end, cost_microusd=end.result.details["cost_microusd"])
        job = await self._insist(lambda: self._shop.store.finish_job(self.lease, end, row))
        self._shop.ended(job, row)

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the store says, once it does: the token, not the time, says whether the job is still ours.

        Raises:
            StoreUnavailable: It has not answered, and the worker ends.
        """
        return await insist(ask, self._shop.wait, lambda: self._is_stopping)
