"""Hears of jobs that ended, in whatever process, so that what they counted in limits here can be corrected."""

from __future__ import annotations

import asyncio
import logging

from aldgate.core.errors import StoreUnavailable
from aldgate.gate.job_counts import JobCounts
from aldgate.jobs.insisting import Wait
from aldgate.queueing import Change, JobStore

log = logging.getLogger("aldgate.jobs")

LOOK_S = 2.0
"""Seconds between two looks: a job that this process ends itself is corrected at once, and not looked for."""
LOOK_AT_ALL_S = 60.0
"""What is told can be lost with a connection to the database."""


class Counting:
    """See above.

    Args:
        store: Has the jobs.
        counts: What this process counted.
        wait: Returns when an event is set, or after so many seconds.
    """

    def __init__(self, store: JobStore, counts: JobCounts, wait: Wait) -> None:
        self._store = store
        self._counts = counts
        self._wait = wait
        self._changed: set[str] = set()
        self._something = asyncio.Event()

    def heard(self, job: str, engine: str, what: Change) -> None:
        """Something about a job has changed."""
        if what != "progress" and self._counts.has(job):
            self._changed.add(job)
            self._something.set()

    async def run(self) -> None:
        """Correct, until cancelled."""
        never = asyncio.Event()
        while True:
            await self._wait(self._something, LOOK_AT_ALL_S)
            if self._something.is_set():
                await self._wait(never, LOOK_S)
            changed = self._changed if self._something.is_set() else set(self._counts.open)
            self._changed = set()
            self._something.clear()
            try:
                await self.look(changed)
            except StoreUnavailable as error:
                log.warning("what jobs counted is corrected later", exc_info=error)

    async def look(self, jobs: set[str]) -> None:
        """See which of these have ended.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        for job_id in filter(self._counts.has, jobs):
            job = await self._store.find_job(job_id)
            if job is None:
                self._counts.forget(job_id)
            elif job.has_ended:
                self._counts.ended(job)
