"""Tells who waits that jobs were changed: at once in this process, and soon in the others.

Others are told by a transaction of its own, several changes at once: a message in the transaction of the change itself would have
PostgreSQL commit such transactions one after the other (https://www.postgresql.org/docs/current/sql-notify.html). What is lost
with a process that ends in between, polling finds.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from aldgate.core.errors import StoreUnavailable
from aldgate.queueing import Change, Heard
from aldgate.store.database import Database

log = logging.getLogger("aldgate.jobs")

AT_ONCE = 50
"""Jobs per message, which has at most 8,000 bytes."""


class JobBell:
    """Rung for each change; heard by all who listen.

    Args:
        database: Where other processes are told.
        writes: Takes the task that tells them, to be waited for before connections close.
    """

    def __init__(self, database: Database, writes: set[asyncio.Task[None]]) -> None:
        self._database = database
        self._writes = writes
        self._heard: list[Heard] = []
        self._untold: dict[tuple[str, Change], str] = {}
        self._telling: asyncio.Task[None] | None = None

    def ring(self, job: str, engine: str, what: Change = "state") -> None:
        """A job was changed, and that is committed."""
        for heard in self._heard:
            heard(job, engine, what)
        if not self._database.is_embedded:
            self._untold[job, what] = engine
            if self._telling is None:
                self._telling = asyncio.ensure_future(self._tell())
                self._writes.add(self._telling)
                self._telling.add_done_callback(self._writes.discard)

    async def _tell(self) -> None:
        try:
            while self._untold:
                some = [self._untold.popitem() for _ in range(min(AT_ONCE, len(self._untold)))]
                async with self._database.write(relaxed=True) as connection:
                    await self._database.tell(connection, msgspec.json.encode(["jobs", *some]).decode())
        except StoreUnavailable as error:
            log.warning("other processes were not told of changes to jobs; they will look", exc_info=error)
        finally:
            self._telling = None

    async def listen(self, heard: Heard) -> None:
        """See `JobStore.listen_to_jobs`."""
        self._heard.append(heard)
        try:
            await self._database.listen(lambda message: _pass_on(message, heard))
        finally:
            self._heard.remove(heard)


def _pass_on(message: str, heard: Heard) -> None:
    if message.startswith('["jobs",'):
        for (job, what), engine in msgspec.json.decode(message)[1:]:
            heard(job, engine, what)
