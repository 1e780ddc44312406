"""A reply of Ollama's on its way to a caller of Ollama's: the very bytes, and what they cost."""

from __future__ import annotations

import msgspec

from aldgate.core.errors import GatewayError, UpstreamBroken, UpstreamError
from aldgate.core.usage import Usage
from aldgate.dialects.lines import LineReader
from aldgate.dialects.ollama.errors import error_in_stream, no_reply
from aldgate.dialects.ollama.pieces import Piece, read_piece


class PassThrough:
    """Implements `ports.Relay` for chats and embeddings: each whole line as it came."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.delivered = 0
        self.is_done = False
        self.failure: GatewayError | None = None
        self._lines = LineReader()

    def whole(self, body: bytes) -> bytes:
        """See `ports.Relay`."""
        fault, piece = _read(body)
        if fault is not None:
            raise fault
        self.usage = piece.usage
        said = piece.message
        text = (piece.response or "") + (piece.thinking or "")
        if said is not None:
            text += (said.content or "") + (said.thinking or "")
            text += "".join(call.function.name + call.function.text for call in said.tool_calls or ())
        self.delivered = -(-len(text.encode()) // 4)
        return body

    def feed(self, piece: bytes) -> bytes:
        """See `ports.Relay`."""
        return self._pass(self._lines.feed(piece))

    def end(self) -> bytes:
        """See `ports.Relay`."""
        owed = self._pass(self._lines.end())
        if self.failure is not None:
            raise self.failure
        if not self.is_done:
            raise UpstreamBroken("The provider's stream ended before the answer did.")
        return owed

    def _pass(self, lines: list[bytes]) -> bytes:
        kept: list[bytes] = []
        for line in lines:
            if self.is_done or self.failure is not None:
                break
            fault, piece = _read(line)
            if fault is not None:
                if not self.delivered:
                    raise fault  # nothing was said yet that would be worth passing on
                self.failure = fault
                break
            self.delivered += piece.says_something
            self.usage = piece.usage or self.usage
            self.is_done = piece.done
            kept.append(line + b"\n")
        return b"".join(kept)


def _read(line: bytes) -> tuple[UpstreamError | None, Piece]:
    fault = error_in_stream(line)
    if fault is not None:
        return fault, Piece()
    try:
        return None, read_piece(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise no_reply() from None
