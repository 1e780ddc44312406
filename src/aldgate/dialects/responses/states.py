"""What becomes of a response that nobody waits for: its states as responses, and the events that end it. Pure.

https://platform.openai.com/docs/guides/background
"""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.errors import GatewayError, InternalError
from aldgate.dialects.responses.errors import error_of
from aldgate.dialects.responses.pen import DONE, Pen
from aldgate.dialects.sse import EventReader

Object = dict[str, Any]

LOST = InternalError("The gate was stopped before the response had ended; ask again.")
"""What became of a response whose process is gone."""


class _Event(msgspec.Struct):
    sequence_number: int = -1


class _Background(msgspec.Struct):
    background: bool | None = None


_event = msgspec.json.Decoder(_Event)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_background = msgspec.json.Decoder(_Background)


def is_background(response: bytes) -> bool:
    """Whether a response was asked for in the background."""
    return _background.decode(response).background is True


def in_state(response: bytes, status: str, error: GatewayError | None = None) -> bytes:
    """The response as it is in another state."""
    changed: Object = {**_members.decode(response), "status": status}
    if error is not None:
        changed["error"] = error_of(error)
    return msgspec.json.encode(changed)


def ending(latest: bytes, status: str, response: bytes) -> bytes:
    """The end of a stream that stopped after `latest`, its latest events; it continues their count."""
    numbers = [_event.decode(payload).sequence_number for payload in EventReader().feed(latest)]
    return Pen(max(numbers, default=-1) + 1).lifecycle(status, msgspec.json.decode(response)) + DONE
