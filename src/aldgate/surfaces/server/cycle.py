"""One request and its response on a connection: ASGI's `receive` and `send`, with one write per whole answer.

Replaces uvicorn's cycle, which checks each header with two regular expressions and writes head and body apart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from aldgate.core.errors import GatewayError, InternalError, ShuttingDown
from aldgate.surfaces.http.asgi import Handler, Headers, Message
from aldgate.surfaces.http.faults import render_for_path

log = logging.getLogger("aldgate.server")

_NO_BODY = frozenset({204, 304})
_COLON = b": "


class BrokenResponse(Exception):
    """The application sent something that is no response."""


class Carrier(Protocol):
    """The connection as its cycles see it."""

    transport: asyncio.Transport
    flow: FlowControl
    loop: asyncio.AbstractEventLoop

    @property
    def date_header(self) -> bytes:
        """The `Date` line of this second."""
        ...

    def answered(self, cycle: Cycle) -> None:
        """The response of `cycle` is written."""
        ...

    def ended(self, cycle: Cycle) -> None:
        """The task of `cycle` does nothing more."""
        ...


class Cycle:
    """What an application is called with.

    Attributes:
        body: Bytes of the request body that nobody has received yet.
        is_lost: The caller has left.
        is_complete: The response is written.
        task: Runs the application.
    """

    task: asyncio.Task[None] | None = None
    body: bytes | bytearray = b""
    more_body = True
    is_lost = False
    is_started = False
    is_complete = False
    _is_received = False
    _is_chunked = False
    _ends_with_connection = False
    _length = 0
    _head: bytes | None = None
    _waiter: asyncio.Future[None] | None = None
    more_headers: Headers | None = None
    """Added to those of the answer, whoever gives it."""

    def __init__(self, connection: Carrier, scope: dict[str, Any], *, expects_continue: bool, keep_alive: bool) -> None:
        self._connection = connection
        self.scope = scope
        self.expects_continue = expects_continue
        self.keep_alive = keep_alive

    async def run(self, app: Handler) -> None:
        """Call the application and see that it answers."""
        try:
            await app(self.scope, self.receive, self.send)
            if not self.is_complete and not self.is_lost:
                raise BrokenResponse("the application returned without a complete response")
        except Exception:  # a border: one request's fault must not reach another's
            log.exception("a request failed", extra={"path": self.scope["path"]})
            await self._fail(InternalError("The gate failed; its log says why."))
        except asyncio.CancelledError:  # the caller left, or the gate stops and has run out of patience
            await self._fail(ShuttingDown("The gate is stopping.", retry_after_s=5))
            raise
        finally:
            self._connection.ended(self)

    async def _fail(self, error: GatewayError) -> None:
        if self.is_started:
            self._connection.transport.close()
            return
        self._head = None
        status, headers, body = render_for_path(self.scope["path"], error)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def feed(self, piece: bytes) -> None:
        """More of the request body has come."""
        if self.body:
            self.body = bytearray(self.body) if isinstance(self.body, bytes) else self.body
            self.body += piece
        else:
            self.body = piece
        if self._waiter is not None:
            self.wake()

    def wake(self) -> None:
        """Something that `receive` waits for has happened."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def take_body(self) -> bytes | None:
        """The whole request body, if it has come; None: `receive` it. Costs no coroutine."""
        if self.more_body or self._is_received or self.is_lost or self.expects_continue:
            return None
        body, self.body = self.body, b""
        self._is_received = True
        return body if isinstance(body, bytes) else bytes(body)

    async def receive(self) -> Message:
        """Part of ASGI."""
        connection = self._connection
        if self.expects_continue and not connection.transport.is_closing():
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.expects_continue = False
        if self._is_received:
            while not self.is_lost and not self.is_complete:
                await self._wait()
        elif self.more_body and not self.body and not self.is_lost:
            connection.flow.resume_reading()
            await self._wait()
        if self.is_lost or self.is_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        self._is_received = not self.more_body
        return {"type": "http.request", "body": body if isinstance(body, bytes) else bytes(body), "more_body": self.more_body}

    async def _wait(self) -> None:
        self._waiter = self._connection.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def send(self, message: Message) -> None:
        """Part of ASGI. The head is written with the first piece of the body."""
        flow = self._connection.flow
        if flow.write_paused and not self.is_lost:
            await flow.drain()
        if self.is_lost:
            return
        if message["type"] == "http.response.start":
            self.begin(message["status"], message.get("headers", ()))
        elif self._head is None and not self.is_started or self.is_complete:
            raise BrokenResponse(f"`{message['type']}` out of turn")
        else:
            self._continue(message.get("body", b""), message.get("more_body", False))

    def write(self, piece: bytes) -> Awaitable[None] | bool:
        """A piece of the body, as `send` would, but without a coroutine unless the caller is slow: then that is what to await."""
        if self.is_lost:
            return True
        if self._connection.flow.write_paused:
            return self.send({"type": "http.response.body", "body": piece, "more_body": True})
        self._continue(piece, True)
        return True

    def end(self, piece: bytes) -> None:
        """The last piece of the body."""
        if not self.is_lost:
            self._continue(piece, False)

    def begin(self, status: int, headers: Headers) -> None:
        """The status and headers; written with the first piece of the body.

        Raises:
            BrokenResponse: Out of turn, or a header with a line break.
        """
        if self._head is not None or self.is_started:
            raise BrokenResponse("a second start of the response")
        if self.more_headers is not None:
            headers = [*headers, *self.more_headers]
        named = dict(headers)
        length = named.get(b"content-length")
        if named.get(b"connection", b"").lower() == b"close":
            self.keep_alive = False
            headers = [header for header in headers if header[0] != b"connection"]
        own = b"\r\n"
        if not self.keep_alive or self.more_body:  # an answer that did not wait for the body is the last one
            own = b"connection: close\r\n\r\n"
        if length is not None:
            self._length = int(length)
        elif self.scope["http_version"] == "1.0":
            self._ends_with_connection = True
        elif status not in _NO_BODY and self.scope["method"] != "HEAD":
            self._is_chunked = True
            own = b"transfer-encoding: chunked\r\n" + own
        lines = b"\r\n".join(map(_COLON.join, headers))
        if lines.count(b"\n") >= max(1, len(headers)) or lines.count(b"\r") >= max(1, len(headers)):
            raise BrokenResponse("a header with a line break in it")
        head = STATUS_LINE[status], self._connection.date_header, lines, b"\r\n" if lines else b"", own
        self._head = b"".join(head)

    def _continue(self, body: bytes, more_body: bool) -> None:
        head = self._head or b""
        self._head = None
        self.is_started = True
        if self._is_chunked:
            framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            out = head + framed if more_body else b"%b%b0\r\n\r\n" % (head, framed)
        elif self.scope["method"] == "HEAD":
            out = head
        elif self._ends_with_connection:
            out = head + body
        else:
            self._length -= len(body)
            if self._length < 0 or (self._length and not more_body):
                self._connection.transport.close()
                raise BrokenResponse("the body is not as long as its Content-Length")
            out = head + body
        if out:
            self._connection.transport.write(out)
        if not more_body:
            self.is_complete = True
            if self._waiter is not None:
                self.wake()
            self._connection.answered(self)
