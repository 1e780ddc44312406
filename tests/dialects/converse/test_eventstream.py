from collections.abc import Mapping
from struct import pack
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import UpstreamInvalid
from aldgate.dialects.converse.eventstream import Framing, Message
from aldgate.testing.upstream.converse import frame

HEADERS = {":event-type": "contentBlockDelta", ":content-type": "application/json", ":message-type": "event"}
NAMES = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=20)
MESSAGES = st.lists(st.tuples(st.dictionaries(NAMES, st.text(max_size=20), max_size=4), st.binary(max_size=100)), max_size=5)


def test_a_message_is_framed_as_published() -> None:
    """The example of AWS's own decoders: no headers, no payload."""
    empty = bytes.fromhex("000000100000000005c248eb7d98c8ff")
    assert frame({}, b"") == empty
    assert list(Framing().feed(empty)) == [Message({}, b"")]


@given(MESSAGES, st.lists(st.integers(0, 500)))
def test_what_is_framed_is_read_however_it_is_cut(messages: list[tuple[Mapping[str, str], bytes]], cuts: list[int]) -> None:
    wire = b"".join(frame(headers, payload) for headers, payload in messages)
    framing = Framing()
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    read = [message for start, end in zip(places, places[1:], strict=False) for message in framing.feed(wire[start:end])]
    assert [(message.headers, message.payload) for message in read] == messages
    assert framing.is_between


def test_no_byte_can_be_changed_unseen() -> None:
    wire = frame(HEADERS, b'{"a":1}')
    for place in range(len(wire)):
        damaged = bytearray(wire)
        damaged[place] ^= 0x41
        with pytest.raises(UpstreamInvalid):
            list(Framing().feed(bytes(damaged) + b"\0" * 100))


@pytest.mark.parametrize(("total", "headers"), [(15, 0), (16, 1), (0, 0), (2**32 - 1, 0), (100, 2**32 - 1)])
def test_lengths_that_cannot_be_are_refused_though_their_checksum_fits(total: int, headers: int) -> None:
    start = pack(">II", total, headers)
    with pytest.raises(UpstreamInvalid, match="a length is not possible"):
        list(Framing().feed(start + pack(">I", crc32(start))))


def _with_headers(block: bytes) -> bytes:
    start = pack(">II", 16 + len(block), len(block))
    message = start + pack(">I", crc32(start)) + block
    return message + pack(">I", crc32(message))


def test_headers_of_every_type_are_stepped_over() -> None:
    values = [
        b"\x00",
        b"\x01",
        b"\x02a",
        b"\x03ab",
        b"\x04abcd",
        b"\x05abcdefgh",
        b"\x06\x00\x02ab",
        b"\x08abcdefgh",
        b"\x09" + b"u" * 16,
    ]
    block = b"".join(b"\x01h" + value for value in values) + b"\x01s\x07\x00\x02hi"
    assert list(Framing().feed(_with_headers(block))) == [Message({"s": "hi"}, b"")]


@pytest.mark.parametrize(
    "block", [b"\x05ab", b"\x01a", b"\x01a\x0a", b"\x01a\x07\x00", b"\x01a\x07\x00\x05ab", b"\x01\xff\x00", b"\x01a\x05abc"]
)
def test_headers_that_cannot_be_read_are_refused(block: bytes) -> None:
    with pytest.raises(UpstreamInvalid, match="headers cannot be read"):
        list(Framing().feed(_with_headers(block)))


def test_what_was_sound_before_the_damage_is_read() -> None:
    good, framing = frame(HEADERS, b"{}"), Framing()
    read: list[Message] = []
    with pytest.raises(UpstreamInvalid):
        read.extend(framing.feed(good + good + b"\xff" * 16))
    first, framing = next(Framing().feed(good + b"\xff" * 16)), Framing()
    assert first.payload == b"{}"
    assert list(framing.feed(good[:-1])) == [] and not framing.is_between
