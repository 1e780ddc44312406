"""Errors on their way out: status, headers and body, in the shape that the path's callers expect."""

from __future__ import annotations

import msgspec

from aldgate.core.errors import GatewayError
from aldgate.dialects import openai_errors

Headers = list[tuple[bytes, bytes]]
Rendered = tuple[int, Headers, bytes]

_DETAIL_PATHS = ("/admin",)


def render_for_path(path: str, error: GatewayError) -> Rendered:
    """`{"detail": ...}` for administration, OpenAI's shape everywhere else."""
    if path.startswith(_DETAIL_PATHS):
        return _rendered(error, msgspec.json.encode({"detail": error.message, "code": error.code}))
    return _rendered(error, openai_errors.render(error))


def _rendered(error: GatewayError, body: bytes) -> Rendered:
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-should-retry", b"true" if openai_errors.should_retry(error) else b"false"),
    ]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, error.retry_after_s)))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return error.status, headers, body
