"""One connection to Valkey: what is asked within one turn of the event loop leaves as one write, and replies come in order."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from aldgate.core.errors import StoreUnavailable
from aldgate.limiter.valkey.resp import NotResp, Reader, Reply, ReplyError

OnReply = Callable[[Reply | ConnectionError], None]
"""Is given the reply, or why none will come: the command may have run all the same."""
GRACE_S = 0.01
"""A reply that is overdue may lie unread because this process itself was busy: so much longer it may take to be read."""


class Connection(asyncio.Protocol):
    """A pipeline.

    Args:
        loop: The running loop.
        timeout_s: Seconds within which a command must be answered; if one is not, the connection is closed.
        on_lost: Called once when it is gone, with the reason, after all who wait were told.
    """

    __slots__ = (
        "_is_late",
        "_loop",
        "_on_lost",
        "_reader",
        "_timeout_s",
        "_timer",
        "_transport",
        "_unsent",
        "_waiting",
        "is_lost",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float, on_lost: Callable[["Connection", str], None]) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._reader = Reader()
        self._transport = cast(asyncio.Transport, None)
        self._unsent: list[bytes] = []
        self._waiting: deque[tuple[float, OnReply]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_late = False
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)

    def send(self, command: bytes, on_reply: OnReply) -> None:
        """Send a command with everything else of this turn. If the connection is lost already, `on_reply` hears so at once."""
        if self.is_lost:
            on_reply(ConnectionError("The connection to Valkey is lost."))
            return
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(command)
        self._waiting.append((self._loop.time() + self._timeout_s, on_reply))
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._check)

    async def ask(self, command: bytes) -> Reply:
        """Send a command and wait for its reply.

        Raises:
            StoreUnavailable: There will be none.
        """
        future: asyncio.Future[Reply] = self._loop.create_future()

        def answered(reply: Reply | ConnectionError) -> None:
            if future.done():
                return
            if isinstance(reply, ConnectionError):
                future.set_exception(StoreUnavailable("Valkey did not answer.", retry_after_s=1))
            else:
                future.set_result(reply)

        self.send(command, answered)
        return await future

    def close(self, why: str) -> None:
        """Close at once; all who wait are told why before this returns."""
        self._transport.abort()
        self._lose(why)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self.is_lost:
            self._transport.write(b"".join(unsent))

    def _check(self) -> None:
        """End the connection if its oldest command is overdue: replies come in order, so nothing behind it will come either."""
        self._timer = None
        if not self._waiting:
            return
        left_s = self._waiting[0][0] - self._loop.time()
        if left_s <= 0 and self._is_late:
            self.close(f"Valkey did not answer within {self._timeout_s:g} s.")
            return
        self._is_late = left_s <= 0
        self._timer = self._loop.call_later(GRACE_S if self._is_late else left_s, self._check)

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        self._is_late = False
        try:
            replies = self._reader.feed(data)
        except NotResp as error:
            self.close(str(error))
            return
        for reply in replies:
            if self.is_lost:  # by what a reply before this one led to
                return
            if not self._waiting:
                self.close("Valkey sent a reply that nobody asked for.")
                return
            self._waiting.popleft()[1](reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        self._lose("Valkey closed the connection.")

    def _lose(self, why: str) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, deque()
        for _, on_reply in waiting:
            on_reply(ConnectionError(why))
        self._on_lost(self, why)


def is_error(reply: Reply | ConnectionError, code: str) -> bool:
    """Whether the reply is an error with this code."""
    return isinstance(reply, ReplyError) and str(reply).startswith(code)
