"""Jobs that somebody here follows: each is read once for every change, however many follow it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager

from msgspec.structs import replace

from aldgate.core.errors import GatewayError, NotFound, StoreUnavailable
from aldgate.core.jobs import Job
from aldgate.jobs.watching import LOOK_S, Watching
from aldgate.queueing import JobStore

log = logging.getLogger("aldgate.jobs")

LONGEST_LOOK_S = 8.0
"""Between two looks at a job that has not changed for long; what is told is heard at once."""


class Following:
    """Reads the jobs that are followed in this process.

    Args:
        store: Has them.
        watching: Tells of changes.
    """

    def __init__(self, store: JobStore, watching: Watching) -> None:
        self._store = store
        self._watching = watching
        self._followed: dict[str, Followed] = {}

    @contextmanager
    def of(self, job: Job, nudge: asyncio.Event) -> Generator[Followed]:
        """The job, kept up to date; `nudge` is set whenever something about it has changed, and once it was read anew.

        A job that has ended is not read again.
        """
        followed = self._followed.get(job.id)
        if followed is None:
            followed = self._followed[job.id] = Followed(job)
        followed.take(job)
        followed.nudges.add(nudge)
        try:
            followed.begin(self._store, self._watching)
            yield followed
        finally:
            followed.nudges.discard(nudge)
            if not followed.nudges:
                self._followed.pop(job.id, None)
                followed.end()


class Followed:
    """One job, as long as somebody follows it."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._failure: Exception | None = None
        self._reading: asyncio.Task[None] | None = None
        self.nudges: set[asyncio.Event] = set()

    @property
    def job(self) -> Job:
        """The newest that is known of it.

        Raises:
            NotFound: It is not there any more.
        """
        if self._failure is not None:
            raise self._failure
        return self._job

    def take(self, job: Job) -> None:
        """Know what somebody else has read, if that is newer."""
        if job.version > self._job.version:
            self._job = job
            self._tell()

    def begin(self, store: JobStore, watching: Watching) -> None:
        """Read it from now on, unless it is read already or has ended."""
        if self._reading is None and not self._job.has_ended:
            self._reading = asyncio.create_task(self._read(store, watching))

    def end(self) -> None:
        """Nobody follows it any more."""
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self, store: JobStore, watching: Watching) -> None:
        """Keep the job up to date until it has ended, and tell everybody who follows it."""
        patience_s = LOOK_S
        try:
            while not self._job.has_ended:
                with watching.change_of(self._job.id) as changed:
                    version = self._job.version
                    await self._look(store)
                    patience_s = LOOK_S if self._job.version != version else min(LONGEST_LOOK_S, patience_s * 2)
                    if not self._job.has_ended:
                        await asyncio.wait([changed], timeout=patience_s)
        except Exception as error:  # a border: those who follow must not wait for ever
            if not isinstance(error, GatewayError):
                log.exception("a job that is followed could not be read", extra={"job": self._job.id})
            self._failure = error
            self._tell()

    async def _look(self, store: JobStore) -> None:
        try:
            found = await store.find_job(self._job.id, is_brief=True)  # what it asks for stays as it is, and may be large
        except StoreUnavailable as error:
            log.warning("a job that is followed could not be read", extra={"job": self._job.id}, exc_info=error)
            return
        if found is None:
            raise NotFound("There is no such job.", param="id")
        if found.version != self._job.version:
            self._job = replace(found, asked=self._job.asked)
            self._tell()

    def _tell(self) -> None:
        for nudge in self.nudges:
            nudge.set()
