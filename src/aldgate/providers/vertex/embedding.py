"""Embeddings of several texts by models that embed one a request: so many requests, and one reply of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from aldgate.core.errors import UpstreamInvalid
from aldgate.dialects.gemini.vertex import is_predicted, reads_one
from aldgate.ports import Exchange
from aldgate.providers.held import HeldReply
from aldgate.upstream.reply import Reply

AT_ONCE = 8
"""Requests under way for one call."""

Object = dict[str, Any]
Send = Callable[[str, bytes], Awaitable[Reply]]
"""Sends a body to a verb."""


async def embed(model: str, body: bytes, send: Send) -> Exchange:
    """The reply to a body as `dialects.gemini.vertex` builds it. The first request that is refused is the answer.

    Raises:
        UpstreamError: A reply did not come, or is none.
    """
    if is_predicted(model):
        if not reads_one(model):
            return await send("predict", body)
        asked: Object = msgspec.json.decode(body)
        pieces = [msgspec.json.encode({**asked, "instances": [each]}) for each in asked["instances"]]
    else:
        pieces = [msgspec.json.encode(each) for each in msgspec.json.decode(body)["requests"]]
    verb = "predict" if is_predicted(model) else "embedContent"
    if len(pieces) == 1:
        return await send(verb, pieces[0])
    return await _together(pieces, lambda piece: send(verb, piece))


class _Refused(Exception):
    """One of the requests was; `reply` is what came."""

    def __init__(self, reply: HeldReply) -> None:
        super().__init__()
        self.reply = reply


async def _together(pieces: list[bytes], send: Callable[[bytes], Awaitable[Reply]]) -> HeldReply:
    places = asyncio.Semaphore(AT_ONCE)
    has_failed = False

    async def one(piece: bytes) -> Object:
        nonlocal has_failed
        async with places:
            if has_failed:
                return {}  # there will be no answer; what was not asked yet need not be paid
            try:
                return await _piece(await send(piece))
            except BaseException:
                has_failed = True
                raise

    replies = await asyncio.gather(*map(one, pieces), return_exceptions=True)
    for reply in replies:
        if isinstance(reply, _Refused):
            return reply.reply
        if isinstance(reply, BaseException):
            raise reply
    whole = _joined([reply for reply in replies if not isinstance(reply, BaseException)])
    return HeldReply(200, {b"content-type": b"application/json"}, msgspec.json.encode(whole))


async def _piece(reply: Reply) -> Object:
    try:
        body = await reply.read()
    finally:
        reply.close()
    if reply.status != 200:
        raise _Refused(HeldReply(reply.status, reply.headers, body))
    try:
        return msgspec.json.decode(body, type=Object)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid("The provider's reply is not what was asked for.") from None


def _joined(replies: list[Object]) -> Object:
    if "predictions" in replies[0]:
        return {"predictions": [each for reply in replies for each in reply.get("predictions", [])]}
    counted = [reply.get("usageMetadata", {}) for reply in replies]
    totals = {name: sum(each.get(name, 0) for each in counted) for name in ("promptTokenCount", "totalTokenCount")}
    return {"embeddings": [reply.get("embedding", {}) for reply in replies], "usageMetadata": totals}
