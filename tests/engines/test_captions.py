from aldgate.core.generation import Segment
from aldgate.engines.captions import segments_of, text_of

SUBRIP = "\ufeff1\r\n00:00:00,000 --> 00:00:01,500\r\nHello\r\nthere.\r\n\r\n2\r\n01:00:01,500 --> 01:00:03,250\r\nBye.\r\n"
WEBVTT = "WEBVTT\n\nNOTE nothing\n\nSTYLE\n::cue {}\n\nfirst\n00:00.000 --> 00:01.500 align:start\nHello there.\n"


def test_subrip_and_webvtt_are_read() -> None:
    assert segments_of(SUBRIP) == (Segment(0.0, 1.5, "Hello there."), Segment(3601.5, 3603.25, "Bye."))
    assert segments_of(WEBVTT) == (Segment(0.0, 1.5, "Hello there."),)
    assert segments_of("WEBVTT\n") == ()
    assert text_of(segments_of(SUBRIP)) == "Hello there. Bye."
