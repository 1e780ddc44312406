"""Amazon's binary framing of events, sans I/O: pieces in, messages out, both checksums verified.

A message is its length, the length of its headers, a CRC-32 of these two, headers, payload, and a CRC-32 of all of that
(https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html, "Event stream encoding").
"""

import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from aldgate.core.errors import UpstreamInvalid

MAX_MESSAGE_BYTES = 25_165_824
"""As the SDKs have it: 24 MiB."""
_PRELUDE = struct.Struct(">III")
_FRAME_BYTES = _PRELUDE.size + 4
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of header values by their type, for those types whose values we never need."""


class Message(NamedTuple):
    """One event: its string headers (`:event-type`, `:message-type` ...) and its payload."""

    headers: Mapping[str, str]
    payload: bytes


class Framing:
    """Cuts a stream into messages."""

    def __init__(self) -> None:
        self._held = b""

    @property
    def is_between(self) -> bool:
        """Whether nothing of a message has come that is not complete."""
        return not self._held

    def feed(self, piece: bytes) -> Iterator[Message]:
        """The messages that are complete now.

        Raises:
            UpstreamInvalid: A checksum is wrong, or what comes is no event stream.
        """
        data = self._held + piece if self._held else piece
        start = 0
        try:
            while (end := self._end(data, start)) is not None:
                message = _message(data, start, end)
                start = end
                yield message
        finally:
            self._held = data[start:]

    def _end(self, data: bytes, start: int) -> int | None:
        """Where the message at `start` ends; None while that, or the rest of it, has not come."""
        if len(data) - start < _PRELUDE.size:
            return None
        total, headers, checksum = _PRELUDE.unpack_from(data, start)
        if crc32(data[start : start + 8]) != checksum:
            raise UpstreamInvalid("The provider's event stream is damaged: the checksum of a length is wrong.")
        if not headers + _FRAME_BYTES <= total <= MAX_MESSAGE_BYTES:
            raise UpstreamInvalid("The provider's event stream is damaged: a length is not possible.")
        return start + total if len(data) - start >= total else None


def _message(data: bytes, start: int, end: int) -> Message:
    if crc32(data[start : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
        raise UpstreamInvalid("The provider's event stream is damaged: the checksum of an event is wrong.")
    payload = start + _PRELUDE.size + int.from_bytes(data[start + 4 : start + 8], "big")
    return Message(_headers(data[start + _PRELUDE.size : payload]), data[payload : end - 4])


@lru_cache(maxsize=64)
def _headers(block: bytes) -> Mapping[str, str]:
    """The string headers of a block. Remembered, since a stream's many deltas all have the same."""
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            name_end = at + 1 + block[at]
            name = block[at + 1 : name_end].decode()
            kind = block[name_end]
            at = name_end + 1
            if kind in _FIXED:
                at += _FIXED[kind]
                continue
            if kind not in (6, 7):
                raise ValueError(kind)
            value_end = at + 2 + int.from_bytes(block[at : at + 2], "big")
            if kind == 7:
                found[name] = block[at + 2 : value_end].decode()
            at = value_end
        if at > len(block):
            raise ValueError(at)
    except (IndexError, ValueError):  # UnicodeDecodeError is one
        raise UpstreamInvalid("The provider's event stream is damaged: headers cannot be read.") from None
    return found
