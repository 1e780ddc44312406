"""The listening side of a connection: uvicorn's protocol, with the bounds that a gate facing strangers needs.

Adds to uvicorn 0.54: a bound on the request head and on the time it takes, a least rate for bodies, a cap on connections,
`Host` checked (RFC 9112, 3.2), refusals in the caller's dialect, and a callback when the caller leaves. All times are looked at
by one sweep; no request costs a timer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from aldgate.core.errors import GatewayError, HeadTimeout, HeadTooLarge, InvalidRequest, Shedding
from aldgate.surfaces.faults import render_for_path

log = logging.getLogger("aldgate.listener")

SWEEP_S = 1.0


class Bounds(msgspec.Struct, frozen=True):
    """What one listener tolerates."""

    max_head_bytes: int = 65_536
    head_timeout_s: float = 10.0
    body_min_bytes_per_s: int = 1024
    keep_alive_s: float = 75.0
    max_connections: int = 10_000


class Connection(HttpToolsProtocol):
    """One client connection.

    Attributes:
        bounds: Set once per server, on the class that `bounded` makes.
        on_lost: Called when the client leaves while its request is served.
    """

    bounds = Bounds()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.on_lost: Callable[[], object] | None = None
        self.is_lost = False
        self._is_reading_head = True
        self._is_busy = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._since = self.loop.time()
        self._idle = True

    @property
    def _parser(self) -> Any:
        return self.parser

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        return self.cycle  # uvicorn declares it never None, and begins with None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Part of `asyncio.Protocol`."""
        super().connection_made(cast(asyncio.Transport, transport))
        if len(self.connections) > self.bounds.max_connections:
            self._refuse(Shedding("Too many connections are open.", retry_after_s=1))

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        self.is_lost = True
        on_lost, self.on_lost = self.on_lost, None
        super().connection_lost(exc)
        if on_lost is not None:
            on_lost()

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        if self._is_reading_head:
            if self._idle:
                self._idle = False
                self._since = self.loop.time()
            self._head_bytes += len(data)
        else:
            self._body_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._refuse(InvalidRequest("This gate speaks no such protocol."))
            return
        except httptools.HttpParserError as error:
            refusal = error.__context__
            self._refuse(refusal if isinstance(refusal, GatewayError) else InvalidRequest("The request is not valid HTTP/1.1."))
            return
        if self._is_reading_head and self._head_bytes > self.bounds.max_head_bytes:
            self._refuse(HeadTooLarge(f"The request head is over {self.bounds.max_head_bytes} bytes."))

    def on_message_begin(self) -> None:
        """Parser callback: the same scope as uvicorn's, and this connection in it."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self.scope = cast(
            Any,
            {
                "type": "http",
                "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
                "http_version": "1.1",
                "server": self.server,
                "client": self.client,
                "scheme": self.scheme,
                "root_path": "",
                "headers": self.headers,
                "state": self.app_state,
                "aldgate.connection": self,
            },
        )

    def on_headers_complete(self) -> None:
        """Parser callback: checks what HTTP demands of a head before anybody acts on it."""
        if self._head_bytes > self.bounds.max_head_bytes and self._size_of_head() > self.bounds.max_head_bytes:
            raise HeadTooLarge(f"The request head is over {self.bounds.max_head_bytes} bytes.")
        hosts = lengths = codings = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
                if not value.isascii() or any(character in value for character in b" /?#@\\"):
                    raise InvalidRequest("The `Host` header is not a host.")
            elif name == b"content-length":
                lengths += 1
            elif name == b"transfer-encoding":
                codings += 1
                if value.lower() != b"chunked" or self._parser.get_http_version() != "1.1":
                    raise InvalidRequest("The only transfer encoding taken here is `chunked`, in HTTP/1.1.")
        if hosts != 1 and (hosts or self._parser.get_http_version() == "1.1"):
            raise InvalidRequest("A request needs exactly one `Host` header.")
        if lengths + codings > 1:
            raise InvalidRequest("The request says twice how long its body is.")
        if not self.url.startswith((b"/", b"http://", b"https://")):
            raise InvalidRequest("The request target is not a path.")
        self._is_reading_head = False
        self._is_busy = True
        self._body_bytes = 0
        super().on_headers_complete()

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_message_complete(self) -> None:
        """Parser callback."""
        self._is_reading_head = True
        self._head_bytes = 0
        super().on_message_complete()
        if not self.pipeline:
            self.flow.resume_reading()  # a large body may have paused it, and only who reads notices that the caller leaves

    def on_response_complete(self) -> None:
        """A response was written: go idle, or on to the next pipelined request."""
        self.server_state.total_requests += 1
        self._is_busy = False
        self._idle = True
        self._since = self.loop.time()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._is_busy = True
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Uvicorn's own refusals, in the caller's dialect."""
        self._refuse(InvalidRequest(msg))

    def _refuse(self, error: GatewayError) -> None:
        """Answer without a request, if none is being answered, and close."""
        if self.transport.is_closing():
            return
        if self._cycle is None or self._cycle.response_complete or not self._cycle.response_started:
            status, headers, body = render_for_path(self.url.decode("latin-1") if hasattr(self, "url") else "", error)
            lines = [name + b": " + value + b"\r\n" for name, value in headers]
            self.transport.write(b"".join((STATUS_LINE[status], *lines, b"connection: close\r\n\r\n", body)))
        self.transport.close()

    def look(self, now: float) -> None:
        """The sweep's visit: close what is too slow or has been idle for too long."""
        waited = now - self._since
        bounds = self.bounds
        if self._is_busy:
            is_receiving = not self._is_reading_head and not self.flow.read_paused
            if is_receiving and waited > bounds.head_timeout_s and self._body_bytes < waited * bounds.body_min_bytes_per_s:
                self._refuse(HeadTimeout("The request body comes too slowly."))
        elif self._idle:
            if waited > bounds.keep_alive_s:
                self.transport.close()
        elif waited > bounds.head_timeout_s:
            self._refuse(HeadTimeout("The request head did not arrive in time."))


def bounded(bounds: Bounds) -> type[Connection]:
    """The protocol class for listeners with these bounds (uvicorn makes the instances itself)."""
    return type("BoundedConnection", (Connection,), {"bounds": bounds})


async def sweep(state: ServerState) -> None:
    """Look at every connection once a second, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_S)
        now = loop.time()
        for connection in cast(list[object], list(state.connections)):
            if isinstance(connection, Connection):
                connection.look(now)
