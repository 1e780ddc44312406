"""One reply of an upstream, filled by its connection and pulled by whoever asked."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable

from aldgate.core.errors import GatewayError, UpstreamBroken, UpstreamInvalid
from aldgate.ports import Sink

HIGH_WATER_BYTES = 65_536
FINISH_S = 1.0


class Reply:
    """Implements `ports.Exchange` over HTTP/1.1.

    Deadlines are data: `deadline` moves with each byte that comes, and the pool's sweep aborts the replies it has passed.

    Args:
        loop: The running loop; also the clock.
        max_body_bytes: Decoded bytes a whole body may have.
        idle_timeout_s: Longest silence after the head.
        deadline: Loop time by which the head must be there.
        total_deadline: Loop time by which everything must be there.
    """

    status = 0
    is_complete = False
    let_go: Callable[[], None] | None = None
    """Set by the connection while it serves this reply: drops the connection."""
    pause: Callable[[bool], None] | None = None
    """Set by the connection: stops or resumes reading from the socket."""
    _buffered = 0
    _seen = 0
    _is_whole = False
    _error: GatewayError | None = None
    _waiter: asyncio.Future[None] | None = None
    _decompress: Callable[[bytes, int], bytes] | None = None
    _sink: Sink | None = None
    """Takes pieces straight from the connection while `pipe` waits."""
    _verdict: Awaitable[None] | bool = True

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        max_body_bytes: int,
        idle_timeout_s: float,
        deadline: float,
        total_deadline: float,
    ) -> None:
        self.loop = loop
        self.headers: dict[bytes, bytes] = {}
        self.deadline = deadline
        self.total_deadline = total_deadline
        self.idle_timeout_s = idle_timeout_s
        self._max_body_bytes = max_body_bytes
        self._body: list[bytes] = []

    def header(self, name: bytes) -> bytes | None:
        """The value of a reply header (`name` in lower case), or None."""
        return self.headers.get(name)

    async def read(self) -> bytes:
        """The whole body; see `ports.Exchange`."""
        self._is_whole = True
        if self.pause is not None:
            self.pause(False)
        while not self.is_complete:
            await self.wait()
        if self._error is not None:
            raise self._error
        return self._take()

    async def next(self) -> bytes | None:
        """The next bytes of the body, None at its end; see `ports.Exchange`."""
        while not self._body:
            if self.is_complete:
                if self._error is not None:
                    raise self._error
                return None
            await self.wait()
        return self._take()

    async def pipe(self, sink: Sink) -> None:
        """Each piece into `sink` as it comes; see `ports.Exchange`.

        While the sink keeps up it is called by the connection itself, and no task is woken for a piece.
        """
        try:
            while (piece := await self._next_or_push(sink)) is not None:
                verdict = sink(piece) if piece else self._verdict
                if verdict is False:
                    return
                if verdict is not True:
                    await verdict
        finally:
            self._sink = None

    async def _next_or_push(self, sink: Sink) -> bytes | None:
        """The next buffered piece; without one, let the connection push. Empty: the sink stopped it by its last verdict."""
        while not self._body:
            if self.is_complete:
                if self._error is not None:
                    raise self._error
                return None
            self._sink, self._verdict = sink, True
            await self.wait()
            self._sink = None
            if self._verdict is not True:
                return b""
        return self._take()

    def _push(self, sink: Sink, data: bytes) -> None:
        try:
            verdict = sink(data)
        except GatewayError as error:
            self.abort(error)
            return
        if verdict is not True:
            self._sink, self._verdict = None, verdict
            self._wake()

    def finish(self) -> None:
        """Read no more, but let the reply end; see `ports.Exchange`."""
        if not self.is_complete:
            self._sink = _discard
            self._body.clear()
            self.deadline = self.total_deadline = self.loop.time() + FINISH_S
            if self.pause is not None:
                self.pause(False)

    def _take(self) -> bytes:
        piece = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._buffered = 0
        if self.pause is not None:
            self.pause(False)
            self.deadline = min(self.loop.time() + self.idle_timeout_s, self.total_deadline)
        return piece

    def change(self) -> Awaitable[None]:
        """What is done once something has happened: the head is there, a piece came, the end, be it a bad one."""
        waiter = self._waiter = self.loop.create_future()
        if self._error is not None:
            waiter.set_result(None)
        return waiter

    def check(self) -> None:
        """See that nothing has gone wrong before what has come.

        Raises:
            UpstreamError: It did.
        """
        if self._error is not None and not self._body:
            raise self._error

    async def wait(self) -> None:
        """Wait until something has happened.

        Raises:
            UpstreamError: It went wrong.
        """
        await self.change()
        self.check()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def began(self, status: int, encoding: bytes | None) -> None:
        """The connection has read the head."""
        self.status = status
        if encoding is not None and encoding not in (b"", b"identity"):
            self._decompress = _decompressor(encoding)
            if self._decompress is None:
                self.abort(UpstreamInvalid("The provider compressed its reply in a way nobody asked for."))
                return
        self._wake()

    def received(self, data: bytes) -> None:
        """The connection has read a part of the body."""
        if self._decompress is not None:
            try:
                data = self._decompress(data, self._max_body_bytes + 1)
            except zlib.error:
                self.abort(UpstreamInvalid("The provider's compressed reply cannot be read."))
                return
        if self._sink is not None:
            self._push(self._sink, data)
            return
        self._seen += len(data)
        self._buffered += len(data)
        if self._is_whole or len(data) > self._max_body_bytes:
            if self._seen > self._max_body_bytes:
                self.abort(UpstreamInvalid(f"The provider's reply is larger than {self._max_body_bytes} bytes."))
                return
        elif self._buffered > HIGH_WATER_BYTES and self.pause is not None:
            self.pause(True)
            self.deadline = self.total_deadline  # it is the caller who is slow now
        self._body.append(data)
        if not self._is_whole:
            self._wake()

    def completed(self) -> None:
        """The connection has read the end of the body, and is no longer ours."""
        self.is_complete = True
        self.let_go = self.pause = None
        self._wake()

    def broke_off(self) -> None:
        """The connection was lost before the reply was complete."""
        self._fail(UpstreamBroken("The provider closed the connection before its reply was complete."))

    def abort(self, error: GatewayError) -> None:
        """Stop at once; see `ports.Exchange`."""
        if self.is_complete:
            return
        self._body.clear()
        let_go = self.let_go
        self._fail(error)
        if let_go is not None:
            let_go()

    def close(self) -> None:
        """Let go of the reply; see `ports.Exchange`."""
        if not self.is_complete and self._sink is not _discard:
            self.abort(UpstreamBroken("The reply was let go of."))

    def _fail(self, error: GatewayError) -> None:
        if not self.is_complete:
            self._error = error
            self.completed()


def _discard(piece: bytes) -> bool:
    return True


def _decompressor(encoding: bytes) -> Callable[[bytes, int], bytes] | None:
    if encoding in (b"gzip", b"x-gzip"):
        return zlib.decompressobj(wbits=31).decompress
    if encoding == b"deflate":
        return zlib.decompressobj().decompress
    return None
