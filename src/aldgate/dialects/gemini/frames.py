"""How Gemini cuts a stream: bare `data:` events, or one JSON array that grows.

Google's clients break on anything else: no comments, no event names, no end mark but the end of the body
(https://ai.google.dev/api#method:-models.streamgeneratecontent).
"""

from __future__ import annotations

from aldgate.core.errors import UpstreamInvalid

MAX_EVENT_BYTES = 33_554_432
"""A single event may not be larger; a generated image is one event of a few megabytes."""


class EventSplitter:
    """The payloads of a stream of server-sent events, however the wire cut it."""

    __slots__ = ("_held", "_size")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The payloads that are complete now.

        Raises:
            UpstreamInvalid: An event does not end.
        """
        if not self._held and piece.startswith(b"data: ") and piece.endswith(b"\r\n\r\n") and piece.count(b"\n") == 2:
            return [piece[6:-4]]  # as Google sends it
        self._held.append(piece)
        self._size += len(piece)
        if self._size > MAX_EVENT_BYTES:
            raise UpstreamInvalid("The provider sent an event that does not end.")
        if b"\n" not in piece:
            return []
        data = b"".join(self._held)
        held = data[-1:] if data.endswith(b"\r") else b""  # its line feed is still to come
        *events, rest = data[: len(data) - len(held)].replace(b"\r\n", b"\n").split(b"\n\n")
        self._held = [rest + held] if rest or held else []
        self._size = len(rest) + len(held)
        return [payload for event in events if (payload := _payload(event))]

    def end(self) -> list[bytes]:
        """What was not ended by an empty line."""
        rest = b"".join(self._held).replace(b"\r\n", b"\n")
        self._held, self._size = [], 0
        return [payload for event in rest.split(b"\n\n") if (payload := _payload(event))]


def _payload(event: bytes) -> bytes:
    lines = [line for line in event.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(line[5:].strip() for line in lines)


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
