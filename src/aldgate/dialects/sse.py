"""Server-sent events out of bytes that may be cut anywhere (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from aldgate.core.errors import UpstreamInvalid

MAX_EVENT_BYTES = 4_194_304
"""A single event of a stream may not be larger; images in chunks are the largest seen."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventReader:
    """Collects pieces and returns the data of each event that is complete. Comments, names and ids are not data."""

    __slots__ = ("_carry",)

    def __init__(self) -> None:
        self._carry = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """The payloads of the events that are complete now.

        Raises:
            UpstreamInvalid: An event does not end within `MAX_EVENT_BYTES`.
        """
        if not self._carry and piece.endswith(b"\n\n") and piece.startswith(b"data: ") and piece.find(b"\n") == len(piece) - 2:
            return [piece[6:-2]]  # the commonest piece by far: one event in one line
        data = (self._carry + piece).replace(b"\r\n", b"\n")
        if data.endswith(b"\r"):  # its line feed may be in the next piece
            data, held = data[:-1], b"\r"
        else:
            held = b""
        *events, rest = data.split(b"\n\n")
        self._carry = rest + held
        if len(self._carry) > MAX_EVENT_BYTES:
            raise UpstreamInvalid("The provider sent an event that does not end.")
        return [payload for event in events if (payload := _payload(event))]

    def end(self) -> list[bytes]:
        """The payload of a last event that nothing followed."""
        rest, self._carry = self._carry, b""
        payload = _payload(rest.replace(b"\r\n", b"\n"))
        return [payload] if payload else []


def _payload(event: bytes) -> bytes:
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = event.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")).strip()
