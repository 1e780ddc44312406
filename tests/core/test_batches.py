"""What a line must be, when it waits, and how its result is written."""

import json
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.batches import (
    MOST_TRIES,
    BatchLine,
    LineError,
    answered,
    body_of,
    read_line,
    unanswered,
    wait_s,
)
from aldgate.core.errors import (
    BudgetExceeded,
    ConcurrencyLimited,
    GatewayError,
    InvalidRequest,
    RateLimited,
    StoreUnavailable,
    UpstreamBroken,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from aldgate.core.files import LONGEST_NAME, plain_name

URL = "/v1/chat/completions"
LINE = BatchLine(7, 'a "custom" id\n', 0, 0)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_line_or_an_error(raw: bytes) -> None:
    assert isinstance(read_line(raw, 1, URL), LineError)


def test_a_model_may_be_left_out_where_the_path_has_one() -> None:
    raw = b'{"custom_id": "a", "method": "POST", "url": "%b", "body": {"input": "x"}}'
    assert read_line(raw % b"/v1/moderations", 1, "/v1/moderations") == ("a", "")
    error = read_line(raw % URL.encode(), 1, URL)
    assert isinstance(error, LineError) and (error.code, error.param) == ("missing_required_parameter", "body.model")


def test_a_line_that_wants_a_stream_is_refused_before_any_is_called() -> None:
    raw = b'{"custom_id": "a", "method": "POST", "url": "%b", "body": {"model": "m", "stream": %b}}'
    error = read_line(raw % (URL.encode(), b"true"), 3, URL)
    assert isinstance(error, LineError) and (error.code, error.line, error.param) == ("invalid_request", 3, "body.stream")
    assert read_line(raw % (URL.encode(), b"false"), 3, URL) == ("a", "m")


@given(st.text(), st.text(min_size=1), st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_a_good_line_is_read_as_it_was_meant(custom_id: str, model: str, more: dict[str, object]) -> None:
    body = {**more, "model": model}
    raw = json.dumps({"custom_id": custom_id, "method": "POST", "url": URL, "body": body}).encode()
    if any("\ud800" <= letter <= "\udfff" for letter in custom_id + model):
        return
    assert read_line(raw, 3, URL) == (custom_id, model)
    assert json.loads(body_of(raw)) == body


def test_limits_are_waited_for_as_long_as_they_say() -> None:
    for tries in (0, 1, 1_000):
        assert wait_s(RateLimited("", retry_after_s=40), tries) == 40
        assert wait_s(ConcurrencyLimited("", retry_after_s=1), tries) == 1
        assert wait_s(UpstreamLimited("", retry_after_s=2), tries) == 2
        assert wait_s(StoreUnavailable(""), tries) == 1
    assert wait_s(UpstreamLimited("no credit"), 1) is None


@pytest.mark.parametrize("kind", [UpstreamOverloaded, UpstreamUnreachable])
def test_a_provider_in_trouble_is_tried_some_times(kind: type[GatewayError]) -> None:
    waits = [wait_s(kind(""), tries) for tries in range(1, MOST_TRIES + 1)]
    assert waits == [1, 2, 4, 8, 16, None]
    assert wait_s(kind("", retry_after_s=30), 1) == 30


@pytest.mark.parametrize("error", [InvalidRequest(""), BudgetExceeded(""), UpstreamTimeout(""), UpstreamBroken("")])
def test_what_waiting_does_not_mend_fails(error: GatewayError) -> None:
    assert wait_s(error, 1) is None


def test_what_has_run_is_not_called_again() -> None:
    error = StoreUnavailable("", retry_after_s=1)
    error.has_run = True
    assert wait_s(error, 0) is None


@given(st.integers(0, 10_000), st.none() | st.integers(1, 10_000))
def test_a_wait_is_at_least_a_second_and_never_endless(tries: int, retry_after_s: int | None) -> None:
    for kind in (RateLimited, UpstreamOverloaded, UpstreamLimited, StoreUnavailable):
        delay = wait_s(kind("", retry_after_s=retry_after_s), max(1, tries))
        assert delay is None or isfinite(delay) and 1 <= delay <= max(16, retry_after_s or 0)


def test_a_result_is_one_line_with_the_providers_numbers_as_they_were() -> None:
    text = answered("batch_ab", LINE, 200, "req-1", b'{\n  "n": 1.10,\n "text": "a\\nb" }\n')
    assert b"\n" not in text and b'{"n":1.10,"text":"a\\nb"}' in text
    assert json.loads(text) == {
        "id": "batch_req_ab000007",
        "custom_id": LINE.custom_id,
        "response": {"status_code": 200, "request_id": "req-1", "body": {"n": 1.1, "text": "a\nb"}},
        "error": None,
    }
    again = unanswered("batch_ab", BatchLine(7, "x", 0, 0, cuts=1), "batch_expired", "Late.")
    assert json.loads(again)["attempt"] == 2
    assert json.loads(again)["error"] == {"code": "batch_expired", "message": "Late."}


@given(st.text())
def test_a_plain_name_is_no_path(name: str) -> None:
    plain = plain_name(name)
    assert "/" not in plain and "\\" not in plain and "\0" not in plain
    assert plain not in (".", "..") and len(plain) <= LONGEST_NAME
    assert plain_name(plain) == plain
