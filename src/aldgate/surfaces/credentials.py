"""Where callers put their secrets. The first carrier present decides; there is no falling through to the next."""

from __future__ import annotations

from collections.abc import Mapping

from aldgate.core.errors import UnknownKey
from aldgate.core.principals import Principal
from aldgate.gate.identity import Identity
from aldgate.surfaces.asgi import Scope, headers_of


def secret_of(headers: Mapping[bytes, bytes]) -> bytes:
    """The caller's secret: `Authorization: Bearer`, else `X-API-Key`, else `X-Goog-Api-Key`; empty if there is none.

    Raises:
        UnknownKey: There is an `Authorization` header, but not a Bearer one.
    """
    authorization = headers.get(b"authorization")
    if authorization is None:
        secret = headers.get(b"x-api-key")
        return (headers.get(b"x-goog-api-key", b"") if secret is None else secret).strip()
    if authorization[:7].lower() != b"bearer ":
        raise UnknownKey("The `Authorization` header is not `Bearer KEY`.")
    return authorization[7:].strip()


async def principal_of(scope: Scope, identity: Identity) -> Principal:
    """Authenticate a request.

    Raises:
        GatewayError: As `Identity.identify`.
    """
    secret = secret_of(headers_of(scope))
    principal = identity.known(secret) if secret else None
    return principal if principal is not None else await identity.identify(secret)
