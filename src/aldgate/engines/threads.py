"""Work in threads on what is closed behind it: nobody leaves before the thread has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Given = TypeVarTuple("Given")


async def in_thread(pool: Executor | None, work: Callable[[*Given], T], *given: *Given) -> T:
    """What `work` gives, made in a thread. Whoever is cancelled, however often, leaves when the thread has ended.

    Args:
        pool: Whose threads; None: the event loop's own.
        work: It uses what must not be closed meanwhile: FFmpeg's containers, closed while a thread writes, end the process.
        *given: What it takes.
    """
    turn = asyncio.get_running_loop().run_in_executor(pool, work, *given)
    try:
        return await asyncio.shield(turn)
    except asyncio.CancelledError:
        while not turn.done():
            try:
                await asyncio.wait([turn])
            except asyncio.CancelledError:  # once more; it is told below
                continue
        raise
