"""Callers who wait for pictures get one, or learn at once that the engine is busy: they are not kept in a queue.

The Local AI Gateway answered 429 with `Retry-After: 5` once two callers per class of backends were served.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from aldgate.core.errors import EngineBusy
from aldgate.core.levels import Operation
from aldgate.jobs.making import Jobs

RETRY_AFTER_S = 5


class EnginePlaces:
    """How many jobs an engine may have before callers who wait are turned away.

    Args:
        jobs: Knows how many it has.
        most: Says how many it may have, by its name; 0: any number.
    """

    def __init__(self, jobs: Jobs, most: Callable[[str], int]) -> None:
        self._jobs = jobs
        self._most = most
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def one(self, engine: str, operation: Operation) -> AsyncGenerator[None]:
        """Have one of the engine's places while the job is kept that takes it. One caller after the other: none is given twice.

        Raises:
            EngineBusy: All are taken, by whatever process.
        """
        most = self._most(engine)
        if not most:
            yield
            return
        async with self._turns[engine]:
            if await self._jobs.unfinished(engine, operation, most) >= most:
                said = f"The engine `{engine}` has {most} jobs to do, as many as callers may wait for"
                raise EngineBusy(f"{said}; try again, or send `Prefer: respond-async` to queue.", retry_after_s=RETRY_AFTER_S)
            yield
