"""One HTTP/1.1 connection to an upstream: it carries one request at a time and trusts no reply further than its framing.

RFC 9112, https://www.rfc-editor.org/rfc/rfc9112: framing 6.3, surplus bytes and reuse 9.3.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Any, cast

import httptools

from aldgate.core.errors import UpstreamInvalid
from aldgate.upstream.reply import Reply

MAX_HEAD_BYTES = 65_536
_ONE_WRITE_BYTES = 65_536
_TOO_LARGE = f"The head of the provider's reply is over {MAX_HEAD_BYTES} bytes."


class Connection(asyncio.Protocol):
    """Reused only after a complete, unambiguous reply; surplus bytes, early replies and doubtful framing close it.

    Attributes:
        realm: It carries requests with one caller's own credential, and no others; None: those with the gate's.

    Args:
        loop: The running loop.
        on_idle: Called when the connection may carry the next request.
        on_lost: Called once when it is gone.
    """

    __slots__ = (
        "_framing",
        "_head_bytes",
        "_is_informational",
        "_is_lost",
        "_is_paused",
        "_loop",
        "_on_idle",
        "_on_lost",
        "_parser",
        "_poll",
        "realm",
        "reply",
        "transport",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_idle: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._parser = httptools.HttpResponseParser(self)
        self._poll: select.poll | None = None
        self._framing: list[bytes] = []
        self._head_bytes = 0
        self._is_informational = False
        self._is_lost = False
        self._is_paused = False
        self.realm: str | None = None
        self.reply: Reply | None = None
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self.transport = cast(asyncio.Transport, transport)
        if transport.get_extra_info("ssl_object") is None:  # TLS peers may send records of their own at any time
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def is_usable(self) -> bool:
        """True if the peer has neither closed the idle connection nor sent anything on it. Costs one system call."""
        if self._is_lost or self.transport.is_closing():
            return False
        return self._poll is None or not self._poll.poll(0)

    def send(self, head: bytes, body: bytes, reply: Reply) -> None:
        """Send one request and fill `reply` with what comes back."""
        self.reply = reply
        reply.let_go = self.drop
        reply.pause = self._pause
        self._head_bytes = 0
        if len(body) < _ONE_WRITE_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))

    def drop(self) -> None:
        """Close at once, so that the upstream sees it."""
        self.reply = None
        self.transport.abort()

    def _pause(self, is_paused: bool) -> None:
        if is_paused is not self._is_paused and not self._is_lost:
            self._is_paused = is_paused
            if is_paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        reply = self.reply
        if reply is None:  # nobody asked: the tail of an old reply must never become the head of a new one
            self.transport.abort()
            return
        if not reply.status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            reply.abort(UpstreamInvalid("The provider wants to switch protocols."))
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _Refused):
                reply.abort(UpstreamInvalid(str(error.__context__)))
            else:
                reply.abort(UpstreamInvalid("The provider's reply is not HTTP/1.1."))
            self.transport.abort()
            return
        if not reply.status:
            if self._head_bytes > MAX_HEAD_BYTES:
                reply.abort(UpstreamInvalid(_TOO_LARGE))
        elif not self._is_paused and not reply.is_complete:
            reply.deadline = min(self._loop.time() + reply.idle_timeout_s, reply.total_deadline)

    def on_message_begin(self) -> None:
        """Parser callback. A message that nobody asked for ends the connection."""
        if self.reply is None:
            self.transport.abort()
            raise _Refused("The provider sent more than one reply.")
        self._framing.clear()
        self._is_informational = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser callback."""
        name = name.lower()
        if name == b"content-length":
            self._framing.append(name)
        elif name == b"transfer-encoding":
            self._framing.append(name)
            if value.lower() != b"chunked":
                raise _Refused("The provider's reply has a transfer encoding other than chunked.")
        if self.reply is not None:
            self.reply.headers[name] = value

    def on_headers_complete(self) -> None:
        """Parser callback."""
        reply = self.reply
        if reply is None:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._is_informational = True
            reply.headers.clear()
            return
        if len(self._framing) > 1:
            raise _Refused("The provider's reply says twice how long it is.")
        if (
            self._head_bytes > MAX_HEAD_BYTES
            and sum(len(name) + len(value) for name, value in reply.headers.items()) > MAX_HEAD_BYTES
        ):
            raise _Refused(_TOO_LARGE)
        reply.began(status, reply.headers.get(b"content-encoding"))

    def on_body(self, body: bytes) -> None:
        """Parser callback."""
        if self.reply is not None:
            self.reply.received(body)

    def on_message_complete(self) -> None:
        """Parser callback."""
        reply = self.reply
        if reply is None or self._is_informational:
            return
        is_reusable = bool(self._framing) or reply.status in (204, 304)
        self._finish(reply)
        if is_reusable and self._parser.should_keep_alive() and not self.transport.get_write_buffer_size():
            if self._is_paused:
                self._pause(False)
            self._on_idle(self)
        else:
            self.transport.abort()

    def _finish(self, reply: Reply) -> None:
        self.reply = None
        reply.completed()

    def eof_received(self) -> None:
        """Part of `asyncio.Protocol`: the peer will send no more, which ends a reply without a stated length."""
        reply = self.reply
        if reply is not None and reply.status and not self._framing:
            self._finish(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        self._is_lost = True
        self._parser = cast(Any, None)  # it refers back to us
        reply, self.reply = self.reply, None
        if reply is not None:
            reply.broke_off()
        self._on_lost(self)


class _Refused(Exception):
    """The reply's framing is in doubt."""
