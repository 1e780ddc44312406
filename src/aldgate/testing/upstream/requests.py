"""Requests as they arrive: enough HTTP/1.1 to read a head and a `Content-Length` body, strictly."""

import json
from dataclasses import dataclass
from typing import Any

_LENGTH = b"\r\ncontent-length:"
MAX_HEAD_BYTES = 1 << 20


class Malformed(Exception):
    """The bytes are no request this upstream reads."""


@dataclass(slots=True)
class Recorded:
    """A request the upstream saw. `at` is `time.monotonic()` when its head was there; `head` is the head as it came."""

    method: str
    path: str
    head: bytes
    at: float
    body: bytes = b""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names and values in the order and spelling they came in."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever its case, or None."""
        wanted = name.lower()
        return next((value for found, value in self.headers if found.lower() == wanted), None)

    def json(self) -> Any:  # the caller knows what it sent
        """The body, decoded; an empty object when there is none."""
        return json.loads(self.body) if self.body else {}


class Inbox:
    """Turns received bytes into requests. Sans-I/O: feed it, then take."""

    def __init__(self) -> None:
        self._buffer = b""
        self._body_bytes = 0

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        self._buffer = self._buffer + data if self._buffer else data

    def take_head(self, at: float) -> Recorded | None:
        """The next request, its body still missing; None until its head is complete.

        Raises:
            Malformed: The head is not HTTP/1, has no single sound length, or does not end.
        """
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise Malformed("the head does not end")
            return None
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        method, path = _request_line(head)
        self._body_bytes = _length(head)
        return Recorded(method, path, head, at)

    def take_body(self, request: Recorded) -> bool:
        """Give `request` its body; False until all of it is here."""
        if len(self._buffer) < self._body_bytes:
            return False
        request.body, self._buffer = self._buffer[: self._body_bytes], self._buffer[self._body_bytes :]
        return True


def _request_line(head: bytes) -> tuple[str, str]:
    parts = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise Malformed("not an HTTP/1 request line")
    return parts[0], parts[1]


def _length(head: bytes) -> int:
    lowered = head.lower()  # plain searches are several times faster than one that ignores case
    if b"\r\ntransfer-encoding:" in lowered:
        raise Malformed("transfer codings are not read here")
    _, found, rest = lowered.partition(_LENGTH)
    if not found:
        return 0
    value = rest.partition(b"\r")[0].strip()
    if _LENGTH in rest or not value.isdigit():
        raise Malformed("no single sound Content-Length")
    return int(value)
