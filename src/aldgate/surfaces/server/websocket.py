"""A WebSocket connection: uvicorn's, with what the sweep and a graceful stop need. Loaded by the first upgrade."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from aldgate.surfaces.http.asgi import Handler, Scope

log = logging.getLogger("aldgate.websocket")
log.setLevel(logging.WARNING)

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

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.default_headers = []  # the server keeps its `Date` as a whole line
        self.logger = log  # uvicorn's own would write down paths with what stands behind the question mark

    def look(self, now: float) -> None:
        """The sweep's visit: nothing to do, since unanswered pings close a dead connection."""

    def keepalive_timeout(self) -> None:
        """The other side does not answer: say so and close. What it does not take either is not waited for."""
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    async def run_asgi(self) -> None:
        """Call the application and close after it."""
        scope = cast(Scope, self.scope)
        scope["aldgate.socket"] = self
        try:
            await cast(Handler, cast(Any, self).app)(scope, cast(Any, self.receive), cast(Any, self.send))
        except ClientDisconnected:
            log.debug("the caller of a socket left")
        except Exception:  # a border: one socket's fault must not reach another's
            log.exception("a socket failed", extra={"path": scope["path"]})
            self.send_500_response()
        finally:
            if self.close_timer is None:
                self.transport.close()

    def shutdown(self) -> None:
        """Close when what is under way is answered."""
        self.is_stopping = True
        if not self.is_busy:
            super().shutdown()
