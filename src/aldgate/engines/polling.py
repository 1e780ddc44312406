"""Asking an engine again and again until its work is over, though it may not answer for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import TypeVar

from aldgate.core.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable

T = TypeVar("T")


async def until_over(
    name: str, look: Callable[[], Awaitable[tuple[bool, T]]], woken: asyncio.Event, *, poll_s: float, patience_s: float
) -> T:
    """Look until the work is over, and return what was seen then.

    Args:
        name: The engine's.
        look: Returns whether the work is over, and what was seen. Raises `UpstreamError` while the engine does not answer.
        woken: Set by whoever knows that it is worth looking.
        poll_s: Look at least every so many seconds.
        patience_s: For so many seconds the engine may be away.

    Raises:
        UpstreamBroken: It was away for longer.
    """
    seen_at = monotonic()
    while True:
        woken.clear()
        try:
            is_over, seen = await look()
            if is_over:
                return seen
            seen_at = monotonic()
        except (UpstreamUnreachable, UpstreamBroken, UpstreamTimeout) as error:
            if monotonic() - seen_at > patience_s:
                raise UpstreamBroken(f"The engine `{name}` went away while it worked.") from error
        with suppress(TimeoutError):
            async with asyncio.timeout(poll_s):
                await woken.wait()
