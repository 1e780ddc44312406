"""Responses that pass through as they come: only usage, the end and failures are read, and what the gate keeps is put back."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.errors import GatewayError, UpstreamBroken
from aldgate.core.usage import Usage
from aldgate.dialects.governed import with_members
from aldgate.dialects.openai.errors import error_in_reply
from aldgate.dialects.responses.answers import parts_of, read_body
from aldgate.dialects.responses.decoder import TERMINAL, StreamEvent, read_event
from aldgate.dialects.responses.pen import DONE
from aldgate.dialects.responses.requests import governed
from aldgate.dialects.responses.written import response_id
from aldgate.dialects.sse import EventReader

Object = dict[str, Any]

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class ResponsesRelay:
    """Implements `ports.Relay`.

    A request that continued a kept response went out with all of its items instead; the answer names that response again. One
    that runs in the background went out as one that is waited for, and has had its id before the provider gave it another.
    """

    def __init__(self, call_id: str, peek: Peek) -> None:
        self.usage: Usage | None = None
        self.delivered = 0
        self.is_done = False
        self.failure: GatewayError | None = None
        self._reader = EventReader()
        self._kept = _kept(call_id, peek)

    def whole(self, body: bytes) -> bytes:
        """See `ports.Relay`."""
        response = read_body(body)
        self.usage = response.used
        said = (part for item in response.output for part in parts_of(item))
        self.delivered = -(-sum(len(msgspec.json.encode(part)) for part in said) // 4)
        return with_members(body, self._kept) if self._kept else body

    def feed(self, piece: bytes) -> bytes:
        """See `ports.Relay`."""
        out: list[bytes] = []
        for payload in self._reader.feed(piece):
            if self.is_done or self.failure is not None:
                break
            out.append(self._pass(payload))
        return b"".join(out)

    def end(self) -> bytes:
        """See `ports.Relay`."""
        out = b"".join(self._pass(payload) for payload in self._reader.end() if not self.is_done)
        if self.failure is not None:
            raise self.failure
        if not self.is_done:
            raise UpstreamBroken("The provider's stream ended before the answer did.")
        return out

    def _pass(self, payload: bytes) -> bytes:
        if payload == b"[DONE]":
            return b""
        event = read_event(payload)
        fault = event.fault
        if fault is not None:
            if not self.delivered:
                raise fault
            self.failure = fault
            return b""
        if not event.type:
            raise error_in_reply("The provider sent an event without a type.")
        self._count(event)
        if event.response is not None and self._kept:
            payload = self._restored(payload)
        return b"event: %b\ndata: %b\n\n" % (event.type.encode(), payload) + (DONE if self.is_done else b"")

    def _count(self, event: StreamEvent) -> None:
        if event.delta or event.type == "response.output_item.done":
            self.delivered += 1
        if event.type in TERMINAL and event.response is not None:
            self.is_done = True
            self.usage = event.response.used or self.usage

    def _restored(self, payload: bytes) -> bytes:
        members = _members.decode(payload)
        response = msgspec.Raw(with_members(bytes(members["response"]), self._kept))
        return _encode({**members, "response": response})


def _kept(call_id: str, peek: Peek) -> Object:
    """What the answer says otherwise than the provider."""
    if b'"previous_response_id"' not in peek.body and b'"background"' not in peek.body:
        return {}
    wanted = governed(peek)
    kept: Object = {}
    if wanted.previous_response_id is not None:
        kept["previous_response_id"] = wanted.previous_response_id
    if wanted.background:
        kept |= {"id": response_id(call_id), "background": True}
    return kept
