"""AWS credentials that are lent for some hours, and renewed before they end.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html tells who lends them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.core.errors import UpstreamAuth, UpstreamError
from aldgate.providers.bedrock.credentials import NoCredentials
from aldgate.providers.bedrock.signature import Credentials
from aldgate.upstream.pool import Pool

RENEW_S = 300.0
"""They are renewed when they have less than this left: whoever lends them has others by then."""
PATIENCE_S = 10.0
"""So long after a renewal that failed, those that still hold are used without another try."""


class Lent(msgspec.Struct, frozen=True):
    """Credentials, and the Unix second of their end."""

    credentials: Credentials
    until: float


class Lender(Protocol):
    """Whoever lends credentials."""

    @property
    def pools(self) -> Sequence[Pool]:
        """Connections to it."""
        ...

    async def lend(self) -> Lent:
        """Fresh credentials.

        Raises:
            UpstreamError: There are none; nobody can call without.
        """
        ...


class Base(Protocol):
    """Credentials that a role is assumed with."""

    @property
    def pools(self) -> Sequence[Pool]:
        """Connections to whoever lends them."""
        ...

    async def now(self) -> Credentials:
        """Those that hold now.

        Raises:
            UpstreamError: There are none.
        """
        ...


class Standing:
    """Implements `Base` for credentials that stand somewhere.

    Args:
        load: Reads them.
    """

    pools: Sequence[Pool] = ()

    def __init__(self, load: Callable[[], Credentials]) -> None:
        self.load = load

    async def now(self) -> Credentials:
        """See `Base`."""
        try:
            return self.load()
        except (ConfigError, NoCredentials) as error:
            raise refused("Nobody", str(error)) from None


class Borrowed:
    """Implements `Base`: the credentials that are held now. Of many calls that need new ones at once, one asks for all.

    Args:
        lender: Asked for more.
        clock: Unix seconds.
    """

    def __init__(self, lender: Lender, clock: Callable[[], float] = time.time) -> None:
        self.pools = lender.pools
        self._lender = lender
        self._clock = clock
        self._held: Lent | None = None
        self._renew_at = 0.0
        self._asking = asyncio.Lock()

    def current(self) -> Credentials | None:
        """Those that have some time left."""
        return self._held.credentials if self._held is not None and self._clock() < self._renew_at else None

    async def now(self) -> Credentials:
        """See `Base`."""
        return self.current() or await self.renewed()

    async def renewed(self) -> Credentials:
        """Those that hold now.

        Raises:
            UpstreamError: None are lent, and the last have ended.
        """
        async with self._asking:
            if (current := self.current()) is not None:
                return current
            try:
                lent = await self._lender.lend()
            except UpstreamError:
                now = self._clock()
                if self._held is None or now >= self._held.until:
                    raise
                self._renew_at = min(now + PATIENCE_S, self._held.until)
                return self._held.credentials
            # What is lent for less than that is used until its end, and not asked for with every call.
            self._renew_at = max(lent.until - RENEW_S, min(lent.until, self._clock() + PATIENCE_S))
            self._held = lent
            return lent.credentials

    def forget(self) -> None:
        """AWS says that they have ended."""
        self._held = None


def refused(who: str, why: str, status: int | None = None) -> UpstreamAuth:
    """The error for credentials that are not lent."""
    return UpstreamAuth(f"{who} gave the gate no AWS credentials: {why}. Tell its operator.", upstream_status=status)


async def ask(pool: Pool, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of a small exchange with a lender. Headers must be printable ASCII.

    Raises:
        UpstreamError: No answer came.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    length = f"content-length: {len(body)}\r\n" if method != "GET" else ""
    head = f"{method} {path} HTTP/1.1\r\nhost: {pool.origin.host_header}\r\naccept-encoding: identity\r\n{lines}{length}\r\n"
    reply = await pool.request(head.encode("latin-1"), body)
    try:
        return reply.status, await reply.read()
    finally:
        reply.close()


def usable(*parts: str) -> bool:
    """Whether all are there and can stand in a header."""
    return all(part and part.isascii() and part.isprintable() for part in parts)
