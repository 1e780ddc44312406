"""A reply that was read before it is passed on, because something in its head belongs into its body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from aldgate.core.errors import GatewayError, UpstreamBroken
from aldgate.ports import Sink
from aldgate.upstream.reply import Reply

_LONGEST_FAULT_BYTES = 65_536


class HeldReply:
    """Implements `ports.Exchange` for a body that is all here."""

    def __init__(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> None:
        self.status = status
        self._headers = headers
        self._body: bytes | None = body
        self._error: GatewayError | None = None

    def header(self, name: bytes) -> bytes | None:
        """See `ports.Exchange`."""
        return self._headers.get(name)

    async def next(self) -> bytes | None:
        """The body, once; see `ports.Exchange`."""
        if self._error is not None:
            raise self._error
        body, self._body = self._body, None
        return body

    async def read(self) -> bytes:
        """See `ports.Exchange`."""
        return await self.next() or b""

    async def pipe(self, sink: Sink) -> None:
        """See `ports.Exchange`."""
        if (body := await self.next()) is not None:
            verdict = sink(body)
            if not isinstance(verdict, bool):
                await verdict

    def abort(self, error: GatewayError) -> None:
        """See `ports.Exchange`."""
        self._error = self._error or error

    def finish(self) -> None:
        """See `ports.Exchange`."""
        self.close()

    def close(self) -> None:
        """See `ports.Exchange`."""
        self.abort(UpstreamBroken("The reply was let go of."))


async def typed(reply: Reply) -> HeldReply:
    """An error with its kind in the body, where the dialect reads it."""
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < _LONGEST_FAULT_BYTES and (piece := await reply.next()) is not None:
        pieces.append(piece)
    body = b"".join(pieces)
    kind = reply.header(b"x-amzn-errortype")
    if kind is not None:
        try:
            said = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = {}
        body = msgspec.json.encode({**said, "__type": kind.decode("latin-1")})
    return HeldReply(reply.status, reply.headers, body)


async def counted(reply: Reply) -> HeldReply:
    """An invocation's answer with the tokens it counted in the body; some models say that only in the head."""
    body = await reply.read()
    count = reply.header(b"x-amzn-bedrock-input-token-count")
    if count is not None and count.isdigit() and b'"inputTextTokenCount"' not in body and body.endswith(b"}"):
        body = b'%b,"inputTextTokenCount":%b}' % (body[:-1], count)
    return HeldReply(reply.status, reply.headers, body)
