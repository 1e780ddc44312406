"""Writes that a cancelled caller does not break off: a transaction cut in the middle would hold the lock until it is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from types import CoroutineType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Writing(Protocol):
    """Whoever has unbroken writes."""

    writes: set[asyncio.Task[Any]]
    """Those under way; to be waited for before the connections close."""


S = TypeVar("S", bound=Writing)


def unbroken(
    write: Callable[Concatenate[S, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[S, P], CoroutineType[Any, Any, R]]:
    """Let `write` run to its end in a task of its own. A caller who is cancelled leaves at once and never knows the result."""

    @wraps(write)
    async def shielded(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        task = asyncio.ensure_future(write(self, *args, **kwargs))
        self.writes.add(task)
        task.add_done_callback(self.writes.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_ignore)
            raise

    return shielded


def _ignore(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # nobody is left to whom it could be told
