"""Where callers put their secrets. The first carrier present decides; there is no falling through to the next.

What comes from a carrier that keys do not come in is put behind that carrier's name and a NUL, which no header can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from aldgate.core.addresses import address_of
from aldgate.core.errors import ForeignOrigin, PolicyDenied, UnknownKey
from aldgate.core.principals import Principal
from aldgate.gate.policies.permission import check_path
from aldgate.gate.principals.identity import Identity
from aldgate.surfaces.http.asgi import Scope, headers_of
from aldgate.surfaces.http.origins import TRUSTED

_PLACE = ("path", "client", "headers", "state")
"""What of a scope says where a call comes from."""
_place: ContextVar[tuple[Any, ...] | None] = ContextVar("place", default=None)
MOST_PLACES = 1_000
SESSION_COOKIE = b"aldgate_session"
_CARRIERS = (
    b"authorization",
    b"x-api-key",
    b"x-goog-api-key",
    b"client_id",
    b"client-id",
    b"x-admin-secret",
    b"x-session-token",
)
_QUERIED = ("api_key", "token")


def secret_of(headers: Mapping[bytes, bytes], *, is_read: bool = False) -> bytes:
    """The caller's secret; empty if there is none.

    Looked for in this order: `Authorization: Bearer`, `X-API-Key`, `X-Goog-Api-Key`, `client_id` with `client_secret` (or with
    hyphens), `X-Admin-Secret`, `X-Session-Token`, the session cookie.

    Args:
        headers: The request's, by name in lower case.
        is_read: The request changes nothing, whoever makes a browser send it.

    Raises:
        UnknownKey: There is an `Authorization` header, but not a Bearer one.
        ForeignOrigin: The cookie decides, and what it is to do may have been thought of by a page of somebody else.
    """
    authorization = headers.get(b"authorization")
    if authorization is None:
        secret = headers.get(b"x-api-key")
        secret = headers.get(b"x-goog-api-key") if secret is None else secret
        return _carried(headers, is_read) if secret is None else secret.strip()
    if authorization[:7].lower() != b"bearer ":
        raise UnknownKey("The `Authorization` header is not `Bearer KEY`.")
    return authorization[7:].strip()


def brings_credential(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request has a header for a credential, be it an empty one."""
    return any(name in headers for name in _CARRIERS)


def socket_secret_of(scope: Scope) -> bytes:
    """`secret_of` an upgrade to a WebSocket: browsers can give one no headers, so a key may also stand in its query.

    `?api_key=` and then `?token=` are looked at where no header brings a credential, before the cookie: what a page says itself
    goes before what its browser adds. Of HTTP requests the query is never read.

    Raises:
        UnknownKey: As `secret_of`; or the query holds a key twice.
    """
    headers = dict(scope["headers"])
    if not brings_credential(headers):
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        for name in _QUERIED:
            if name in query:
                if len(query[name]) > 1:
                    raise UnknownKey(f"The query brings `{name}` twice.")
                return query[name][0].strip().replace("\0", "?").encode()  # a NUL would name another carrier
    return secret_of(headers)


def _carried(headers: Mapping[bytes, bytes], is_read: bool) -> bytes:
    client = headers.get(b"client_id") or headers.get(b"client-id")
    if client is not None:
        secret = headers.get(b"client_secret") or headers.get(b"client-secret") or b""
        return b"client\0%b\0%b" % (client.strip(), secret.strip())
    admin = headers.get(b"x-admin-secret")
    if admin is not None:
        return admin.strip()
    token = headers.get(b"x-session-token")
    if token is not None:
        return b"session\0" + token.strip()
    value = session_cookie(headers)
    if value and not is_read and not is_from_here(headers):
        raise ForeignOrigin("With a cookie, this needs an `Origin` that is the gate's own or one of `server.cors_origins`.")
    return value and b"session\0" + value


def session_cookie(headers: Mapping[bytes, bytes]) -> bytes:
    """The token in the session cookie; empty if there is none."""
    for part in headers.get(b"cookie", b"").split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name == SESSION_COOKIE and value:
            return value
    return b""


def is_from_here(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser says that a page of the gate itself, or of a listed origin, sent this. Other clients say nothing."""
    if b"origin" in headers:
        return TRUSTED in headers
    return headers.get(b"sec-fetch-site") == b"same-origin"


async def principal_of(scope: Scope, identity: Identity) -> Principal:
    """Authenticate a request.

    Raises:
        GatewayError: As `Identity.identify`.
        PolicyDenied: As `check_place`.
    """
    secret = secret_of(headers_of(scope), is_read=scope.get("method") in ("GET", "HEAD"))
    principal = (identity.known(secret) if secret else None) or await identity.identify(secret)
    if principal.rights.tells_places:
        check_place(principal, scope)
    return principal


def check_place(principal: Principal, scope: Scope) -> None:
    """See that every level of the principal takes requests at this path and from this address.

    Raises:
        PolicyDenied: One does not.
    """
    path: str = scope["path"]
    address = caller_address(scope)
    allowed = principal.rights.allowed_places
    if (path, address) in allowed:
        return
    check_path(principal, path)
    level = principal.rights.against_place(path, address)
    if level is not None:
        raise PolicyDenied(f"The policy of {level} takes no requests from `{address or 'an unknown address'}`.")
    if len(allowed) >= MOST_PLACES:
        allowed.clear()
    allowed.add((path, address))


def come_from(scope: Scope) -> None:
    """What is called in this task comes from there."""
    # Not the scope itself: it knows the connection, which knows the task, whose context would hold it.
    _place.set((scope["path"], scope.get("client"), scope["headers"], scope["state"]))


def place_of_call() -> Callable[[Principal], None] | None:
    """`check_place` for where what is called in this task comes from; None: the gate itself calls."""
    place = _place.get()
    return None if place is None else partial(check_place, scope=dict(zip(_PLACE, place, strict=True)))


def caller_address(scope: Scope) -> str:
    """Where a request comes from: the peer's address, or what a trusted proxy says; empty if nobody knows."""
    peer = scope.get("client")
    return address_of(peer[0] if peer else "", scope["headers"], scope["state"]["trusted_proxies"])
