"""A reply that was read before it is passed on, because something in its head belongs into its body."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.providers.held import HeldReply
from aldgate.upstream.reply import Reply

_LONGEST_FAULT_BYTES = 65_536


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
