"""Jobs that are over, forgotten in small batches: with their events and attempts, and what they hold of artifacts."""

from __future__ import annotations

import msgspec
from sqlalchemy import delete, select, tuple_

from aldgate.core.job_decisions import is_past
from aldgate.store.job_artifacts import let_go
from aldgate.store.job_tables import jobs
from aldgate.store.job_work import JobWork
from aldgate.store.unbroken import unbroken

AT_ONCE = 500
_OLD = jobs.c.id, jobs.c.created_at, jobs.c.ended_at, jobs.c.extras
_SHORT_LIVED = jobs.c.extras.contains('"retention_s":')


class JobPast(JobWork):
    """What becomes of old jobs; as `queueing.JobStore` says."""

    @unbroken
    async def forget_jobs(self, lives_s: float | None, after: tuple[float, str] | None = None) -> tuple[float, str] | None:
        """See `JobStore`. Of several processes one forgets at a time, and the others find nothing left."""
        query = select(*_OLD).where(jobs.c.ended_at.is_not(None)).order_by(jobs.c.created_at, jobs.c.id).limit(AT_ONCE)
        if after is not None:
            query = query.where(tuple_(jobs.c.created_at, jobs.c.id) > tuple_(*after))
        async with self._database.write() as connection:
            await self._database.lock(connection, "forget jobs")
            now = await self._now(connection)
            is_old = _SHORT_LIVED if lives_s is None else _SHORT_LIVED | (jobs.c.created_at < now - lives_s)
            rows = (await connection.execute(query.where(is_old))).all()
            past = [row.id for row in rows if is_past(row.ended_at, now, lives_s, _retention_s(row.extras))]
            await let_go(connection, past)
            await connection.execute(delete(jobs).where(jobs.c.id.in_(past)))
        return (rows[-1].created_at, rows[-1].id) if len(rows) == AT_ONCE else None


class _Extras(msgspec.Struct):
    retention_s: float | None = None


def _retention_s(extras: str) -> float | None:
    return msgspec.json.decode(extras, type=_Extras).retention_s
