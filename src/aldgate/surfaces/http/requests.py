"""What handlers behind FastAPI have in common: their types, and the bodies of their requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request

from aldgate.core.errors import BodyTooLarge
from aldgate.core.principals import Principal
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.bodies import check_json

MAX_ADMIN_BODY_BYTES = 1_048_576

OpenAct = Callable[[Request], Awaitable[Any]]
"""What a path does for anybody: returns a response, or what is written as JSON."""
Act = Callable[[Principal, Request], Awaitable[Any]]
"""What a path does for who asks."""


async def body_of(request: Request) -> bytes:
    """The whole body of a request that is JSON.

    Raises:
        UnsupportedMediaType: It says that it is something else.
        BodyTooLarge: It has more than `MAX_ADMIN_BODY_BYTES`.
    """
    check_json(headers_of(request.scope))
    return await bytes_of(request)


async def bytes_of(request: Request) -> bytes:
    """The whole body of a request, whatever it is.

    Raises:
        BodyTooLarge: It has more than `MAX_ADMIN_BODY_BYTES`.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_ADMIN_BODY_BYTES:
            raise BodyTooLarge(f"The body has more than {MAX_ADMIN_BODY_BYTES} bytes.")
    return bytes(body)


def address_of(request: Request) -> str:
    """The address that the request came from."""
    client = request.scope.get("client")
    return client[0] if client else ""
