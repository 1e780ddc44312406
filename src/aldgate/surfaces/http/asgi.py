"""ASGI's types, and the two messages of a whole answer."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers by name, in lower case."""
    return scope["aldgate.headers"]


async def send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a complete answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Outlet(Protocol):
    """Where an answer goes: ASGI's `send`, and shorter ways for answers that need no coroutine."""

    @property
    def is_lost(self) -> bool:
        """The caller has left."""
        ...

    def begin(self, status: int, headers: Headers) -> None:
        """Begin an answer; nothing is written before its first piece."""
        ...

    def write(self, piece: bytes) -> Awaitable[None] | bool:
        """Pass a piece of the body on. True: done. Else something to await first, because the caller is slow."""
        ...

    def end(self, piece: bytes) -> None:
        """Pass the last piece on."""
        ...


def base_of(scope: Scope) -> str:
    """What stands before a path in a link that a caller can follow, by what the caller asked; empty if it named no host.

    A proxy that ended TLS says so in `X-Forwarded-Proto`. Whoever else does is given links that only they are misled by.
    """
    headers = dict(scope["headers"])
    host, forwarded = headers.get(b"host", b"").decode("latin-1"), headers.get(b"x-forwarded-proto", b"")
    is_secure = scope["scheme"] in ("https", "wss") or forwarded.split(b",")[0].strip().lower() in (b"https", b"wss")
    return f"{'https' if is_secure else 'http'}://{host}" if host else ""
