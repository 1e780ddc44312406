"""Tells those who wait for jobs that something about them has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager

from aldgate.core.errors import StoreUnavailable
from aldgate.queueing import Change, Heard, JobStore

log = logging.getLogger("aldgate.jobs")

PAUSE_S = 0.5
LOOK_S = 1.0
"""Who waits looks for itself so often: what is told can be lost with a connection to the database."""


class Watching:
    """Listens to changes of jobs for everybody in this process who waits for one.

    Args:
        store: Tells of changes.
        listeners: Who is told of all of them besides.
    """

    def __init__(self, store: JobStore, *listeners: Heard) -> None:
        self._store = store
        self._listeners = listeners
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def run(self) -> None:
        """Listen, until cancelled."""
        while True:
            try:
                await self._store.listen_to_jobs(self._heard)
            except StoreUnavailable as error:
                log.warning("changes to jobs are not heard for a moment", exc_info=error)
            await asyncio.sleep(PAUSE_S)

    def _heard(self, job: str, engine: str, what: Change) -> None:
        for listener in self._listeners:
            listener(job, engine, what)
        for waiting in self._waiting.pop(job, ()):
            if not waiting.done():
                waiting.set_result(None)

    @contextmanager
    def change_of(self, job: str) -> Generator[asyncio.Future[None]]:
        """What is done when something about the job changes, from now on."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job, set()).add(waiting)
        try:
            yield waiting
        finally:
            others = self._waiting.get(job, set())
            others.discard(waiting)
            if not others:
                self._waiting.pop(job, None)
