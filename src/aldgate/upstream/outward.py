"""Requests to addresses that callers named. They lead into no private network, whatever a name resolves to when it is called."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from aldgate.core.addresses import is_public, parsed
from aldgate.core.errors import UpstreamTimeout, UpstreamUnreachable

if TYPE_CHECKING:
    from aiohttp import ClientSession

MOST_READ = 65_536


class Posted(NamedTuple):
    """What came back: a status, and how long its sender wants to be left alone."""

    status: int
    retry_after_s: float | None


class Outward:
    """Posts to URLs. Redirects are not followed, and of an answer only the head counts.

    Args:
        trust: Makes the TLS context.
        timeout_s: Seconds from the first packet to the answer's head.
        allow_private: Private networks and this machine may be named.
    """

    def __init__(self, trust: Callable[[], ssl.SSLContext], timeout_s: float, *, allow_private: bool) -> None:
        self._trust = trust
        self._timeout_s = timeout_s
        self._allow_private = allow_private
        self._session: ClientSession | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        """Post a body.

        Raises:
            UpstreamUnreachable: Nobody is there, or it is a place that callers may not name.
            UpstreamTimeout: No answer in time.
        """
        from aiohttp import ClientError
        from yarl import URL

        target = URL(url, encoded=True)
        if not self._allow_private and target.host and parsed(target.host) is not None and not is_public(target.host):
            raise UpstreamUnreachable("The address is private.")
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._opened().post(target, data=body, headers=dict(headers), allow_redirects=False) as reply,
            ):
                await reply.content.read(MOST_READ)
                return Posted(reply.status, _seconds(reply.headers.get("Retry-After", "")))
        except TimeoutError:
            raise UpstreamTimeout(f"The receiver did not answer within {self._timeout_s:g} seconds.") from None
        except (ClientError, OSError, ValueError) as error:
            raise UpstreamUnreachable(f"The receiver cannot be reached: {type(error).__name__}.") from error

    async def aclose(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> ClientSession:
        if self._session is None:
            from aiohttp import ClientSession, DummyCookieJar, TCPConnector

            resolver = None if self._allow_private else _public_resolver()
            connector = TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True, ssl=self._trust())
            self._session = ClientSession(
                connector=connector, cookie_jar=DummyCookieJar(), trust_env=False, auto_decompress=False
            )
        return self._session


def _public_resolver() -> Any:
    from aiohttp.abc import AbstractResolver, ResolveResult
    from aiohttp.resolver import ThreadedResolver

    class PublicResolver(AbstractResolver):
        """Finds public addresses alone. The connection goes to what was found here, so nothing can change in between."""

        def __init__(self) -> None:
            self._inner = ThreadedResolver()

        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
            found = [each for each in await self._inner.resolve(host, port, family) if is_public(each["host"])]
            if not found:
                raise OSError(None, "the name leads into a private network")
            return found

        async def close(self) -> None:
            await self._inner.close()

    return PublicResolver()


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
