"""What waits for engines, and what they work on."""

from collections.abc import Sequence

from sqlalchemy import and_, func, literal_column, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.jobs import Waiting
from aldgate.store.job_rows import PRIORITY
from aldgate.store.job_tables import IS_UNDER_WAY, IS_WAITING, jobs

CANDIDATES = 50
"""Jobs of an engine among which is chosen."""

_WAITING = tuple(PRIORITY if name == "priority" else jobs.c[name] for name in Waiting.__struct_fields__)


async def waiting_jobs(connection: AsyncConnection, engines: Sequence[str], now: float) -> dict[str, tuple[Waiting, ...]]:
    """The first jobs of each engine that may begin now, locked; those that another worker has locked are left out."""
    is_wanted = and_(jobs.c.cancel_asked_at.is_(None), or_(jobs.c.deadline.is_(None), jobs.c.deadline > now))
    order = jobs.c.rank, jobs.c.created_at, jobs.c.id
    found: dict[str, tuple[Waiting, ...]] = {}
    for engine in engines:
        mine = text(IS_WAITING), jobs.c.engine == engine, jobs.c.due_at <= now, is_wanted
        query = select(*_WAITING).where(*mine).order_by(*order).limit(CANDIDATES).with_for_update(skip_locked=True)
        found[engine] = tuple(Waiting(*row) for row in await connection.execute(query))
    return found


async def count_under_way(connection: AsyncConnection, engines: Sequence[str]) -> dict[str, int]:
    """How many jobs each engine works on; engines that work on none are left out."""
    mine = text(IS_UNDER_WAY), jobs.c.engine.in_(engines)
    query = select(jobs.c.engine, func.count(literal_column("*"))).where(*mine).group_by(jobs.c.engine)
    return {row[0]: row[1] for row in await connection.execute(query)}
