"""What jobs have of artifacts: kept once, held while the job is, let go with it.

A finished job holds what it made until it is forgotten itself, so that nothing it speaks of is swept away before. Its owner may
delete an artifact all the same: what only jobs that are over hold goes.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.jobs import Job
from aldgate.store.database import Database
from aldgate.store.tables import artifact_holds, artifacts

_OVER = "over:"
"""In front of the ids of holders that are over."""


def over(job_id: str) -> str:
    """As whom a job that is over holds."""
    return _OVER + job_id


def is_over() -> ColumnElement[bool]:
    """Whether the holder is a job that is over."""
    return artifact_holds.c.holder.startswith(_OVER, autoescape=True)


async def hold_made(database: Database, connection: AsyncConnection, job: Job) -> None:
    """The job ends: hold what it made; what it began with, and what attempts made that came to nothing, is let go."""
    made = sorted({each.id for each in job.made})
    await connection.execute(delete(artifact_holds).where(artifact_holds.c.holder == job.id))
    there = await connection.scalars(select(artifacts.c.id).where(artifacts.c.id.in_(made)).with_for_update())
    rows = [{"holder": over(job.id), "artifact_id": each} for each in there]
    if rows:
        await connection.execute(database.insert(artifact_holds).on_conflict_do_nothing(), rows)
    is_held = select(artifact_holds.c.artifact_id).where(artifact_holds.c.artifact_id == artifacts.c.id).exists()
    await connection.execute(delete(artifacts).where(artifacts.c.job_id == job.id, artifacts.c.id.not_in(made), ~is_held))


async def let_go(connection: AsyncConnection, job_ids: Sequence[str]) -> None:
    """Jobs are forgotten: whatever they hold is held no longer."""
    holders = [*job_ids, *map(over, job_ids)]
    await connection.execute(delete(artifact_holds).where(artifact_holds.c.holder.in_(holders)))
