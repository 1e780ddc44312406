"""How Gemini cuts a stream: bare `data:` events, or one JSON array that grows.

Google's clients break on anything else: no comments, no event names, no end mark but the end of the body
(https://ai.google.dev/api#method:-models.streamgeneratecontent).
"""

from __future__ import annotations

MAX_EVENT_BYTES = 33_554_432
"""A single event may not be larger; a generated image is one event of a few megabytes."""


class EventFrames:
    """Writes objects as server-sent events."""

    def write(self, payload: bytes) -> bytes:
        """One object."""
        return b"data: " + payload + b"\r\n\r\n"

    def end(self) -> bytes:
        """Nothing: the body's end is the stream's."""
        return b""


class ArrayFrames:
    """Writes objects as the items of an array."""

    __slots__ = ("_has_begun",)

    def __init__(self) -> None:
        self._has_begun = False

    def write(self, payload: bytes) -> bytes:
        """One object, whole with what separates it from the one before."""
        mark = b",\r\n" if self._has_begun else b"["
        self._has_begun = True
        return mark + payload

    def end(self) -> bytes:
        """The array's end."""
        return b"]" if self._has_begun else b"[]"


Frames = EventFrames | ArrayFrames
