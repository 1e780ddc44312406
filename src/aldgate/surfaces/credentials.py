"""Where callers put their secrets. The first carrier present decides; there is no falling through to the next."""

from __future__ import annotations

from aldgate.core.errors import UnknownKey
from aldgate.core.principals import Principal
from aldgate.gate.identity import Identity
from aldgate.surfaces.asgi import Scope


def secret_of(scope: Scope) -> bytes:
    """The caller's secret: `Authorization: Bearer`, else `X-API-Key`; empty if there is none.

    Raises:
        UnknownKey: There is an `Authorization` header, but not a Bearer one.
    """
    api_key = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            if value[:7].lower() != b"bearer ":
                raise UnknownKey("The `Authorization` header is not `Bearer KEY`.")
            return value[7:].strip()
        if name == b"x-api-key" and not api_key:
            api_key = value.strip()
    return api_key


async def principal_of(scope: Scope, identity: Identity) -> Principal:
    """Authenticate a request.

    Raises:
        GatewayError: As `Identity.identify`.
    """
    secret = secret_of(scope)
    principal = identity.known(secret) if secret else None
    return principal if principal is not None else await identity.identify(secret)
