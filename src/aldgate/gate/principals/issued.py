"""Callers with a token of an issuer: which user or client of the gate each of them is."""

from __future__ import annotations

from typing import Protocol

from aldgate.core.claims import Claims
from aldgate.core.errors import GatewayError, PolicyDenied
from aldgate.core.principals import Principal
from aldgate.gate.principals.clients import Clients
from aldgate.gate.principals.identity import closed
from aldgate.oidc.tokens import Tokens
from aldgate.ports import Standing


class People(Protocol):
    """Knows the users for whom issuers vouch."""

    async def user_of(self, claims: Claims) -> Standing:
        """Whom a verified token speaks for; its first one may make the user."""
        ...


class TokenResolver:
    """A `ports.Resolver` of JSON Web Tokens, which come as keys do.

    A token of an application on its own behalf (its subject is the application), or without a role for a user, is the client of
    that name, if there is one. Any other is a user's.
    """

    carrier = b""

    def __init__(self, tokens: Tokens, clients: Clients, people: People) -> None:
        self._tokens = tokens
        self._clients = clients
        self._people = people

    async def look_up(self, secret: bytes) -> Standing | None:
        """See `ports.Resolver`. What is wrong with a token is raised, not cached: it may be good later.

        Raises:
            UnknownKey: It is not genuine, not for this gate, or lacks what is required.
            ExpiredKey: Its time is over.
            IssuerUnavailable: Its issuer's keys cannot be fetched.
            StoreUnavailable: The database did not answer.
        """
        verified = await self._tokens.verify(secret)
        if verified is None:
            return None
        found = await self._client_of(verified.claims) or await self._people.user_of(verified.claims)
        until = min(found.expires_at, verified.ends_at, verified.good_until)
        return Standing(found.principal, until, found.error, is_renewed=True)

    async def look_at(self, principal_id: str, credential: bytes = b"") -> tuple[Principal, GatewayError | None] | None:
        """See `ports.Resolver`. Its users and clients are known to the resolvers of theirs."""
        return None

    async def _client_of(self, claims: Claims) -> Standing | None:
        if not claims.client or (claims.roles and claims.subject != claims.client):
            return None
        above = await self._clients.named(claims.client)
        if not above:
            if claims.roles:
                return None
            return Standing(error=PolicyDenied("Your token gives you no role here, and its application is no client."))
        own, levels = above[-1].level, tuple(each.level for each in above[:-1])
        return Standing(Principal.of("client", own, levels, claims.expires_at), claims.expires_at, closed(above))
