"""Errors on their way out: status, headers and body, in the shape that the path's callers expect."""

from __future__ import annotations

import msgspec

from aldgate.core.errors import GatewayError
from aldgate.dialects.openai.errors import headers_of
from aldgate.surfaces.dialects import dialect_at
from aldgate.surfaces.http import envelope
from aldgate.surfaces.http.asgi import Send

Headers = list[tuple[bytes, bytes]]
Rendered = tuple[int, Headers, bytes]

_DETAIL_PATHS = ("/admin", "/ui")
_CODE_PATHS = ("/v1/users", "/v1/providers", "/v1/provider-credentials")


def render_for_path(path: str, error: GatewayError, call_id: str = "") -> Rendered:
    """`{"detail": ...}` for administration and people, the path's dialect everywhere else. `call_id` goes into the headers."""
    if path.startswith(_DETAIL_PATHS):
        body = msgspec.json.encode({"detail": error.message, "code": error.code})
        return error.status, headers_of(error, body, call_id), body
    if path.startswith(_CODE_PATHS):
        body = msgspec.json.encode({"detail": {"code": error.code, "message": error.message}})
        return error.status, headers_of(error, body, call_id), body
    if envelope.is_enveloped(path):
        return envelope.refused(path, error, call_id)
    return dialect_at(path).error(error, call_id)


async def refuse(send: Send, path: str, error: GatewayError, call_id: str) -> None:
    """Answer an upgrade to a WebSocket with an error in HTTP."""
    status, headers, body = render_for_path(path, error, call_id)
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
