from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.generation import Segment
from aldgate.engines.captions import segments_of, subrip, text_of, web_vtt

SUBRIP = "\ufeff1\r\n00:00:00,000 --> 00:00:01,500\r\nHello\r\nthere.\r\n\r\n2\r\n01:00:01,500 --> 01:00:03,250\r\nBye.\r\n"
WEBVTT = "WEBVTT\n\nNOTE nothing\n\nSTYLE\n::cue {}\n\nfirst\n00:00.000 --> 00:01.500 align:start\nHello there.\n"


def test_subrip_and_webvtt_are_read() -> None:
    assert segments_of(SUBRIP) == (Segment(0.0, 1.5, "Hello there."), Segment(3601.5, 3603.25, "Bye."))
    assert segments_of(WEBVTT) == (Segment(0.0, 1.5, "Hello there."),)
    assert segments_of("WEBVTT\n") == ()
    assert text_of(segments_of(SUBRIP)) == "Hello there. Bye."


LINES = st.text(st.characters(categories=["L", "N", "P"], exclude_characters="&<"), min_size=1).filter(
    lambda text: "-->" not in text
)
TIMES = st.integers(0, 360_000_000).map(lambda thousandths: thousandths / 1000)


@pytest.mark.parametrize("write", [subrip, web_vtt])
@given(segments=st.lists(st.builds(Segment, TIMES, TIMES, LINES)))
def test_what_is_written_is_read_again(write: Callable[[list[Segment]], str], segments: list[Segment]) -> None:
    assert list(segments_of(write(segments))) == segments


def test_no_text_ends_a_caption_or_is_markup() -> None:
    segments = [Segment(0.0, 3_661.5, "one\n\n2 --> 3 <b>&")]
    assert subrip(segments) == "1\n00:00:00,000 --> 01:01:01,500\none 2 -> 3 <b>&\n"
    assert web_vtt(segments) == "WEBVTT\n\n00:00:00.000 --> 01:01:01.500\none 2 -> 3 &lt;b>&amp;\n"
