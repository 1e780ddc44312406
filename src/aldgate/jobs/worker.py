"""The worker of jobs: claims those that may begin, takes over those whose worker is gone, and keeps what it has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from aldgate.core.errors import DeadlineExceeded, GatewayError, StoreUnavailable
from aldgate.core.jobs import Claim, Job
from aldgate.core.leases import LeaseLost
from aldgate.gate.jobs import cancelled, failed, ledger_row
from aldgate.jobs.job_run import JobRun
from aldgate.jobs.job_shop import JobShop
from aldgate.making import Engine
from aldgate.queueing import Change

log = logging.getLogger("aldgate.jobs")

AT_ONCE = 100
PAUSE_S = 0.5


class Worker:
    """Carries on jobs until it is cancelled. What runs then is lost to it, and taken over later; `aclose` gives it back."""

    def __init__(self, shop: JobShop) -> None:
        self._shop = shop
        self._runs: set[JobRun] = set()
        self._wake = asyncio.Event()
        self._renewing = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._is_stopping = False
        self._look_at = 0.0

    @property
    def engines(self) -> Mapping[str, Engine]:
        """Those for which it works."""
        return self._shop.engines

    async def run(self) -> None:
        """Work. Belongs in the process's task group."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._keep())
            while True:
                self._wake.clear()
                if not self._is_stopping:
                    await self._attempt(lambda: self._claim(group))
                    if self._shop.clock() >= self._look_at:
                        self._look_at = self._shop.clock() + self._shop.poll_s
                        await self._attempt(lambda: self._take_over(group))
                        await self._attempt(self._end_doomed)
                await self._shop.wait(self._wake, self._shop.poll_s)

    async def _claim(self, group: asyncio.TaskGroup) -> None:
        shop, at = self._shop, self._shop.clock()
        for claim in await (shop.claim or shop.store.claim_jobs)(shop.engines, shop.choose, shop.lease_s):
            self._begin(group, claim, at)

    async def _take_over(self, group: asyncio.TaskGroup) -> None:
        shop, at = self._shop, self._shop.clock()
        for claim in await shop.store.take_over_jobs(shop.engines, shop.lease_s, AT_ONCE):
            self._begin(group, claim, at)

    def _begin(self, group: asyncio.TaskGroup, claim: Claim, claimed_at: float) -> None:
        run = JobRun(claim, self._shop, claimed_at)
        self._runs.add(run)
        self._quiet.clear()
        group.create_task(self._carry(run))

    async def _carry(self, run: JobRun) -> None:
        noted = {"job": run.job_id}
        try:
            await run.run()
        except LeaseLost:
            log.warning("another worker has taken the job, or it has ended", extra=noted)
        except GatewayError as error:
            log.warning("the job is left as it is for now", extra=noted, exc_info=error)
        except Exception:  # a border: one job's fault must not end the others
            log.exception("the job is left as it is, and will be taken over", extra=noted)
        finally:
            self._runs.discard(run)
            if not self._runs:
                self._quiet.set()
            self._wake.set()

    async def _listen(self) -> None:
        while True:
            try:
                await self._shop.store.listen_to_jobs(self._heard)
            except StoreUnavailable as error:
                log.warning("changes to jobs are not heard for a moment", exc_info=error)
            await self._shop.wait(asyncio.Event(), PAUSE_S)

    def _heard(self, job: str, engine: str, what: Change) -> None:
        if what == "cancel" and any(run.job_id == job for run in self._runs):
            self._renewing.set()
        elif what != "progress" and engine in self._shop.engines:
            self._wake.set()

    async def _keep(self) -> None:
        """Renew the leases of what is under way, and see what becomes of it meanwhile."""
        while True:
            await self._shop.wait(self._renewing, self._shop.lease_s / 3)
            self._renewing.clear()
            if self._runs and not await self._attempt(self._renew):
                await self._shop.wait(self._renewing, min(PAUSE_S, self._shop.lease_s / 10))
                self._renewing.set()

    async def _renew(self) -> None:
        runs, asked_at = list(self._runs), self._shop.clock()
        held = await self._shop.store.renew_jobs([run.lease for run in runs], self._shop.lease_s)
        for run in runs:
            run.look(held.get(run.lease), asked_at)

    async def _end_doomed(self) -> None:
        """End jobs that wait for nothing: nobody wants them, or their time is over."""
        for job in await self._shop.store.doomed_jobs(AT_ONCE):
            await self._end(job)

    async def _end(self, job: Job) -> None:
        if job.cancel_asked_at is not None:
            end = cancelled(job, 0, has_attempt=False)
        else:
            end = failed(DeadlineExceeded("The job was not done by its deadline."), None)
        try:
            row = ledger_row(job, end, self._shop.now())
            self._shop.ended(await self._shop.store.finish_job(job.lease, end, row), row)
        except LeaseLost:
            log.debug("somebody else has ended the job", extra={"job": job.id})

    async def _attempt(self, ask: Callable[[], Awaitable[None]]) -> bool:
        """Ask the store; False if it did not answer."""
        try:
            await ask()
        except StoreUnavailable as error:
            log.warning("the database did not answer", exc_info=error)
            return False
        return True

    def nudge(self) -> None:
        """Something may begin that could not before."""
        self._wake.set()

    async def drain(self, patience_s: float) -> None:
        """Begin nothing more, and let what is under way end within `patience_s`."""
        self._is_stopping = True
        await self._shop.wait(self._quiet, patience_s)

    async def aclose(self) -> None:
        """Give back what is still under way: engines that can be asked later go on with it, the others are stopped."""
        self._is_stopping = True
        for run in self._runs:
            run.stop()
        await self._quiet.wait()
