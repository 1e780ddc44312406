"""What faces of jobs have in common: the job in the answer's place, for who does not wait, and answers that come in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

import msgspec
from fastapi import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from aldgate.core.errors import ClientGone, GatewayError
from aldgate.core.jobs import Job
from aldgate.dialects.openai.errors import render
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.server.listener import Connection

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


@contextmanager
def cut_on_loss(request: Request) -> Generator[None]:
    """End what the body waits for when the caller leaves. Who may come again with an `Idempotency-Key` is owed the answer.

    Raises:
        ClientGone: The caller has left.
    """
    connection: Connection = request.scope["aldgate.connection"]
    if idempotency_key(headers_of(request.scope)) is None:
        connection.cut_on_loss()
    try:
        yield
    except asyncio.CancelledError:
        if not connection.is_lost or connection.task is None:
            raise
        connection.task.uncancel()  # nobody cancels us, and nobody is there to answer
        raise ClientGone("The caller left before the answer.") from None
    finally:
        connection.cancels_on_loss = False


class InPieces(StreamingResponse):
    """A body that comes in pieces. Whoever makes them is told when the caller leaves."""

    def __init__(self, pieces: AsyncGenerator[bytes], headers: Mapping[str, str], media_type: str) -> None:
        super().__init__(pieces, 200, headers, media_type)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        async with aclosing(self._pieces):
            await super().__call__(scope, receive, send)
