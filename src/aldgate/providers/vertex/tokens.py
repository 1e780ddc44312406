"""How calls to Vertex AI prove who they are: a key, a token somebody else renews, or one granted to a service account.

The grant: https://developers.google.com/identity/protocols/oauth2/service-account#httprest.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlencode

import msgspec

from aldgate.core.errors import UpstreamAuth
from aldgate.upstream.pool import Pool

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIFETIME_S = 3_600
RENEW_S = 300
"""A token is renewed so long before its end."""


class ServiceAccount(msgspec.Struct, frozen=True):
    """What stands in the JSON file of a service account's key."""

    client_email: str
    private_key: str
    token_uri: str = "https://oauth2.googleapis.com/token"
    private_key_id: str = ""
    project_id: str = ""


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: int = LIFETIME_S


_grant = msgspec.json.Decoder(_Grant)


class Credential(Protocol):
    """Writes the header line that proves who calls."""

    def current(self) -> bytes | None:
        """The line, with its end; None if there is none that still holds."""
        ...

    async def renewed(self) -> bytes:
        """A fresh line.

        Raises:
            UpstreamError: None was granted.
        """
        ...

    def forget(self) -> None:
        """The provider refused it."""
        ...


class Fixed:
    """Implements `Credential` with a line that never changes."""

    def __init__(self, line: str) -> None:
        self._line = line.encode("latin-1")

    def current(self) -> bytes:
        """The line."""
        return self._line

    async def renewed(self) -> bytes:
        """The same line."""
        return self._line

    def forget(self) -> None:
        """There is no other."""


class Granted:
    """Implements `Credential` with tokens that Google grants to a service account, about one an hour.

    Args:
        pool: Connections to where tokens are granted.
        path: The path there.
        clock: Unix seconds.
    """

    def __init__(self, account: ServiceAccount, pool: Pool, path: str, clock: Callable[[], float] = time.time) -> None:
        self._account = account
        self._pool = pool
        self._path = path
        self._clock = clock
        self._line = b""
        self._until = 0.0
        self._asking = asyncio.Lock()

    def current(self) -> bytes | None:
        """The token's line while it has some time left."""
        return self._line if self._clock() < self._until - RENEW_S else None

    async def renewed(self) -> bytes:
        """A token's line; of many that ask at once, one asks Google."""
        async with self._asking:
            line = self.current()
            return line if line is not None else await self._ask()

    def forget(self) -> None:
        """Ask for another before the next call."""
        self._until = 0.0

    async def _ask(self) -> bytes:
        now = self._clock()
        assertion = signed(self._account, int(now))
        body = urlencode({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}).encode()
        head = (
            f"POST {self._path} HTTP/1.1\r\nhost: {self._pool.origin.host_header}\r\naccept-encoding: identity\r\n"
            f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        reply = await self._pool.request(head.encode("latin-1"), body)
        try:
            answer = await reply.read()
        finally:
            reply.close()
        try:
            granted = _grant.decode(answer) if reply.status == 200 else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            granted = None
        if granted is None or not (granted.access_token.isascii() and granted.access_token.isprintable()):
            said = "Google granted the gate's service account no token; tell its operator."
            raise UpstreamAuth(said, upstream_status=reply.status)
        self._line = f"authorization: Bearer {granted.access_token}\r\n".encode("latin-1")
        self._until = now + granted.expires_in
        return self._line


def signed(account: ServiceAccount, now: int) -> str:
    """A JSON Web Token of the account's, signed with RS256 (RFC 7523).

    Raises:
        ValueError: Its private key is no RSA key in PEM.
    """
    from cryptography.hazmat.primitives import hashes, serialization  # 30 ms, needed only beside a service account
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key = serialization.load_pem_private_key(account.private_key.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("the private key is no RSA key")
    header = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims = {"iss": account.client_email, "scope": SCOPE, "aud": account.token_uri, "iat": now, "exp": now + LIFETIME_S}
    told = b".".join(_base64(msgspec.json.encode(part)) for part in (header, claims))
    proof = key.sign(told, padding.PKCS1v15(), hashes.SHA256())
    return b".".join((told, _base64(proof))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
