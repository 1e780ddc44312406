import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import UpstreamInvalid
from aldgate.dialects.sse import EventReader

STREAM = b"\xef\xbb\xbfdata: 1\r\n\r\n: ping\n\nevent: x\nid: 3\ndata:2\ndata: 3\n\ndata: 4\n\r\n\n\ndata: 5"


def read(stream: bytes, cuts: list[int]) -> list[bytes]:
    reader = EventReader()
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    return [payload for piece in pieces for payload in reader.feed(piece)] + reader.end()


@given(st.lists(st.integers(0, 1_000), max_size=30))
def test_cuts_decide_nothing(cuts: list[int]) -> None:
    assert read(STREAM, cuts) == [b"1", b"2\n3", b"4", b"5"]


def test_an_event_may_come_in_many_pieces_but_must_end() -> None:
    reader = EventReader(1_000)
    assert reader.feed(b"data: ") == [] and all(reader.feed(b"x" * 100) == [] for _ in range(9))
    assert reader.feed(b"\n\n") == [b"x" * 900]
    assert len(reader.feed(b"data: 1\n\ndata: 2\n\n" * 200)) == 400
    with pytest.raises(UpstreamInvalid):
        reader.feed(b"y" * 1_001)
    with pytest.raises(UpstreamInvalid):
        EventReader(10).feed(b"data: 1\n\ndata: more and more")
