"""A handler that is loaded by its first request: heavy, and never on the way of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aldgate.surfaces.http.asgi import Handler, Receive, Scope, Send


class Later:
    """Stands in for a handler until somebody needs it.

    Args:
        load: Imports and builds the handler; runs in a thread, so that calls under way go on.
    """

    def __init__(self, load: Callable[[], Handler]) -> None:
        self._load = load
        self._loading = asyncio.Lock()
        self._handler: Handler | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if self._handler is None:
            async with self._loading:
                self._handler = self._handler or await asyncio.to_thread(self._load)
        await self._handler(scope, receive, send)
