"""Access tokens of Microsoft Entra for an application, by its secret.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from urllib.parse import quote, urlencode

import msgspec

from aldgate.core.errors import UpstreamAuth, UpstreamError, UpstreamInvalid
from aldgate.upstream.pool import Pool

RENEW_S = 300.0
"""A token is renewed when it has less than this left, as Azure's own libraries do."""


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: int


class _Refused(msgspec.Struct):
    error: str = ""


class Tokens:
    """The application's token, renewed before it expires. Whoever needs a new one first fetches it for all.

    Args:
        pool: Connections to the authority.
        base_path: Path of the authority, without a slash at the end.
        tenant: Its directory.
        client_id: The application.
        secret: The application's.
        scope: What the token is for.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        pool: Pool,
        base_path: str,
        *,
        tenant: str,
        client_id: str,
        secret: str,
        scope: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pool = pool
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret, "scope": scope}
        self._body = urlencode(form).encode()
        self._head = (
            f"POST {base_path}/{quote(tenant, safe='')}/oauth2/v2.0/token HTTP/1.1\r\nhost: {pool.origin.host_header}\r\n"
            "accept: application/json\r\naccept-encoding: identity\r\ncontent-type: application/x-www-form-urlencoded\r\n"
            f"content-length: {len(self._body)}\r\n\r\n"
        ).encode("latin-1")
        self._clock = clock
        self._token = ""
        self._expires_at = 0.0
        self._fetching = asyncio.Lock()

    def ready(self) -> str | None:
        """The token, if it has long enough to live."""
        return self._token if self._clock() < self._expires_at - RENEW_S else None

    def refused(self, token: str) -> None:
        """Azure did not take `token`: the next call fetches another."""
        if token == self._token:
            self._expires_at = 0.0

    async def token(self) -> str:
        """A token that is valid now.

        Raises:
            UpstreamError: The authority did not give one, and the last has expired.
        """
        async with self._fetching:
            ready = self.ready()
            if ready is not None:
                return ready
            try:
                granted = await self._fetch()
            except UpstreamError:
                if self._clock() < self._expires_at:
                    return self._token
                raise
            self._token, self._expires_at = granted.access_token, self._clock() + granted.expires_in
            return self._token

    async def _fetch(self) -> _Granted:
        reply = await self.pool.request(self._head, self._body)
        try:
            body = await reply.read()
        finally:
            reply.close()
        try:
            if reply.status == 200:
                granted = msgspec.json.decode(body, type=_Granted)
                if granted.access_token.isascii() and granted.access_token.isprintable():
                    return granted
            elif 400 <= reply.status < 500:
                code = msgspec.json.decode(body, type=_Refused).error
                raise UpstreamAuth(
                    "Microsoft Entra refused the gate's credential; tell its operator.",
                    upstream_status=reply.status,
                    upstream_code=code,
                )
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # whatever it is, it is no token
        raise UpstreamInvalid(f"Microsoft Entra gave no token (status {reply.status}).", upstream_status=reply.status)
