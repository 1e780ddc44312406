"""What becomes of a response that nobody waits for."""

import json

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.errors import UpstreamOverloaded
from aldgate.dialects.responses.pen import DONE, Pen
from aldgate.dialects.responses.states import ending, in_state, is_background
from aldgate.dialects.responses.written import framed

CALL = "req-0123456789abcdef01234567"
QUEUED = msgspec.json.encode(framed(CALL, Peek(b'{"model":"m","input":"Hi","background":true}', "m")).queued())


def test_a_response_goes_from_state_to_state():
    assert is_background(QUEUED) and not is_background(b'{"id":"resp_1"}')
    running = in_state(QUEUED, "in_progress")
    assert json.loads(running) == {**json.loads(QUEUED), "status": "in_progress"}
    failed = json.loads(in_state(running, "failed", UpstreamOverloaded("Busy.")))
    assert failed == {
        **json.loads(QUEUED),
        "status": "failed",
        "error": {"code": "server_error", "message": "Busy.", "type": "upstream_overloaded"},
    }


def test_the_end_of_a_stream_goes_on_with_its_count():
    pen = Pen(4)
    said = pen.item("added", 0, {}) + pen.item("done", 0, {})
    cancelled = ending(said, "cancelled", QUEUED)
    assert cancelled == Pen(6).lifecycle("cancelled", json.loads(QUEUED)) + DONE
    assert ending(b"", "failed", QUEUED).startswith(b"event: response.failed")
    assert b'"sequence_number":0,' in ending(b"", "failed", QUEUED)
