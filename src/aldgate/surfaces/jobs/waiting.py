"""What faces of jobs have in common: the job in the answer's place, for who does not wait, and answers that come in pieces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from aldgate.core.errors import GatewayError
from aldgate.core.jobs import Job
from aldgate.dialects.openai.errors import render

EVENTS = "text/event-stream"


def is_later(headers: Mapping[bytes, bytes]) -> bool:
    """Whether who asks does not wait for the answer (RFC 7240, 4.1)."""
    return b"respond-async" in headers.get(b"prefer", b"")


def begun(job: Job, described: Mapping[str, Any]) -> Response:
    """The job in the answer's place, and where it can be looked at."""
    headers = {"location": f"/v1/jobs/{job.id}", "cache-control": "no-store"}
    return Response(msgspec.json.encode(described), 202, headers, "application/json")


def about(job: Job) -> dict[str, str]:
    """Headers of an answer: which job it is from, and the model that was asked for."""
    return {"cache-control": "no-store", "x-aldgate-job": job.id, "x-aldgate-model": job.requested_model}


def event(data: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: %b\n\n" % msgspec.json.encode(data)


def failure(error: GatewayError) -> bytes:
    """An event that says what went wrong, as openai's clients raise it."""
    return b"data: %b\n\n" % render(error)


class InPieces(StreamingResponse):
    """A body that comes in pieces. Whoever makes them is told when the caller leaves."""

    def __init__(self, pieces: AsyncGenerator[bytes], headers: Mapping[str, str], media_type: str) -> None:
        super().__init__(pieces, 200, headers, media_type)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        async with aclosing(self._pieces):
            await super().__call__(scope, receive, send)
