"""The events of one stream as they went out, for callers who come back for them."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable
from typing import cast

from aldgate.core.errors import Shedding
from aldgate.dialects.responses.replay import later
from aldgate.ports import ByteBound
from aldgate.surfaces.http.asgi import Headers, Outlet

MOST_BYTES = 16_777_216
"""Of a longer stream the rest is not remembered, but for its end."""
STEP_BYTES = 8_192
"""What is taken of the bound at once, so that an event costs no more than an addition."""
QUICK_BYTES = 16_384
"""So much is packed at once; more in a thread, so that other calls go on."""


class EventLog:
    """Remembers events, each piece a number of whole ones, and tells them to any number of followers. An `Outlet`, too.

    Args:
        bound: The bound on all events that are remembered; where there is no room in it, nothing but memory is lost.

    Attributes:
        headers: Of the answer, once it has begun.
        is_whole: Nothing was left out.
        is_ended: The last piece is there.
    """

    is_lost = False

    def __init__(self, bound: ByteBound) -> None:
        self.headers: Headers | None = None
        self.is_whole = True
        self.is_ended = False
        self._bound = bound
        self._held = 0
        self._size = 0
        self._pieces: list[bytes] = []
        self._news: asyncio.Future[None] | None = None

    def add(self, piece: bytes) -> None:
        """Remember a piece, if there is room."""
        if self.is_whole and self._has_room(len(piece)):
            self._pieces.append(piece)
            self._wake()

    def _has_room(self, more: int) -> bool:
        self._size += more
        if self._size <= self._held:
            return True
        step = max(STEP_BYTES, self._size - self._held)
        try:
            if self._size > MOST_BYTES:
                raise Shedding("The stream is too long to be remembered.")
            self._bound.take(step)
        except Shedding:
            self.is_whole = False
            return False
        self._held += step
        return True

    def begin(self, status: int, headers: Headers) -> None:
        """See `Outlet`."""
        self.headers = headers
        self._wake()

    def write(self, piece: bytes) -> Awaitable[None] | bool:
        """See `Outlet`; never has to be waited for."""
        self.add(piece)
        return True

    def end(self, piece: bytes) -> None:
        """Remember the last piece, for which there is always room."""
        self._pieces.append(piece)
        self.is_ended = True
        self._wake()

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set_result(None)
            self._news = None

    async def _wait(self) -> None:
        self._news = self._news or asyncio.get_running_loop().create_future()
        await asyncio.shield(self._news)  # followers share it: one that leaves must not take it from the others

    async def begun(self) -> Headers:
        """The headers of the answer, as soon as there are any; none if it ends before."""
        while self.headers is None and not self.is_ended:
            await self._wait()
        return self.headers or []

    async def follow(self, outlet: Outlet, after: int | None) -> None:
        """Tell all events numbered above `after` (None: all), as they come, to the end."""
        place = 0
        while True:
            while place == len(self._pieces):
                await self._wait()
            piece = self._pieces[place]
            place += 1
            told = piece if after is None else later(piece, after)
            if self.is_ended and place == len(self._pieces):
                return outlet.end(told)
            verdict = outlet.write(told) if told else True
            if verdict is not True:
                await cast(Awaitable[None], verdict)

    async def packed(self, last: bytes) -> bytes | None:
        """All events with the `last` ones, to be kept; None if some are missing."""
        if not self.is_whole:
            return None
        events = b"".join(self._pieces) + last
        return zlib.compress(events) if len(events) <= QUICK_BYTES else await asyncio.to_thread(zlib.compress, events)

    def release(self) -> None:
        """Give back what was taken of the bound."""
        self._bound.release(self._held)
        self._held = 0


def unpacked(events: bytes, after: int | None) -> bytes:
    """Kept events, those numbered above `after`."""
    told = zlib.decompress(events)
    return told if after is None else later(told, after)
