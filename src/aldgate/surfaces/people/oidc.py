"""`/ui/api/auth/oidc`: logins to the console through an issuer. The browser is sent there, and comes back with a code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from aldgate.core.claims import Claims
from aldgate.core.errors import GatewayError, InvalidConfiguration, InvalidRequest, NotFound, Shedding
from aldgate.oidc.login import LOGIN_S, Logins, is_local_path
from aldgate.surfaces.http.asgi import Headers, Receive, Scope, Send, headers_of, send_whole
from aldgate.surfaces.http.faults import Rendered, render_for_path

PATH = "/ui/api/auth/oidc"
HOME = "/ui/"
MAX_UNDER_WAY = 64
"""Logins that wait for an issuer at once."""
_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?")
_QUIET: Headers = [(b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]
"""The code in the URL is nobody else's business."""


class SignIn(Protocol):
    """Begins a session for somebody whom an issuer vouches for."""

    async def __call__(self, claims: Claims) -> Rendered:
        """Status, headers and body of the answer. After 2xx the browser goes on to where it wanted, with the answer's cookies.

        Raises:
            GatewayError: They may not come in.
        """
        ...


class OidcFace:
    """The two steps of a login, and the list of issuers to choose from.

    Args:
        sign_in: Begins the session once an issuer has said who it is.
        public_url: Where browsers find the gate; empty takes the address they used, on loopback only.
        new_id: Makes request ids.
    """

    def __init__(self, logins: Logins, sign_in: SignIn, *, public_url: str, new_id: Callable[[], str]) -> None:
        self._logins = logins
        self._sign_in = sign_in
        self._public_url = public_url.rstrip("/")
        self._new_id = new_id
        self._under_way = 0

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /ui/api/auth/oidc: the issuers, and where a login through each begins."""
        listed = [{"name": name, "url": f"{PATH}/{name}"} for name in self._logins.names]
        headers = [(b"content-type", b"application/json"), (b"x-request-id", self._new_id().encode()), *_QUIET]
        await send_whole(send, 200, headers, msgspec.json.encode({"issuers": listed}))

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /ui/api/auth/oidc/{issuer}, which sends the browser there, and .../callback, where it comes back to."""
        request_id = self._new_id()
        try:
            status, headers, body = await self._answer(scope)
        except GatewayError as error:
            status, headers, body = render_for_path(scope["path"], error, request_id)
        else:
            headers = [*headers, (b"x-request-id", request_id.encode())]
        await send_whole(send, status, [*headers, *_QUIET], body)

    async def _answer(self, scope: Scope) -> Rendered:
        name, _, step = scope["path"].removeprefix(f"{PATH}/").partition("/")
        login = self._logins.of(name)
        if step not in ("", "callback"):
            raise NotFound(f"There is nothing at `{scope['path'][:200]}`.")
        if self._under_way >= MAX_UNDER_WAY:
            raise Shedding("Too many logins are under way; try again shortly.", retry_after_s=1)
        base = self._base(scope)
        redirect_uri = f"{base}{PATH}/{name}/callback"
        asked = _query(scope)
        self._under_way += 1
        try:
            if step == "callback":
                claims, next_path = await login.finish(redirect_uri, asked, _cookie(scope, _cookie_name(base, name)))
                status, headers, body = await self._sign_in(claims)
                return _onwards(status, headers, body, next_path, _set_cookie(base, name, "", 0))
            next_path = asked.get("next", urlsplit(base).path + HOME)
            if not is_local_path(next_path):
                raise InvalidRequest("`next` is a path of this gate, like `/ui/`.", param="next")
            begun = await login.begin(redirect_uri, next_path)
        finally:
            self._under_way -= 1
        return 303, [(b"location", begun.location.encode()), _set_cookie(base, name, begun.cookie, LOGIN_S)], b""

    def _base(self, scope: Scope) -> str:
        if self._public_url:
            return self._public_url
        host = headers_of(scope).get(b"host", b"").decode("latin-1").lower()
        if _LOOPBACK.fullmatch(host) is None:  # whoever makes up a host is not to choose where codes are sent
            raise InvalidConfiguration("Set `auth.public_url`: logins come back to it.")
        return f"{scope.get('scheme', 'http')}://{host}"


def _onwards(status: int, headers: Headers, body: bytes, next_path: str, cookie: tuple[bytes, bytes]) -> Rendered:
    if not 200 <= status < 300:
        return status, [*headers, cookie], body
    kept = [header for header in headers if not header[0].lower().startswith(b"content-")]
    return 303, [*kept, (b"location", next_path.encode()), cookie], b""


def _query(scope: Scope) -> dict[str, str]:
    try:
        pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        raise InvalidRequest("The query cannot be read.") from None
    if len({name for name, _ in pairs}) < len(pairs):  # RFC 6749, 3.1
        raise InvalidRequest("A parameter of the query is there twice.")
    return dict(pairs)


def _cookie_name(base: str, name: str) -> str:
    # With this prefix no other host of the domain can plant one: https://developer.mozilla.org/docs/Web/HTTP/Headers/Set-Cookie
    return ("__Host-" if base.startswith("https:") else "") + f"aldgate_oidc_{name}"


def _set_cookie(base: str, name: str, value: str, max_age_s: int) -> tuple[bytes, bytes]:
    # Lax: the browser comes back by a link from another site, and brings no Strict one.
    secure = "; Secure" if base.startswith("https:") else ""
    text = f"{_cookie_name(base, name)}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}"
    return b"set-cookie", text.encode()


def _cookie(scope: Scope, name: str) -> str:
    for pair in headers_of(scope).get(b"cookie", b"").decode("latin-1").split(";"):
        found, _, value = pair.strip().partition("=")
        if found == name:
            return value
    return ""
