"""The dialect of `POST /v1/generate`, as Pluggably's gateway spoke it: its texts are OpenAI chats in other clothes.

Its streams carry OpenAI's chunks, so bytes pass through; its errors are `{"detail": {"code", "message"}}`.
"""

from __future__ import annotations

import msgspec

from aldgate.core.errors import GatewayError
from aldgate.dialects.openai.dialect import OpenAI
from aldgate.dialects.openai.errors import headers_of

LAST = b"data: [DONE]\n\n"


class Generate(OpenAI):
    """Implements `ports.FaceDialect`."""

    def error(self, error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """See `ports.FaceDialect`."""
        body = msgspec.json.encode({"detail": {"code": error.code, "message": error.message}})
        return error.status, headers_of(error, body, call_id), body

    def failed(self, error: GatewayError, call_id: str) -> bytes:
        """See `ports.FaceDialect`: here a stream that failed ends with `[DONE]`, too."""
        return event({"error": {"code": error.code, "message": error.message}}) + LAST


def event(data: object) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


GENERATE = Generate()
"""What `modality` is `text` asks for."""
