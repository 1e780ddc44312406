"""Serves an ASGI application on several addresses at once, in one process, and stops without cutting anybody off."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any, NamedTuple, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from aldgate.core.addresses import Network
from aldgate.surfaces.http.asgi import Handler
from aldgate.surfaces.server.listener import Bounds, Connection, bounded, sweep
from aldgate.upstream.tls import refuse_pass_phrase

log = logging.getLogger("aldgate.server")

BACKLOG = 2048


class Address(NamedTuple):
    """Where to listen, and what answers there."""

    host: str
    port: int
    app: Handler
    tls_cert: str = ""
    tls_key: str = ""
    listening: socket.socket | None = None
    """Bound already, by the parent of this process; None: to be bound."""


class CannotListen(Exception):
    """An address could not be bound, or its certificate not be read.

    Args:
        message: Which, and why.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Server:
    """All listeners of the process.

    Args:
        addresses: Where to listen.
        bounds: What every listener tolerates.
        trusted_proxies: Whose word on a caller's address is believed; for whoever asks, in every scope's `state`.
        parent: Can be read once the process is gone that this one belongs to, whose signals then come no more.
    """

    def __init__(
        self, addresses: list[Address], bounds: Bounds, trusted_proxies: Sequence[Network] = (), parent: int | None = None
    ) -> None:
        self._addresses = addresses
        self._trusted_proxies = tuple(trusted_proxies)
        self._parent = parent
        self._protocol = bounded(bounds)
        self._servers: list[asyncio.Server] = []
        self.state = ServerState()
        self.urls: list[str] = []
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Ask `until_stopped` to return."""
        self._stop.set()

    async def open(self) -> None:
        """Bind every address and begin to answer. From here on SIGINT and SIGTERM stop the server in good order.

        Raises:
            CannotListen: Names the address and the reason.
        """
        self._tick()
        loop = asyncio.get_running_loop()
        if self._parent is not None:
            loop.add_reader(self._parent, self._orphaned, loop, self._parent)
        for number in (signal.SIGINT, signal.SIGTERM) if self._parent is None else (signal.SIGTERM,):
            with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in its loop
                loop.add_signal_handler(number, self._stop.set)
        for address in self._addresses:
            context = tls_context(address.tls_cert, address.tls_key)
            config = Config(
                cast(Any, address.app),
                http=self._protocol,
                ws="none",  # the protocol loads it when somebody asks for it
                ws_max_size=self._protocol.bounds.max_message_bytes,
                ws_per_message_deflate=False,
                lifespan="off",
                interface="asgi3",
                log_config=None,
                server_header=False,
                proxy_headers=False,  # else whoever connects from this machine may claim any address
                access_log=False,
            )
            config.load()
            listening = address.listening or bind(address.host, address.port)
            server = await loop.create_server(self._factory(config), sock=listening, ssl=context, backlog=BACKLOG)
            self._servers.append(server)
            host, port = listening.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            self.urls.append(f"{'https' if context else 'http'}://{shown}:{port}")

    def _orphaned(self, loop: asyncio.AbstractEventLoop, parent: int) -> None:
        loop.remove_reader(parent)
        self._stop.set()

    def _factory(self, config: Config) -> Callable[[], Connection]:
        return lambda: self._protocol(config, self.state, {"trusted_proxies": self._trusted_proxies})

    def _tick(self) -> None:
        self.state.default_headers = [(b"date", b"date: %b\r\n" % formatdate(time.time(), usegmt=True).encode())]

    async def until_stopped(self) -> None:
        """Serve until SIGINT, SIGTERM or `stop`."""
        loop = asyncio.get_running_loop()
        sweeping = loop.create_task(sweep(self.state))
        try:
            while not self._stop.is_set():
                self._tick()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._stop.wait()
        finally:
            sweeping.cancel()

    async def drain(self, patience_s: float) -> None:
        """Take no new connections, let what is under way end within `patience_s` or until a second signal, then cut the rest."""
        for server in self._servers:
            server.close()
        for connection in list(self.state.connections):
            connection.shutdown()
        self._stop.clear()
        loop = asyncio.get_running_loop()
        waiting = {loop.create_task(self._all_ended()), loop.create_task(self._stop.wait())}
        await asyncio.wait(waiting, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        if self.state.tasks:
            log.warning("calls cut at the end of the drain", extra={"count": len(self.state.tasks)})
            for task in self.state.tasks:
                task.cancel()
            await asyncio.wait(self.state.tasks, timeout=5)
        for connection in list(self.state.connections):
            connection.transport.close()

    async def _all_ended(self) -> None:
        while self.state.tasks:
            await asyncio.wait(self.state.tasks)


def bind(host: str, port: int) -> socket.socket:
    """A socket to listen on.

    Raises:
        CannotListen: Names the address and the reason.
    """
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # asyncio turns off Nagle's delay only where it reads TCP here; without it an answer waits 40 ms for its second packet.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
    except OSError as error:
        reason = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise CannotListen(reason, hint="another process may use the port; try --port") from error
    return listening


def tls_context(cert: str, key: str) -> ssl.SSLContext | None:
    """What an address with this certificate and key speaks TLS with; None without a certificate.

    Raises:
        CannotListen: The two cannot be used.
    """
    if not cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key or None, password=refuse_pass_phrase)
    except OSError as error:
        reason = f"cannot use the certificate `{cert}`: {error.strerror or error}"
        raise CannotListen(
            reason, hint="look at `tls_cert` and `tls_key`: a PEM chain, and the key that belongs to it"
        ) from error
    return context
