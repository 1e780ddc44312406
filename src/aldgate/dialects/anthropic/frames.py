"""Server-sent events of the Messages API, read and written.

Each is an `event:` line and one of `data:` (https://platform.claude.com/docs/en/build-with-claude/streaming). Readers go by the
`type` within the data, as servers in the wild leave the name out; Anthropic's SDKs go by the name, so it is always written.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from aldgate.core.errors import UpstreamInvalid

MAX_EVENT_BYTES = 4_194_304
"""A single event of a stream may not be larger."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_encode = msgspec.json.Encoder().encode


def frame(name: str, data: dict[str, Any]) -> bytes:
    """One event; `type` is put first."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode({"type": name, **data}))


class Frames:
    """Gathers whole events from pieces that may be cut at any byte."""

    __slots__ = ("_carry",)

    def __init__(self) -> None:
        self._carry = b""

    def feed(self, piece: bytes) -> bytes:
        """The whole events that are there now, as they came.

        Raises:
            UpstreamInvalid: An event does not end.
        """
        data = self._carry + piece if self._carry else piece
        end = _last_event_end(data)
        self._carry = data[end:]
        if len(self._carry) > MAX_EVENT_BYTES:
            raise UpstreamInvalid("The provider sent an event that does not end.")
        return data if end == len(data) else data[:end]

    def rest(self) -> bytes:
        """What came after the last whole event, ended as one. Only to be asked once the body is over."""
        rest, self._carry = self._carry.strip(), b""
        return rest + b"\n\n" if rest else b""


def payloads(events: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each event as it came (ended by a blank line), and its data; comments and events without data have none."""
    if b"\r" in events:
        events = events.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for event in events.split(b"\n\n"):
        if not event:
            continue
        lines = [line for line in event.removeprefix(_BYTE_ORDER_MARK).split(b"\n") if line.startswith(b"data:")]
        yield event + b"\n\n", lines[0][5:].strip() if len(lines) == 1 else b"\n".join(line[5:].strip() for line in lines)


def _last_event_end(data: bytes) -> int:
    if data.endswith(b"\n\n"):
        return len(data)
    return max(data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0, data.rfind(b"\n\r\n") + 3 if b"\n\r\n" in data else 0)
