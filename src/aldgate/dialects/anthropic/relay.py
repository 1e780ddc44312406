"""Follows replies of the Messages API whose bytes pass through to a caller of the same dialect."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.errors import GatewayError, UpstreamBroken, UpstreamInvalid
from aldgate.core.usage import Usage
from aldgate.dialects.anthropic.errors import ErrorBody, error_in_reply
from aldgate.dialects.anthropic.frames import Frames, frame, payloads
from aldgate.dialects.anthropic.usage import WireUsage

_DELTA = b"event: content_block_delta"
_DELTA_OVERHEAD = 120
"""Bytes of a delta's event around its text, about."""


class _Whole(msgspec.Struct):
    content: list[Any] = []
    usage: WireUsage | None = None
    error: ErrorBody | str | None = None


class _Start(msgspec.Struct):
    usage: WireUsage | None = None


class _Delta(msgspec.Struct):
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    message: _Start | None = None
    delta: _Delta | None = None
    usage: WireUsage | None = None
    error: ErrorBody | str | None = None


_whole = msgspec.json.Decoder(_Whole)
_event = msgspec.json.Decoder(_Event)


class MessagesRelay:
    """Implements `ports.Relay`: whole events pass on as the bytes that came.

    `message_start` waits for what follows it, so that a provider that is overloaded before it says anything can be
    replaced by another.
    """

    __slots__ = ("_frames", "_has_ended", "_held", "_reported", "delivered", "failure", "is_done", "usage")

    def __init__(self) -> None:
        self._frames = Frames()
        self._held = b""
        self._reported = WireUsage()
        self._has_ended = False
        self.usage: Usage | None = None
        self.delivered = 0
        self.is_done = False
        self.failure: GatewayError | None = None

    def whole(self, body: bytes) -> bytes:
        """See `ports.Relay`."""
        try:
            seen = _whole.decode(body)
        except msgspec.ValidationError:
            if not body.lstrip().startswith(b"{"):
                raise _not_a_message() from None
            self.delivered = len(body) // 4  # an object, but an odd one: whoever asked for it may know what it means
            return body
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _not_a_message() from None
        if seen.error is not None:
            raise error_in_reply(seen.error)
        self.usage = seen.usage.canonical() if seen.usage else None
        self.delivered = -(-len(msgspec.json.encode(seen.content)) // 4) if seen.content else 0
        self.is_done = True
        return body

    def feed(self, piece: bytes) -> bytes:
        """See `ports.Relay`."""
        return self._pass_on(self._frames.feed(piece))

    def end(self) -> bytes:
        """See `ports.Relay`."""
        if self.is_done:
            return b""
        owed = self._pass_on(self._frames.rest())
        if self.failure is not None:
            raise self.failure
        if self.is_done:
            return owed
        if not self._has_ended:
            raise UpstreamBroken("The provider's stream ended before the answer did.")
        self.is_done = True
        return self._held + owed + frame("message_stop", {})

    def _pass_on(self, events: bytes) -> bytes:
        if not events or self.is_done:
            return b""
        if events.startswith(_DELTA) and not self._held and events.count(b"\n\n") == 1:  # the commonest piece by far
            self._count(events)
            return events
        kept: list[bytes] = []
        for event, payload in payloads(events):
            try:
                kept.append(self._follow(event, payload) if payload else event)
            except GatewayError as error:
                if not self.delivered:
                    raise
                self.failure = error
                break
            if self.is_done:
                break
        out = self._held + b"".join(kept)
        if not (self.delivered or self._has_ended or self.is_done):
            self._held = out
            return b""
        self._held = b""
        return out

    def _follow(self, event: bytes, payload: bytes) -> bytes:
        """Take note of an event; returns it with its name in front, where the provider left that out: the SDKs go by it."""
        if event.startswith(_DELTA):
            self._count(event)
            return event
        try:
            seen = _event.decode(payload)
        except msgspec.ValidationError:
            self.delivered += 1  # an object, but an odd one
            return event
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamInvalid("The provider sent an event that is none of a message.") from None
        if seen.type == "error" or seen.error is not None:
            raise error_in_reply(seen.error or ErrorBody())
        self._note(seen, event)
        name = b"event: %b\n" % seen.type.encode()
        return event if event.startswith(name) or not seen.type else name + b"data: %b\n\n" % payload

    def _note(self, seen: _Event, event: bytes) -> None:
        if seen.type == "message_start":
            self._report((seen.message and seen.message.usage) or WireUsage())
        elif seen.type == "message_delta":
            self._finish(seen)
        elif seen.type == "message_stop":
            self.is_done = True
        elif seen.type == "content_block_delta":
            self._count(event)
        elif seen.type == "content_block_start":
            self.delivered += 1

    def _finish(self, seen: _Event) -> None:
        if seen.usage is not None:
            self._report(self._reported.replaced_by(seen.usage))
        if seen.delta is not None and seen.delta.stop_reason is not None:
            self._has_ended = True

    def _report(self, usage: WireUsage) -> None:
        self._reported = usage
        self.usage = usage.canonical() if usage.prompt_tokens or usage.output_tokens else None

    def _count(self, event: bytes) -> None:
        self.delivered += max(1, (len(event) - _DELTA_OVERHEAD) // 4)


def _not_a_message() -> UpstreamInvalid:
    return UpstreamInvalid("The provider's reply is not a message.")
