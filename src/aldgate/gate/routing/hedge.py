"""A second attempt beside a slow first one: who begins first wins, and the other is stopped at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aldgate.core.errors import GatewayError

T = TypeVar("T")


async def race(
    first: Coroutine[Any, Any, T], second: Callable[[], Coroutine[Any, Any, T] | None], after_s: float, drop: Callable[[T], None]
) -> T:
    """The result of `first`, or of what `second` starts after `after_s` (None: nothing), whichever comes sooner.

    `drop` lets go of a result that came too late.

    Raises:
        GatewayError: Both failed; the later error.
    """
    tasks = [asyncio.create_task(first)]
    chosen: asyncio.Task[T] | None = None
    try:
        await asyncio.wait(tasks, timeout=after_s)
        if not tasks[0].done() and (other := second()) is not None:
            tasks.append(asyncio.create_task(other))
        waiting = set(tasks)
        while waiting and chosen is None:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            last = next(iter(done))
            chosen = next((task for task in tasks if task in done and task.exception() is None), None)
            if chosen is None and not waiting:
                chosen = last
        assert chosen is not None
        return chosen.result()
    finally:
        await _stop([task for task in tasks if task is not chosen], drop)


async def _stop(tasks: list[asyncio.Task[T]], drop: Callable[[T], None]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(result, BaseException):
            drop(result)
        elif not isinstance(result, GatewayError | asyncio.CancelledError):
            raise result
