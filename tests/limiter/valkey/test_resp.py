import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.limiter.valkey.resp import NotResp, Reader, Reply, ReplyError, bulk, command

texts = st.text("abc XYZ", max_size=8)
replies = st.recursive(
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | texts.map(ReplyError),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


def written(reply: Reply) -> bytes:
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case bytes():
            return bulk(reply)
        case ReplyError():
            return b"-%b\r\n" % str(reply).encode()
        case list():
            return b"*%d\r\n" % len(reply) + b"".join(map(written, reply))


def comparable(reply: Reply) -> object:
    match reply:
        case ReplyError():
            return str(reply)
        case list():
            return [comparable(each) for each in reply]
        case _:
            return reply


def test_a_command_is_an_array_of_texts() -> None:
    assert command(b"SET", b"k", b"\r\n") == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n"


@given(st.lists(replies, max_size=5), st.data())
def test_replies_are_the_same_however_they_are_cut(sent: list[Reply], data: st.DataObject) -> None:
    wire = b"".join(map(written, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    reader, found = Reader(), list[Reply]()
    for begin, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        found += reader.feed(wire[begin:end])
    assert list(map(comparable, found)) == list(map(comparable, sent))


def test_byte_by_byte() -> None:
    reader = Reader()
    found = [reply for byte in b"+OK\r\n$3\r\nabc\r\n*-1\r\n:-7\r\n" for reply in reader.feed(bytes([byte]))]
    assert found == [b"OK", b"abc", None, -7]


@pytest.mark.parametrize("wire", [b"HTTP/1.1 400\r\n", b":1x\r\n", b"$x\r\n", b"$1\r\nabc\r\n", b"+" + b"a" * 70_000])
def test_what_is_no_reply_is_refused(wire: bytes) -> None:
    with pytest.raises(NotResp):
        Reader().feed(wire)
