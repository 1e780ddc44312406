"""What faces have in common whose callers wait for jobs: who leaves ends the work, and answers may come in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, contextmanager, suppress
from typing import Any

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from aldgate.core.errors import ClientGone, GatewayError
from aldgate.core.jobs import Job
from aldgate.dialects.openai.errors import render
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.server.listener import Connection

EVENTS = "text/event-stream"


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
def cut_on_loss(scope: Scope) -> Generator[None]:
    """End what the body waits for when the caller leaves. Who may come again with an `Idempotency-Key` is owed the answer.

    Raises:
        ClientGone: The caller has left.
    """
    connection: Connection = scope["aldgate.connection"]
    if idempotency_key(headers_of(scope)) is None:
        connection.cut_on_loss()
        if connection.is_lost and connection.task is not None:
            connection.task.cancel()  # the caller has left before there was anything to end
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
    """A body that comes in pieces. Whoever makes them is told when the caller leaves, and can await what is to be done then."""

    def __init__(self, pieces: AsyncGenerator[bytes], headers: Mapping[str, str], media_type: str) -> None:
        super().__init__(pieces, 200, headers, media_type)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        async with aclosing(self._pieces):
            with suppress(ClientGone), cut_on_loss(scope):
                await self.stream_response(send)
