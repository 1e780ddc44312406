"""The builtin engines' `Exchange`: pieces made as they are pulled, paced if the options say so."""

import asyncio
from collections.abc import Iterator

from aldgate.core.errors import GatewayError, UpstreamBroken
from aldgate.engines.builtin.pause import Later, Pause, call_later
from aldgate.ports import Sink

Piece = tuple[int, bytes]
"""How many words' time a piece takes to make, and its bytes."""

PIECES_PER_TURN = 32
JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"


class Reply:
    """A reply that is computed instead of received.

    Args:
        pieces: The body; pulled one at a time, so that what nobody reads is never made.
        content_type: Value of the `content-type` header.
        word_s: Seconds each word takes; with 0 nothing here yields to the loop.
        later: Where time comes from.
    """

    status = 200

    def __init__(self, pieces: Iterator[Piece], content_type: bytes, word_s: float = 0, later: Later = call_later) -> None:
        self._pieces = pieces
        self._content_type = content_type
        self._word_s = word_s
        self._pause = Pause(later)
        self._failure: GatewayError | None = None

    def header(self, name: bytes) -> bytes | None:
        """The value of `content-type`; there is no other header."""
        return self._content_type if name == b"content-type" else None

    async def next(self) -> bytes | None:
        """The next piece, when its time has come.

        Raises:
            GatewayError: What `abort` was given, or `UpstreamBroken` after `close`.
        """
        if self._failure:
            raise self._failure
        words, piece = next(self._pieces, (0, None))
        if words and self._word_s:
            await self._pause.wait(words * self._word_s)
        return piece

    async def read(self) -> bytes:
        """All pieces. Raises as `next` does."""
        pieces: list[bytes] = []
        while (piece := await self.next()) is not None:
            pieces.append(piece)
        return b"".join(pieces)

    async def pipe(self, sink: Sink) -> None:
        """Each piece into `sink`, until there is none or it has enough. Raises as `next` does."""
        made = 0
        while (piece := await self.next()) is not None:
            verdict = sink(piece)
            if verdict is False:
                return
            if verdict is not True:
                await verdict
            made += 1
            if not made % PIECES_PER_TURN:
                await asyncio.sleep(0)  # a caller that reads fast must not keep the loop to itself

    def finish(self) -> None:
        """Make no more pieces."""
        self.close()

    def abort(self, error: GatewayError) -> None:
        """Stop at once: whoever waits, or pulls again, gets `error`. The first error stays."""
        self._failure = self._failure or error
        self._pause.end(self._failure)

    def close(self) -> None:
        """Make no more pieces."""
        self.abort(UpstreamBroken("The reply was closed before its end."))
