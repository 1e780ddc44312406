"""The end of a stream that broke off."""

import json
from typing import Any

from aldgate.core.errors import UpstreamBroken, UpstreamLimited
from aldgate.dialects.responses.broken import is_broken, mended
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.dialects.responses.pen import Pen

CALL = "req-0123456789abcdef01234567"
FAILED = RESPONSES.failed(UpstreamBroken("It broke"), CALL)


def events(stream: bytes) -> list[dict[str, Any]]:
    frames = [frame.partition(b"data: ")[2] for frame in stream.split(b"\n\n")[:-1]]
    assert frames.pop() == b"[DONE]"
    return [json.loads(frame) for frame in frames]


def test_it_goes_on_counting_and_names_the_response_that_was_begun():
    pen = Pen()
    first = pen.lifecycle("created", {"id": "resp_theirs", "model": "m", "status": "in_progress"})
    latest, rest = pen.lifecycle("in_progress", {"id": "resp_theirs"}), pen.item("added", 0, {"type": "x"})
    added, failed = events(mended(first, latest, rest + FAILED))
    assert (added["sequence_number"], failed["sequence_number"]) == (2, 3)
    response = failed["response"]
    assert (response["id"], response["model"], response["status"]) == ("resp_theirs", "m", "failed")
    assert response["error"] == {"code": "server_error", "message": "It broke", "type": "upstream_broken"}


def test_a_failure_before_anything_is_the_first_event():
    (failed,) = events(mended(b"", b"", FAILED))
    assert (failed["sequence_number"], failed["response"]["id"]) == (0, "resp_0123456789abcdef01234567")


def test_only_such_a_failure_is_mended():
    assert is_broken(FAILED)
    assert not is_broken(Pen(7).lifecycle("failed", {"id": "r"}))


def test_a_limit_has_the_code_that_clients_wait_for():
    (failed,) = events(RESPONSES.failed(UpstreamLimited("Slow down"), CALL))
    assert failed["response"]["error"]["code"] == "rate_limit_exceeded"
