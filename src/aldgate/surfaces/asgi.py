"""ASGI's types, and the two messages of a whole answer."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
Write = Callable[[bytes], Awaitable[None] | bool]
"""Passes on a piece of a body. True: done. Otherwise something to await, because the caller is slow."""
Headers = list[tuple[bytes, bytes]]


def header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a request header (`name` in lower case), or None."""
    index: dict[bytes, bytes] | None = scope.get("aldgate.headers")
    return dict(scope["headers"]).get(name) if index is None else index.get(name)


async def send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a complete answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def writing(send: Send) -> Write:
    """`send` as a `Write`."""
    return lambda piece: send({"type": "http.response.body", "body": piece, "more_body": True})
