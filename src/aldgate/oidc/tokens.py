"""Tokens of the configured issuers as credentials: a warm one costs a digest and a look-up, and nothing is awaited."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from importlib.util import find_spec

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.issuers import IssuerEntry
from aldgate.core.claims import Claims
from aldgate.core.errors import ExpiredKey
from aldgate.oidc.documents import Documents
from aldgate.oidc.issuer import Issuer
from aldgate.oidc.jwt import looks_like_token, read_token
from aldgate.upstream.tls import client_context

CACHE_SIZE = 50_000


class Verified(msgspec.Struct, frozen=True):
    """A token that was found genuine.

    Attributes:
        ends_at: When it is refused, its issuer's clock skew included.
        good_until: When it has to be verified again, since its issuer may have withdrawn the key.
    """

    claims: Claims
    ends_at: float
    good_until: float


class Tokens:
    """The one place where JSON Web Tokens are believed.

    Args:
        issuers: By the names that the configuration gives them.
        now: Unix seconds.
    """

    def __init__(self, issuers: Mapping[str, Issuer], now: Callable[[], float] = time.time) -> None:
        self.issuers = dict(issuers)
        self._bearers = {issuer.entry.issuer: issuer for issuer in issuers.values() if issuer.entry.audience}
        self._now = now
        self._key = secrets.token_bytes(32)
        self._verified: dict[bytes, Verified] = {}

    def known(self, secret: bytes) -> Claims | None:
        """What a token that was verified lately says; None: ask `principal_claims`.

        Raises:
            ExpiredKey: Its time is over.
        """
        verified = self._find(secret)
        return verified and verified.claims

    async def principal_claims(self, secret: bytes) -> Claims | None:
        """What a token says, verified; None if it is no token of a configured issuer.

        Raises:
            GatewayError: As `verify`.
        """
        verified = await self.verify(secret)
        return verified and verified.claims

    async def verify(self, secret: bytes) -> Verified | None:
        """What a token says, and for how long it is believed; None if it is no token of a configured issuer.

        Raises:
            UnknownKey: It is not genuine, not for this gate, or lacks what is required.
            ExpiredKey: Its time is over.
            IssuerUnavailable: Its issuer's keys cannot be fetched. This is never shown as a 401.
        """
        verified = self._find(secret)
        if verified is not None:
            return verified
        token = read_token(secret)
        issuer = self._bearers.get(token.issuer) if token is not None else None
        if token is None or issuer is None:
            return None
        claims = await issuer.bearer(token)
        verified = Verified(claims, claims.expires_at + issuer.entry.clock_skew_s, issuer.keys.good_until)
        self._remember(self._digest(secret), verified)
        return verified

    async def aclose(self) -> None:
        """Ask no issuer any more."""
        for issuer in self.issuers.values():
            await issuer.keys.aclose()

    def _find(self, secret: bytes) -> Verified | None:
        verified = self._verified.get(self._digest(secret)) if looks_like_token(secret) else None
        if verified is None:
            return None
        now = self._now()
        if now >= verified.ends_at:
            raise ExpiredKey("This token has expired.")
        return verified if now < verified.good_until else None

    def _digest(self, secret: bytes) -> bytes:
        return blake2b(secret, key=self._key, digest_size=32).digest()

    def _remember(self, digest: bytes, verified: Verified) -> None:
        self._verified.pop(digest, None)  # the newest go last
        while len(self._verified) >= CACHE_SIZE:
            del self._verified[next(iter(self._verified))]
        self._verified[digest] = verified


def build_tokens(entries: Mapping[str, IssuerEntry], *, ca_bundle: str = "", now: Callable[[], float] = time.time) -> Tokens:
    """The issuers of `[auth.issuers]`.

    Args:
        entries: By name.
        ca_bundle: PEM file of authorities for issuers that name none; empty trusts the system's.
        now: Unix seconds.

    Raises:
        ConfigError: An issuer's certificates cannot be read, or what checks signatures is not installed.
    """
    if entries and find_spec("joserfc") is None:
        raise ConfigError("`auth.issuers`: joserfc is not installed", hint="pip install 'aldgate[oidc]'")
    issuers: dict[str, Issuer] = {}
    trust: dict[str, ssl.SSLContext] = {}
    for name, entry in entries.items():
        try:
            bundle = entry.ca_bundle or ca_bundle
            if bundle not in trust:  # reading the system's takes a while
                trust[bundle] = client_context(verify=True, ca_bundle=bundle, client_cert="")
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(f"[auth.issuers.{name}]: {error}", hint="look at `ca_bundle`") from None
        issuers[name] = Issuer(name, entry, Documents(trust[bundle]), now)
    return Tokens(issuers, now)
