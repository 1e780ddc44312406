"""Server-sent events out of bytes that may be cut anywhere (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from aldgate.core.errors import UpstreamInvalid

MAX_EVENT_BYTES = 4_194_304
"""A single event of a stream may not be larger; images in chunks are the largest seen."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventReader:
    """Collects pieces and returns the data of each event that is complete. Comments, names and ids are not data."""

    __slots__ = ("_carry", "_most_bytes", "_size")

    def __init__(self, most_bytes: int = MAX_EVENT_BYTES) -> None:
        self._carry: list[bytes] = []
        self._size = 0
        self._most_bytes = most_bytes

    def feed(self, piece: bytes) -> list[bytes]:
        """The payloads of the events that are complete now.

        Raises:
            UpstreamInvalid: An event does not end within `most_bytes`.
        """
        if not self._carry and piece.endswith(b"\n\n") and piece.startswith(b"data: ") and piece.find(b"\n") == len(piece) - 2:
            return [piece[6:-2]]  # the commonest piece by far: one event in one line
        self._carry.append(piece)
        self._size += len(piece)
        if b"\n" not in piece:  # nothing ends here: images come in many such pieces
            self._check()
            return []
        data = b"".join(self._carry)
        held = b"\r" if data.endswith(b"\r") else b""  # its line feed may be in the next piece
        *events, rest = data.removesuffix(held).replace(b"\r\n", b"\n").split(b"\n\n")
        self._size = len(rest) + len(held)
        self._carry = [rest + held] if self._size else []
        self._check()
        return [payload for event in events if (payload := _payload(event))]

    def _check(self) -> None:
        if self._size > self._most_bytes:
            raise UpstreamInvalid("The provider sent an event that does not end.")

    def end(self) -> list[bytes]:
        """The payload of a last event that nothing followed."""
        payload = _payload(b"".join(self._carry).replace(b"\r\n", b"\n"))
        self._carry, self._size = [], 0
        return [payload] if payload else []


def _payload(event: bytes) -> bytes:
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = event.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")).strip()
