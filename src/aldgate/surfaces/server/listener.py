"""The listening side of a connection: uvicorn's protocol, with the bounds that a gate facing strangers needs.

Adds to uvicorn 0.54: a bound on the request head and on the time it takes, a least rate for bodies, a cap on connections,
`Host` checked (RFC 9112, 3.2), refusals in the caller's dialect, and a callback when the caller leaves. All times are looked at
by one sweep; no request costs a timer.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from functools import lru_cache
from typing import Any, cast
from urllib.parse import unquote

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from aldgate.core.errors import (
    GatewayError,
    HeadTimeout,
    HeadTooLarge,
    InvalidRequest,
    Shedding,
    SocketVersionNotSupported,
    VersionNotSupported,
)
from aldgate.registry import Registry
from aldgate.surfaces.http.asgi import Handler
from aldgate.surfaces.http.faults import render_for_path
from aldgate.surfaces.server.cycle import Cycle
from aldgate.surfaces.server.handshake import check_handshake

log = logging.getLogger("aldgate.listener")

SOCKETS: Registry[type[asyncio.Protocol]] = Registry("protocol", {"websocket": "aldgate.surfaces.server.websocket:Socket"})
SWEEP_S = 1.0
FRAMING_PER_BYTE = 8
"""A chunk of one byte is six on the wire."""
LINGER_S = 1.0
"""How long a client that is still sending may take to read why it was refused."""
_ASGI = {"version": "3.0", "spec_version": "2.3"}
_SINGLE = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"content-type",
        b"content-encoding",
        b"authorization",
        b"x-api-key",
        b"x-admin-secret",
        b"client_id",
        b"client-id",
        b"client_secret",
        b"client-secret",
        b"cookie",
        b"idempotency-key",
    }
)
"""Headers of which two could be read as one thing by us and as another by somebody else."""
_USUAL_BYTES = 100
"""Paths that are no longer come again and again, and are remembered; queries are not, for there may be a credential in them."""
_NOT_IN_HOST = re.compile(rb"[^\x21-\x7e]|[/?#@\\]")


class Bounds(msgspec.Struct, frozen=True):
    """What one listener tolerates."""

    max_head_bytes: int = 65_536
    head_timeout_s: float = 10.0
    body_min_bytes_per_s: int = 1024
    keep_alive_s: float = 75.0
    max_connections: int = 10_000
    max_message_bytes: int = 16_777_216
    """Of a WebSocket."""


class Connection(HttpToolsProtocol):
    """One client connection.

    Attributes:
        bounds: Set once per server, on the class that `bounded` makes.
        cancels_on_loss: The request being served wants its task cancelled when the client leaves.
        task: Serves the current request.
        is_lost: The client has left.
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
        self.cancels_on_loss = False
        self.is_lost = False
        self.task: asyncio.Task[None] | None = None
        self.url = b""
        self._host = b""
        """The last that was found to be one; most clients stay with it."""
        self._http: Any = self.parser
        self._handler: Handler = cast(Any, config).loaded_app
        self._scope: dict[str, Any] = {}
        """What the scopes of all requests on this connection have in common."""
        self._waiting: deque[Cycle] = deque()
        self._current: Cycle | None = None
        """The request being answered."""
        self._latest: Cycle | None = None
        """The request being read; another one than `_current` when the client pipelines."""
        self._is_reading_head = True
        self._is_idle = True
        self._is_deaf = False
        self._is_half_closed = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._framing_bytes = 0
        """What came with the body beside it, less what honest chunks need."""
        self._since = self.loop.time()

    @property
    def outlet(self) -> Cycle:
        """Where the answer to the current request goes."""
        assert self._current is not None, "nothing is being answered"
        return self._current

    @property
    def date_header(self) -> bytes:
        """The `Date` line of this second."""
        return self.server_state.default_headers[0][1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Part of `asyncio.Protocol`."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._scope = {
            "type": "http",
            "asgi": _ASGI,
            "scheme": self.scheme,
            "root_path": "",
            "server": self.server,
            "client": self.client,
            "state": self.app_state,
            "aldgate.connection": self,
        }
        if len(self.connections) > self.bounds.max_connections:
            self._refuse(Shedding("Too many connections are open.", retry_after_s=1))

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        self.is_lost = True
        self._http = None  # it refers back to us, and so do the others
        self.parser = cast(Any, None)
        self._scope = {}
        self._latest = None
        self.connections.discard(self)
        self._lose_cycles()
        self.flow.resume_writing()
        if self.cancels_on_loss and self.task is not None:
            self.task.cancel()

    def eof_received(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride] - as asyncio has it
        """Part of `asyncio.Protocol`: the client sends no more; True keeps the connection for the answers it may wait for.

        Whether it still reads or has gone nobody can know, for both are the same packet. An answer that costs nothing is written
        to whoever is there; a call that is cut when its caller leaves is cut (see `cut_on_loss`), or it would be paid for nobody.
        """
        latest = self._latest
        is_owed = self._current is not None and latest is not None and not latest.more_body
        if latest is None or not is_owed or self.cancels_on_loss or self._is_deaf or self.scheme == "https":
            return False
        self._is_half_closed = True
        latest.keep_alive = False
        return True

    def cut_on_loss(self) -> None:
        """From here on the request being served is cancelled when the client leaves, or if it has said that it sends no more."""
        self.cancels_on_loss = True
        if self._is_half_closed:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        if self._is_deaf:
            return
        if self._is_reading_head:
            if self._is_idle:
                self._is_idle = False
                self._since = self.loop.time()
            self._head_bytes += len(data)
        else:
            self._body_bytes += len(data)
            self._framing_bytes += len(data)
        try:
            self._http.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._ignore_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            refusal = error.__context__
            self._refuse(refusal if isinstance(refusal, GatewayError) else InvalidRequest("The request is not valid HTTP/1.1."))
            return
        if not self._is_reading_head and self._framing_bytes > self.bounds.max_head_bytes:
            self._refuse(HeadTooLarge("The body is mostly chunk extensions or trailers."))
        if self._is_reading_head and self._head_bytes > self.bounds.max_head_bytes:
            self._refuse(HeadTooLarge(f"The request head is over {self.bounds.max_head_bytes} bytes."))

    def _should_upgrade_to_ws(self) -> bool:
        return True

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to a WebSocket, which is loaded only now."""
        self.ws_protocol_class = SOCKETS.load("websocket")
        super().handle_websocket_upgrade()
        self._http = None  # it refers back to us

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Answer in HTTP/1.1 whoever offers another protocol (RFC 9110, 7.8), as curl does with h2c."""
        index: dict[bytes, bytes] = self._latest.scope["aldgate.headers"] if self._latest is not None else {}
        if b"content-length" in index or b"transfer-encoding" in index:
            self._refuse(InvalidRequest("A request with a body cannot ask for another protocol here."))
            return
        self._http = self.parser = httptools.HttpRequestParser(self)  # the old one takes the rest for the other protocol
        if rest:
            self.data_received(rest)

    def on_message_begin(self) -> None:
        """Parser callback."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Parser callback: checks what HTTP demands of a head before anybody acts on it, then calls the application."""
        if self._head_bytes > self.bounds.max_head_bytes and self._size_of_head() > self.bounds.max_head_bytes:
            raise HeadTooLarge(f"The request head is over {self.bounds.max_head_bytes} bytes.")
        http = self._http
        version = http.get_http_version()
        index = self._check_head(version)
        self._is_reading_head = False
        self._body_bytes = self._framing_bytes = 0
        url = self.url
        scope = self._scope.copy()
        scope["http_version"] = version
        scope["method"] = http.get_method().decode("ascii")
        split = _usual if len(url) <= _USUAL_BYTES and b"?" not in url else _target
        scope["path"], scope["raw_path"], scope["query_string"] = split(url)
        scope["headers"] = self.headers
        scope["aldgate.headers"] = index
        if http.should_upgrade() and self._should_upgrade():
            check_handshake(http.get_method(), version, self.headers, index)
            self.scope = cast(Any, scope)
            return
        keep_alive = version != "1.0" and http.should_keep_alive()
        cycle = Cycle(self, scope, expects_continue=self.expect_100_continue, keep_alive=keep_alive)
        self._latest = cycle
        if self._current is None:
            self._start(cycle)
        else:
            self.flow.pause_reading()
            self._waiting.append(cycle)

    def _check_head(self, version: str) -> dict[bytes, bytes]:
        """The headers by name, once they are known to be unambiguous."""
        if version != "1.1" and version != "1.0":  # the parser also lets 0.9 and 2.0 pass
            raise VersionNotSupported("A request is HTTP/1.1 or HTTP/1.0 here.")
        index = dict(self.headers)
        if len(index) != len(self.headers):
            self._check_repeated()
        host = index.get(b"host")
        if host is None and version == "1.1":
            raise InvalidRequest("A request needs a `Host` header.")
        if host is not None and host != self._host:
            if _NOT_IN_HOST.search(host):
                raise InvalidRequest("The `Host` header is not a host.")
            self._host = host
        coding = index.get(b"transfer-encoding")
        if coding is not None:
            if b"content-length" in index:
                raise InvalidRequest("The request says twice how long its body is.")
            if coding.lower() != b"chunked" or version != "1.1":
                raise InvalidRequest("The only transfer encoding taken here is `chunked`, in HTTP/1.1.")
        return index

    def _check_repeated(self) -> None:
        seen: set[bytes] = set()
        for name, _ in self.headers:
            if name in seen and name in _SINGLE:
                raise InvalidRequest(f"The header `{name.decode('latin-1')}` stands twice.")
            seen.add(name)

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _start(self, cycle: Cycle) -> None:
        self._current = cycle
        self.task = cycle.task = task = self.loop.create_task(cycle.run(self._handler))
        self.tasks.add(task)

    def on_body(self, body: bytes) -> None:
        """Parser callback."""
        self._framing_bytes -= FRAMING_PER_BYTE * len(body)
        cycle = self._latest
        if cycle is not None and not cycle.is_complete:
            cycle.feed(body)
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """Parser callback."""
        self._is_reading_head = True
        self._head_bytes = 0
        if self._latest is not None:
            self._latest.more_body = False
            self._latest.wake()
        if self.flow.read_paused and not self._waiting:
            self.flow.resume_reading()  # a large body may have paused it, and only who reads notices that the caller leaves

    def answered(self, cycle: Cycle) -> None:
        """A response was written: on to the next pipelined request, or go idle."""
        self.server_state.total_requests += 1
        self._current = None
        self.cancels_on_loss = False
        if cycle.more_body:  # a body nobody read would be taken for the next request
            self._hang_up()
        elif not cycle.keep_alive:
            self.transport.close()
        if self._is_deaf or self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self._waiting:
            self._start(self._waiting.popleft())
        else:
            self._is_idle = not self._head_bytes
            self._since = self.loop.time()

    def ended(self, cycle: Cycle) -> None:
        """Nothing serves this request any more."""
        if cycle.task is not None:
            self.tasks.discard(cycle.task)

    def shutdown(self) -> None:
        """Close when what is under way is answered."""
        if self._current is None:
            self.transport.close()
        else:
            self._current.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """Uvicorn's own refusals, in the caller's dialect."""
        self._refuse(InvalidRequest(msg))

    def _refuse(self, error: GatewayError) -> None:
        """Answer without a request, if none is being answered, and close."""
        if self._is_deaf or self.transport.is_closing():
            return
        if self._current is None or not self._current.is_started:
            status, headers, body = render_for_path(self.url.decode("latin-1"), error)
            lines = [name + b": " + value + b"\r\n" for name, value in headers]
            if isinstance(error, SocketVersionNotSupported):
                lines.append(b"sec-websocket-version: 13\r\n")  # RFC 6455, 4.2.2
            self.transport.write(b"".join((STATUS_LINE[status], *lines, b"connection: close\r\n\r\n", body)))
            self._give_up()
            self._hang_up()
        else:
            self.transport.close()

    def _give_up(self) -> None:
        """Whoever serves this connection has nobody to answer any more."""
        self._lose_cycles()
        is_received = self._latest is not None and not self._latest.more_body
        if self.cancels_on_loss and self.task is not None and is_received:
            self.task.cancel()  # who still reads the body learns it there

    def _lose_cycles(self) -> None:
        for cycle in (self._current, *self._waiting):
            if cycle is not None:
                cycle.is_lost = True
                cycle.wake()
        self._waiting.clear()

    def _hang_up(self) -> None:
        """Say no more, and close when the client has read it: to close while it sends is a reset, which undoes the answer.

        RFC 9112, 9.6.
        """
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._is_deaf = True
        self._since = self.loop.time()
        self.flow.resume_reading()

    def look(self, now: float) -> None:
        """The sweep's visit: close what is too slow or has been idle for too long."""
        waited = now - self._since
        bounds = self.bounds
        if self._is_deaf:
            if waited > LINGER_S:
                self.transport.close()
        elif not self._is_reading_head:
            is_slow = self._body_bytes < waited * bounds.body_min_bytes_per_s
            if waited > bounds.head_timeout_s and is_slow and not self.flow.read_paused:
                self._refuse(HeadTimeout("The request body comes too slowly."))
        elif self._current is not None:
            return
        elif self._is_idle:
            if waited > bounds.keep_alive_s:
                self.transport.close()
        elif waited > bounds.head_timeout_s:
            self._refuse(HeadTimeout("The request head did not arrive in time."))


def _target(url: bytes) -> tuple[str, bytes, bytes]:
    """The path of a request target, decoded and as it came, and its query.

    Raises:
        InvalidRequest: It is no path.
    """
    if url.startswith(b"/"):
        target = url.partition(b"#")[0]
    elif url.startswith((b"http://", b"https://")):  # a proxy's form; RFC 9112, 3.2.2
        target = b"/" + url.split(b"/", 3)[3] if url.count(b"/") > 2 else b"/"
    else:
        raise InvalidRequest("The request target is not a path.")
    path, _, query = target.partition(b"?")
    decoded = path.decode("latin-1")
    return unquote(decoded) if "%" in decoded else decoded, path, query


_usual = lru_cache(maxsize=256)(_target)


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
