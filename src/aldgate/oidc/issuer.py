"""One issuer: whether a token is its own, meant for the gate and still good, and what it says."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection
from typing import Any, cast

from aldgate.config.issuers import Algorithm, IssuerEntry
from aldgate.core.claims import Claims, lacking, read_claims
from aldgate.core.errors import UnknownKey
from aldgate.oidc.documents import Documents
from aldgate.oidc.jwt import ACCESS_TYPES, ID_TYPES, Token, check_header, check_time, is_for, read_token
from aldgate.oidc.keyset import KeySet


class Issuer:
    """Whoever signs tokens under one URL.

    Args:
        name: What the configuration calls it.
        now: Unix seconds.

    Attributes:
        documents: Asks it questions.
        keys: Its keys.
    """

    def __init__(self, name: str, entry: IssuerEntry, documents: Documents, now: Callable[[], float]) -> None:
        self.name = name
        self.entry = entry
        self.documents = documents
        self.keys = KeySet(entry.issuer, entry.jwks_url, documents, now)
        self._now = now

    async def bearer(self, token: Token) -> Claims:
        """What a caller's token says.

        Raises:
            UnknownKey: It is not genuine, not for this gate, or lacks what is required.
            ExpiredKey: Its time is over.
            IssuerUnavailable: There are no keys to check it with.
        """
        claims = await self._claims(token, ACCESS_TYPES, self.entry.audience)
        if "events" in token.payload:  # RFC 8417: it tells of a log-out or the like, and is no credential
            raise UnknownKey("This token is of a type that is no credential.")
        return claims

    async def login(self, id_token: str, nonce: str) -> Claims:
        """What the token of a login says: https://openid.net/specs/openid-connect-core-1_0.html, 3.1.3.7.

        Raises:
            UnknownKey: As `bearer`; or it is of another login.
        """
        token = read_token(id_token.encode("utf-8", "replace"))
        if token is None or token.issuer != self.entry.issuer:
            raise UnknownKey("The issuer gave no token of its own.")
        claims = await self._claims(token, ID_TYPES, (self.entry.client_id,))
        said = token.payload.get("nonce")
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
            raise UnknownKey("The issuer's token is of another login.")
        audience, party = token.payload.get("aud"), token.payload.get("azp")
        is_shared = isinstance(audience, list) and len(cast(list[Any], audience)) > 1
        if party != self.entry.client_id and (party is not None or is_shared):
            raise UnknownKey("The issuer's token is for another application.")
        return claims

    async def _claims(self, token: Token, types: Collection[str], audience: Collection[str]) -> Claims:
        entry = self.entry
        kid = check_header(token, entry.algorithms, types)
        expires_at = check_time(token, self._now(), entry.clock_skew_s)
        if not is_for(token, audience):
            raise UnknownKey("This token is not meant for this gate (`aud`).")
        algorithm = cast(Algorithm, token.header["alg"])
        keys = await self.keys.fitting(kid, algorithm)
        if not any(key.proves(algorithm, token.signed, token.signature) for key in keys):
            raise UnknownKey("This token is not signed by its issuer.")
        missing = lacking(token.payload, entry.required)
        if missing is not None:
            raise UnknownKey(f"This token's `{missing}` is not what is required here.")
        claims = read_claims(token.payload, entry.mapping, issuer=entry.issuer, issuer_name=self.name, expires_at=expires_at)
        if claims is None:
            raise UnknownKey("This token does not say whom it speaks for.")
        return claims
