"""Pages that call the gate: which origins it trusts, preflights, and what lets a page read an answer.

CORS is https://fetch.spec.whatwg.org/#http-cors-protocol. Origins are compared to the letter, and `*` is never said: answers
are for those who may also send the cookie.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from aldgate.core.errors import ForeignOrigin
from aldgate.surfaces.http.asgi import Handler, Headers, Receive, Scope, Send, headers_of, send_whole
from aldgate.surfaces.http.faults import render_for_path

TRUSTED = b"\0trusted-origin"
"""Set among a request's headers where its origin is trusted; no header that came over the wire is called so."""
_LOOPBACK = re.compile(rb"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_PREFLIGHT_S = b"600"
_EXPOSED = b"x-request-id, request-id, retry-after, x-aldgate-model, x-aldgate-attempts, x-aldgate-warnings, x-aldgate-cache"


class Origins:
    """Judges origins.

    Args:
        listed: Those whose pages are trusted; none: those of this machine, at any port.
    """

    def __init__(self, listed: Iterable[str] = ()) -> None:
        self._listed = frozenset(origin.encode() for origin in listed)

    def judge(self, scope: Scope) -> Handler | None:
        """Note whether the request's origin is trusted, and see that a trusted page can read the answer.

        Returns what answers a preflight; None: the request goes on.
        """
        headers = headers_of(scope)
        origin = headers[b"origin"]
        is_trusted = self._is_trusted(origin, headers.get(b"host", b""))
        if is_trusted:
            headers[TRUSTED] = b"1"
            scope["aldgate.connection"].outlet.more_headers = [*_readable(origin), (b"access-control-expose-headers", _EXPOSED)]
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            return _preflight if is_trusted else _refusal
        return None

    def judge_socket(self, scope: Scope) -> None:
        """The same of an upgrade, whose headers are a list."""
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        by_name = dict(headers)
        origin = by_name.get(b"origin")
        if origin is not None and self._is_trusted(origin, by_name.get(b"host", b"")):
            scope["headers"] = [*headers, (TRUSTED, b"1")]

    def _is_trusted(self, origin: bytes, host: bytes) -> bool:
        # A proxy in front may have ended TLS, so the scheme is not ours to judge.
        if host and origin in (b"http://" + host.lower(), b"https://" + host.lower()):
            return True
        return origin in self._listed if self._listed else _LOOPBACK.fullmatch(origin) is not None


def _readable(origin: bytes) -> Headers:
    return [(b"access-control-allow-origin", origin), (b"access-control-allow-credentials", b"true"), (b"vary", b"origin")]


async def _preflight(scope: Scope, receive: Receive, send: Send) -> None:
    headers: Any = [(b"access-control-allow-methods", _METHODS), (b"access-control-max-age", _PREFLIGHT_S)]
    asked = headers_of(scope).get(b"access-control-request-headers")
    if asked is not None:
        headers.append((b"access-control-allow-headers", asked))
    await send_whole(send, 204, headers, b"")


async def _refusal(scope: Scope, receive: Receive, send: Send) -> None:
    error = ForeignOrigin("Pages of this origin may not call the gate; its operator can list it in `server.cors_origins`.")
    await send_whole(send, *render_for_path(scope["path"], error))
