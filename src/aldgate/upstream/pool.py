"""A pool of HTTP/1.1 connections to one origin, and the sweep that keeps its deadlines."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from aldgate.core.errors import Shedding, UpstreamTimeout, UpstreamUnreachable
from aldgate.upstream.connection import Connection
from aldgate.upstream.reply import Reply

SWEEP_S = 0.25
KEEP_IDLE = 100
KEEP_APART = 4
"""Idle connections kept for one caller's own credential."""


class Timeouts(NamedTuple):
    """How long each phase may take, in seconds."""

    connect_s: float = 5.0
    first_byte_s: float = 300.0
    idle_s: float = 120.0
    total_s: float = 1800.0


class Origin(NamedTuple):
    """Where a pool connects to."""

    host: str
    port: int
    is_tls: bool

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of an http or https URL.

        Raises:
            ValueError: Another scheme, no host or one that no resolver takes, port 0, credentials, a query or a fragment, or
                characters that stand in no URL.
        """
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("a base URL has only printable ASCII characters (a host in others is written `xn--...`)")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError(f"`{url}` is not an http or https URL")
        if parts.username is not None or "?" in url or "#" in url:
            raise ValueError("a base URL holds no credentials, query or fragment")
        parts.hostname.encode("idna")  # resolvers do this, and raise what nobody expects of them
        is_tls = parts.scheme == "https"
        return cls(parts.hostname, parts.port or (443 if is_tls else 80), is_tls)

    @property
    def host_header(self) -> str:
        """The `Host` value; a default port is left out (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


class Pool:
    """Connections to `origin`, newest idle one first, so that surplus ones age out on the upstream's side.

    Args:
        origin: Where to connect.
        timeouts: See `Timeouts`.
        max_connections: More at once are refused with `Shedding`, at once: what waits has a bound, and here it is 0.
        max_body_bytes: Largest whole reply.
        tls: Context for https origins.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        timeouts: Timeouts = Timeouts(),
        max_connections: int = 1000,
        max_body_bytes: int = 67_108_864,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.origin = origin
        self.timeouts = timeouts
        self.max_connections = max_connections
        self._most_idle = max(KEEP_IDLE, max_connections // 10)
        self._max_body_bytes = max_body_bytes
        self._tls = tls
        self._idle: list[Connection] = []
        self._apart: dict[str, list[Connection]] = {}
        """Idle connections that carried a caller's own credential, by its id; the least recent credential first."""
        self._open: set[Connection] = set()
        self._connecting = 0
        self._is_closed = False

    async def request(self, head: bytes, body: bytes, realm: str | None = None) -> Reply:
        """Send one request and return its reply once the head has come.

        A reused connection that turns out to be dead is replaced only while nothing was sent on it.

        Args:
            head: Request line and headers, with the empty line that ends them.
            body: As long as the head says.
            realm: Id of the caller's own credential in the head: its connections are shared with no other.

        Raises:
            UpstreamUnreachable: No connection could be made; nothing was sent.
            UpstreamError: The reply's head did not come, or is no HTTP.
            Shedding: All connections are in use.
        """
        connection = (self._reuse(self._idle) if realm is None else self._reuse_apart(realm)) or await self._connect()
        connection.realm = realm
        loop = asyncio.get_running_loop()
        now = loop.time()
        reply = Reply(
            loop,
            max_body_bytes=self._max_body_bytes,
            idle_timeout_s=self.timeouts.idle_s,
            deadline=now + self.timeouts.first_byte_s,
            total_deadline=now + self.timeouts.total_s,
        )
        connection.send(head, body, reply)
        try:
            while not reply.status:
                await reply.change()  # not `wait`: that would be one more coroutine for every call
                reply.check()
        except BaseException:
            reply.close()
            raise
        return reply

    def _reuse_apart(self, realm: str) -> Connection | None:
        idle = self._apart.pop(realm, [])
        connection = self._reuse(idle)
        if idle:
            self._apart[realm] = idle
        return connection

    def _reuse(self, idle: list[Connection]) -> Connection | None:
        while idle:
            connection = idle.pop()
            if connection.is_usable():
                return connection
            connection.drop()
        return None

    async def _connect(self) -> Connection:
        if len(self._open) + self._connecting >= self.max_connections and not self._spare():
            raise Shedding("All connections to the provider are in use.", retry_after_s=1)
        loop = asyncio.get_running_loop()
        origin = self.origin
        self._connecting += 1
        try:
            async with asyncio.timeout(self.timeouts.connect_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, self._became_idle, self._was_lost),
                    origin.host,
                    origin.port,
                    ssl=self._tls if origin.is_tls else None,
                )
        except TimeoutError:
            late = UpstreamTimeout(f"The provider took no connection within {self.timeouts.connect_s:g} s.")
            late.was_sent = False
            raise late from None
        except (OSError, ssl.SSLError) as error:
            raise UpstreamUnreachable("No connection to the provider could be made.") from error
        finally:
            self._connecting -= 1
        if not connection.is_usable():
            connection.drop()
            raise UpstreamUnreachable("The provider closed the connection, or spoke on it, before it was asked anything.")
        self._open.add(connection)
        return connection

    def _spare(self) -> bool:
        """Close an idle connection of the credential that was used the longest ago, to make room for another."""
        realm = next(iter(self._apart), None)
        if realm is None:
            return False
        connection = self._apart[realm][0]
        self._was_lost(connection)
        connection.drop()
        return True

    def _became_idle(self, connection: Connection) -> None:
        if connection.realm is not None:
            kept = self._apart.get(connection.realm, [])
            if self._is_closed or len(kept) >= KEEP_APART:
                return connection.drop()
            self._apart[connection.realm] = [*kept, connection]
        elif not self._is_closed and len(self._idle) < self._most_idle:
            self._idle.append(connection)
        else:
            connection.drop()

    def _was_lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection.realm is not None:
            left = [each for each in self._apart.pop(connection.realm, []) if each is not connection]
            if left:
                self._apart[connection.realm] = left
        elif connection in self._idle:
            self._idle.remove(connection)

    @property
    def busy(self) -> int:
        """Connections that carry a request now."""
        return len(self._open) - len(self._idle) - sum(map(len, self._apart.values()))

    def sweep(self, now: float) -> None:
        """Abort every reply whose deadline has passed."""
        for connection in list(self._open):
            reply = connection.reply
            if reply is not None and now > reply.deadline:
                what = "did not answer" if not reply.status else "went silent"
                reply.abort(UpstreamTimeout(f"The provider {what} for too long."))

    async def aclose(self) -> None:
        """Close idle connections now, and each other one when its reply has ended. Calls that still hold the pool may go on."""
        self._is_closed = True
        for connection in list(self._open):
            if connection.reply is None:
                connection.drop()


class Sweeper:
    """Looks at all deadlines every `SWEEP_S`: one timer for the process, none per call.

    Attributes:
        pools: Each as long as anything uses it: a provider that was taken out may have calls under way.
    """

    def __init__(self) -> None:
        self.pools: weakref.WeakSet[Pool] = weakref.WeakSet()

    def look(self, pools: Iterable[Pool], now: float) -> None:
        """Abort what is overdue at loop time `now`."""
        for pool in pools:
            pool.sweep(now)

    async def run(self) -> None:
        """Sweep until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            self.look(tuple(self.pools), loop.time())
