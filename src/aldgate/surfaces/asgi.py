"""ASGI's types, and the two messages of a whole answer."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


def header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a request header (`name` in lower case), or None."""
    index: dict[bytes, bytes] | None = scope.get("aldgate.headers")
    return dict(scope["headers"]).get(name) if index is None else index.get(name)


async def send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a complete answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
