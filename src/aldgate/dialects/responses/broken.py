"""The end of a stream that broke off: its last event continues the count, and tells of the response that was begun."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.dialects.responses.pen import DONE, Pen
from aldgate.dialects.sse import EventReader

Object = dict[str, Any]

LATE = 1_000_000_000
"""Number of a failure that was written by somebody who had not counted: numbers must only grow."""


class _Event(msgspec.Struct):
    type: str = ""
    sequence_number: int = -1
    response: Object | None = None


_event = msgspec.json.Decoder(_Event)


def is_broken(last: bytes) -> bool:
    """Whether a stream's last piece ends in a failure that was not counted."""
    return b'"sequence_number":%d,' % LATE in last


def mended(first: bytes, latest: bytes, last: bytes) -> bytes:
    """`last` with its failure in its place.

    Args:
        first: The piece that the stream began with.
        latest: The piece before `last`.
        last: Perhaps some events, and the failure.
    """
    *events, failed = _events(last)
    number = max((event.sequence_number for event in (*_events(latest or first), *events)), default=-1) + 1
    empty: Object = {}
    begun = next((event.response for event in _events(first) if event.response is not None), empty)
    told = failed.response or empty
    response = {**told, **begun, "status": "failed", "error": told.get("error")}
    kept = last[: last.rindex(b"event: response.failed")]
    return kept + Pen(number).lifecycle("failed", response) + DONE


def _events(piece: bytes) -> list[_Event]:
    return [_event.decode(payload) for payload in EventReader().feed(piece) if payload != b"[DONE]"]
