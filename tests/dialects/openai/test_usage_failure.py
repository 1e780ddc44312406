"""An error within a stream: what came before it reaches the caller, however the wire cut the stream."""

import pytest

from aldgate.core.errors import UpstreamError, UpstreamInvalid
from aldgate.dialects.openai.usage import PassThrough

GOOD = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
FAULTS = {b'data: {"error":{"message":"gone","code":"server_error"}}\n\n': UpstreamError, b"data: {half\n\n": UpstreamInvalid}


@pytest.mark.parametrize(("bad", "kind"), FAULTS.items())
@pytest.mark.parametrize("after", [b"", GOOD, b"data: [DONE]\n\n"])
def test_events_before_an_error_are_passed_on(bad: bytes, kind: type[UpstreamError], after: bytes) -> None:
    meter = PassThrough(wants_usage=False)
    assert meter.feed(GOOD + GOOD + bad + after) == GOOD + GOOD
    assert isinstance(meter.failure, kind)
    assert (meter.delivered, meter.is_done) == (2, False)


@pytest.mark.parametrize(("bad", "kind"), FAULTS.items())
def test_an_error_that_comes_alone_is_raised(bad: bytes, kind: type[UpstreamError]) -> None:
    meter = PassThrough(wants_usage=False)
    meter.feed(GOOD)
    with pytest.raises(kind):
        meter.feed(bad + GOOD)
    assert (meter.delivered, meter.failure) == (1, None)
