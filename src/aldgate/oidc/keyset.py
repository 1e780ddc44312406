"""The keys of one issuer as they are now: fetched when needed, kept for a while, never asked for too often."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from aldgate.config.issuers import Algorithm
from aldgate.core.errors import GatewayError, IssuerUnavailable, UpstreamInvalid
from aldgate.oidc.documents import Documents
from aldgate.oidc.keys import PublicKey, public_keys

log = logging.getLogger("aldgate.oidc")

KEPT_S = 3_600
"""How long keys are fresh if the issuer does not say."""
LEAST_KEPT_S, MOST_KEPT_S = 300, 86_400
"""And whatever it says. A key that an issuer withdraws is trusted for so long."""
STALE_S = 86_400
"""Keys serve on for so long while the issuer cannot be asked."""
PAUSE_S = 10
"""Least time between two questions, however many tokens name keys that nobody has heard of."""
WELL_KNOWN = "/.well-known/openid-configuration"


class Discovery(msgspec.Struct, frozen=True):
    """What an issuer says of itself: https://openid.net/specs/openid-connect-discovery-1_0.html, 3."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class KeySet:
    """The keys, and the discovery document that led to them.

    Args:
        issuer: Its URL.
        jwks_url: Where the keys are; empty asks for its discovery document first.
        now: Unix seconds.
    """

    def __init__(self, issuer: str, jwks_url: str, documents: Documents, now: Callable[[], float]) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._documents = documents
        self._now = now
        self._keys: tuple[PublicKey, ...] = ()
        self._discovery: Discovery | None = None
        self._fresh_until = self._usable_until = self._quiet_until = 0.0
        self._fetching: asyncio.Task[None] | None = None

    async def fitting(self, kid: str | None, algorithm: Algorithm) -> list[PublicKey]:
        """The keys that may have signed with `algorithm` under the name `kid`; none if there is no such key.

        Keys that are past their time serve while new ones are being fetched. Without any, and for an unknown name, the fetch is
        waited for; many callers wait for the same one.

        Raises:
            IssuerUnavailable: There are no keys to look among.
        """
        now = self._now()
        if now >= self._usable_until:
            await self._fetched(now)
        elif now >= self._fresh_until:
            self._fetch_if_due(now)
        found = self._find(kid, algorithm)
        if not found and self._fetch_if_due(now):
            await self._fetched(now)
            found = self._find(kid, algorithm)
        return found

    async def discovery(self) -> Discovery:
        """What the issuer says of itself.

        Raises:
            IssuerUnavailable: It says nothing.
        """
        now = self._now()
        if self._discovery is None or now >= self._usable_until:
            await self._fetched(now)
        elif now >= self._fresh_until:
            self._fetch_if_due(now)
        if self._discovery is None:
            raise IssuerUnavailable(f"{self._issuer} has no discovery document.")
        return self._discovery

    @property
    def good_until(self) -> float:
        """When what these keys proved has to be proved again."""
        return min(max(self._fresh_until, self._now() + PAUSE_S), self._usable_until)

    async def aclose(self) -> None:
        """Stop asking."""
        if self._fetching is not None:
            self._fetching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._fetching

    def _find(self, kid: str | None, algorithm: Algorithm) -> list[PublicKey]:
        fitting = [key for key in self._keys if key.fits(algorithm) and kid in (None, key.kid)]
        return fitting if kid is not None or len(fitting) == 1 else []  # a nameless token is not tried with every key

    async def _fetched(self, now: float) -> None:
        """Wait for a fetch, unless one has just failed."""
        if self._fetch_if_due(now) and self._fetching is not None:
            await asyncio.shield(self._fetching)  # whoever leaves does not end it for the others
        if self._now() >= self._usable_until:
            raise IssuerUnavailable(f"The keys of {self._issuer} cannot be fetched now.", retry_after_s=PAUSE_S)

    def _fetch_if_due(self, now: float) -> bool:
        """Whether the keys are being fetched now."""
        if self._fetching is None and now >= self._quiet_until:
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching is not None

    async def _fetch(self) -> None:
        try:
            discovery = None if self._jwks_url else await self._discover()
            document = await self._documents.get(discovery.jwks_uri if discovery is not None else self._jwks_url)
            keys = public_keys(document.fields)
        except (GatewayError, ValueError) as error:
            log.warning("the keys of %s cannot be fetched: %s", self._issuer, error)
        else:
            kept_s = KEPT_S if document.max_age_s is None else document.max_age_s
            self._keys, self._discovery = keys, discovery
            self._fresh_until = self._now() + min(max(kept_s, LEAST_KEPT_S), MOST_KEPT_S)
            self._usable_until = self._fresh_until + STALE_S
        finally:
            self._quiet_until = self._now() + PAUSE_S
            self._fetching = None

    async def _discover(self) -> Discovery:
        fields: dict[str, Any] = (await self._documents.get(self._issuer.rstrip("/") + WELL_KNOWN)).fields
        try:
            discovery = msgspec.convert(fields, Discovery)
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"Its discovery document is none: {error}") from None
        if discovery.issuer != self._issuer:  # 4.3: whoever answers for another could hand out its tokens
            raise UpstreamInvalid(f"Its discovery document is that of `{discovery.issuer[:200]}`.")
        return discovery
