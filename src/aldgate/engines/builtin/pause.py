"""Waiting that can be broken off from outside, by a clock that can be put in from outside."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """What `Later` hands back."""

    def cancel(self) -> None:
        """Do not call after all."""
        ...


Later = Callable[[float, Callable[[], None]], Timer]
"""Calls back after so many seconds, as `loop.call_later` does."""


def call_later(seconds: float, callback: Callable[[], None]) -> Timer:
    """`Later` of the running loop."""
    return asyncio.get_running_loop().call_later(seconds, callback)


class Pause:
    """One wait at a time. A future and a timer, where `asyncio.sleep` would need a task to be woken early.

    Args:
        later: Where time comes from.
    """

    def __init__(self, later: Later) -> None:
        self._later = later
        self._waiter: asyncio.Future[None] | None = None

    async def wait(self, seconds: float) -> None:
        """Return after `seconds`, or raise what `end` was given. Safe to cancel."""
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        timer = self._later(seconds, lambda: None if waiter.done() else waiter.set_result(None))
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def end(self, error: Exception) -> None:
        """Wake whoever waits with `error`; nobody waiting is fine."""
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(error)
