"""Asking the store until it answers: what was done must be kept."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aldgate.core.errors import StoreUnavailable

RETRY_S = 1.0

T = TypeVar("T")
Wait = Callable[[asyncio.Event, float], Awaitable[None]]
"""Returns when the event is set, or after so many seconds."""


async def insist(ask: Callable[[], Awaitable[T]], wait: Wait, is_stopping: Callable[[], bool]) -> T:
    """What the store says, once it does. A token, not the time, says whether the work is still the asker's.

    Raises:
        StoreUnavailable: It has not answered, and whoever asks is to stop.
    """
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            if is_stopping():
                raise
            await wait(asyncio.Event(), RETRY_S)
