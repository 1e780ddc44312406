"""Follows what passes from a Gemini provider to a Gemini caller: what it costs, and whether it ended properly."""

from __future__ import annotations

import msgspec

from aldgate.core.errors import GatewayError, UpstreamBroken, UpstreamInvalid
from aldgate.core.principals import Operation
from aldgate.core.usage import Usage
from aldgate.dialects.gemini.errors import Status, error_in_reply
from aldgate.dialects.gemini.frames import MAX_EVENT_BYTES, Frames
from aldgate.dialects.gemini.usage import UsageMetadata
from aldgate.dialects.sse import EventReader


class _Content(msgspec.Struct):
    parts: list[msgspec.Raw] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Response(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: UsageMetadata | None = None
    error: Status | None = None

    def is_last(self) -> bool:
        """It says why the answer ended, or that there will be none."""
        if self.prompt_feedback is not None and self.prompt_feedback.block_reason and not self.candidates:
            return True
        return any(candidate.finish_reason for candidate in self.candidates or ())

    def said(self) -> int:
        """Bytes of what it says."""
        contents = [candidate.content for candidate in self.candidates or () if candidate.content is not None]
        return sum(len(bytes(part)) for content in contents for part in content.parts or ())


_response = msgspec.json.Decoder(_Response | list[_Response])


def _decoded(payload: bytes) -> _Response:
    try:
        given = _response.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid("The provider sent what is no response of this API.") from None
    reply = given if isinstance(given, _Response) else given[0] if len(given) == 1 else None
    if reply is None:
        raise UpstreamInvalid("The provider's reply is a list.")
    if reply.error is not None:
        raise error_in_reply(reply.error)
    return reply


class Relay:
    """Implements `ports.Relay`.

    Args:
        frames: How the caller wants a stream cut; providers are always asked for events.
    """

    def __init__(self, operation: Operation, frames: Frames) -> None:
        self._operation = operation
        self._frames = frames
        self._reader = EventReader(MAX_EVENT_BYTES)
        self._has_finished = False
        self.usage: Usage | None = None
        self.delivered = 0
        self.is_done = False
        self.failure: GatewayError | None = None

    def whole(self, body: bytes) -> bytes:
        """The reply as it came; see `ports.Relay`."""
        reply = _decoded(body)
        self._meter(reply)
        if self.usage is None and self._operation != "embed":
            self.delivered = -(-reply.said() // 4)
        self.is_done = True
        return body

    def feed(self, piece: bytes) -> bytes:
        """The whole responses of `piece`, framed anew: comments and marks of others would break Google's clients."""
        return self._sift(self._reader.feed(piece))

    def end(self) -> bytes:
        """The body is over; see `ports.Relay`."""
        owed = self._sift(self._reader.end())
        if self.failure is not None:
            raise self.failure
        if not self._has_finished:
            raise UpstreamBroken("The provider's stream ended before the answer did.")
        self.is_done = True
        return owed + self._frames.end()

    def _sift(self, payloads: list[bytes]) -> bytes:
        kept: list[bytes] = []
        for payload in payloads:
            try:
                reply = _decoded(payload)
            except GatewayError as error:
                if not kept:
                    raise  # nothing was said yet that would be worth passing on
                self.failure = error
                break
            self._meter(reply)
            self.delivered += -(-reply.said() // 16) if reply.said() else 0
            if self.usage is not None and self.usage.output_tokens > self.delivered:
                self.delivered = self.usage.output_tokens
            kept.append(self._frames.write(payload.replace(b"\n", b" ") if b"\n" in payload else payload))
        return b"".join(kept)

    def _meter(self, reply: _Response) -> None:
        if reply.usage_metadata is not None:
            self.usage = reply.usage_metadata.canonical()
        self._has_finished = self._has_finished or reply.is_last()
