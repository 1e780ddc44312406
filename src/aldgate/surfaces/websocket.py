"""A WebSocket connection: uvicorn's, with what the sweep and a graceful stop need. Loaded by the first upgrade."""

from __future__ import annotations

from typing import cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from aldgate.surfaces.asgi import Scope

POLICY_VIOLATION, RESTARTING = 1008, 1012
"""Close codes (https://www.iana.org/assignments/websocket)."""


class Socket(WebSocketsSansIOProtocol):
    """One WebSocket.

    Attributes:
        is_busy: A call is under way: a stop waits for its end.
        is_stopping: No further call is to begin.
    """

    is_busy = False
    is_stopping = False

    def look(self, now: float) -> None:
        """The sweep's visit: nothing to do, since unanswered pings close a dead connection."""

    async def run_asgi(self) -> None:
        """Call the application."""
        cast(Scope, self.scope)["aldgate.socket"] = self
        await super().run_asgi()

    def shutdown(self) -> None:
        """Close when what is under way is answered."""
        self.is_stopping = True
        if not self.is_busy:
            super().shutdown()
