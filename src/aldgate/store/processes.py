"""Processes that share the database: which of them are alive, and what they tell each other."""

from collections.abc import Callable

from sqlalchemy import delete, select

from aldgate.sharing import Pulse
from aldgate.store.database import QueryGroup
from aldgate.store.tables import processes, refills, revisions
from aldgate.store.unbroken import unbroken

LAPSE_S = 5.0
"""A process that was not seen for so long is taken for dead."""
REMEMBERED_S = 86_400.0


class Processes(QueryGroup):
    """Queries on processes; each method as `ports.Store` says."""

    @unbroken
    async def beat(self) -> Pulse:
        """See `Store`."""
        if self._database.is_embedded:
            return Pulse(frozenset({self._incarnation}), {})
        now = self._database.now()
        seen = self._database.insert(processes).values(process=self._incarnation, seen_at=now)
        async with self._database.write(relaxed=True) as connection:
            await connection.execute(seen.on_conflict_do_update(index_elements=["process"], set_={"seen_at": now}))
            alive = await connection.scalars(select(processes.c.process).where(processes.c.seen_at > now - LAPSE_S))
            values = await connection.execute(select(revisions.c.name, revisions.c.value))
            return Pulse(frozenset(alive), {row.name: row.value for row in values})

    @unbroken
    async def forget_dead(self) -> None:
        """See `Store`."""
        old = select(processes.c.process).where(processes.c.seen_at < self._database.now() - REMEMBERED_S)
        async with self._database.write() as connection:
            await connection.execute(delete(refills).where(refills.c.process.in_(old)))
            await connection.execute(delete(processes).where(processes.c.seen_at < self._database.now() - REMEMBERED_S))

    @unbroken
    async def leave(self) -> None:
        """See `Store`."""
        async with self._database.write() as connection:
            await connection.execute(delete(processes).where(processes.c.process == self._incarnation))

    @unbroken
    async def announce(self, what: str) -> None:
        """See `Store`."""
        async with self._database.write(relaxed=True) as connection:
            await self._announce(connection, what)

    @unbroken
    async def tell(self, message: str) -> None:
        """See `Store`."""
        async with self._database.write(relaxed=True) as connection:
            await self._database.tell(connection, message)

    async def listen(self, heard: Callable[[str], None]) -> None:
        """See `Store`."""
        await self._database.listen(heard)
