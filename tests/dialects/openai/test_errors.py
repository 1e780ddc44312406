import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core import errors
from aldgate.core.errors import GatewayError, UpstreamError, UpstreamRejected
from aldgate.dialects.openai.errors import ErrorBody, error_in_reply, error_type, read_error, render, should_retry


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InvalidRequest("x"), "invalid_request_error"),
        (errors.UnknownKey("x"), "authentication_error"),
        (errors.BudgetExceeded("x"), "insufficient_quota"),
        (errors.ScopeDenied("x"), "permission_error"),
        (errors.ModelNotFound("x"), "not_found_error"),
        (errors.IdempotencyConflict("x"), "invalid_request_error"),
        (errors.RateLimited("x"), "rate_limit_error"),
        (errors.UpstreamRejected("x"), "invalid_request_error"),
        (errors.UpstreamLimited("x"), "rate_limit_error"),
        (errors.UpstreamTimeout("x"), "server_error"),
        (errors.Shedding("x"), "server_error"),
    ],
)
def test_an_error_is_four_fields_of_text(error: GatewayError, kind: str) -> None:
    error.param = "model"
    assert error_type(error) == kind
    assert json.loads(render(error)) == {"error": {"message": "x", "type": kind, "param": "model", "code": error.code}}


def test_the_providers_own_code_is_shown_only_where_the_caller_can_mend_it() -> None:
    assert (
        json.loads(render(UpstreamRejected("x", upstream_code="context_length_exceeded")))["error"]["code"]
        == "context_length_exceeded"
    )
    assert json.loads(render(errors.UpstreamAuth("x", upstream_code="invalid_api_key")))["error"]["code"] == "upstream_auth"


@pytest.mark.parametrize(
    ("error", "retry"),
    [
        (errors.RateLimited("x", retry_after_s=3), True),
        (errors.BudgetExceeded("x"), False),
        (errors.UpstreamLimited("x"), False),
        (errors.UpstreamBroken("x"), True),
        (errors.UnknownKey("x"), False),
    ],
)
def test_a_client_is_told_whether_to_try_again(error: GatewayError, retry: bool) -> None:
    assert should_retry(error) is retry


def body(**inner: Any) -> bytes:
    return json.dumps({"error": inner}).encode()


@pytest.mark.parametrize(
    ("status", "sent", "kind", "shown", "code"),
    [
        (400, body(message="bad", param="n", code="bad_n"), "UpstreamRejected", 400, "bad_n"),
        (422, b'{"detail":"bad"}', "UpstreamRejected", 400, None),
        (404, b'{"message":"no such model"}', "UpstreamRejected", 404, None),
        (413, b"", "UpstreamRejected", 413, None),
        (401, body(message="sk-secret is wrong", code=401), "UpstreamAuth", 502, "401"),
        (403, b"<html>", "UpstreamAuth", 502, None),
        (402, b"{}", "UpstreamLimited", 429, None),
        (429, body(message="quota", type="insufficient_quota"), "UpstreamLimited", 429, None),
        (429, body(message="slow down"), "UpstreamLimited", 429, None),
        (503, b'{"error":"loading"}', "UpstreamOverloaded", 503, None),
        (529, b'{"error":null}', "UpstreamOverloaded", 503, None),
        (498, b"[]", "UpstreamOverloaded", 503, None),
        (500, body(message="stack trace"), "UpstreamError", 502, None),
        (501, b"", "UpstreamError", 502, None),
        (302, b"", "UpstreamInvalid", 502, None),
        (418, b"", "UpstreamInvalid", 502, None),
    ],
)
def test_an_upstream_error_is_classed_by_who_must_act(status: int, sent: bytes, kind: str, shown: int, code: str | None) -> None:
    error = read_error(status, sent, None)
    assert (type(error).__name__, error.status, error.upstream_status, error.upstream_code) == (kind, shown, status, code)
    if status in (401, 403, 500):
        assert "secret" not in error.message and "trace" not in error.message


def test_an_ordinary_limit_says_when_to_come_back_and_no_credit_does_not() -> None:
    assert read_error(429, b"", None).retry_after_s == 1
    assert read_error(429, b"", 7).retry_after_s == 7
    assert read_error(402, b"", 7).retry_after_s is None
    assert not should_retry(read_error(402, b"", 7))


def test_what_a_provider_says_is_passed_on_but_not_at_any_length() -> None:
    error = read_error(400, body(message="x" * 5_000), None)
    assert error.message == "x" * 2_000


@pytest.mark.parametrize(
    ("inner", "kind", "status"),
    [
        (ErrorBody(message="m", code=400), "UpstreamRejected", 400),
        (ErrorBody(message="m", code=200), "UpstreamError", 502),
        (ErrorBody(message="m", code="429"), "UpstreamError", 502),
        ("m", "UpstreamError", 502),
    ],
)
def test_an_error_within_a_200_means_the_status_it_names(inner: ErrorBody | str, kind: str, status: int) -> None:
    error = error_in_reply(inner)
    assert (type(error).__name__, error.status) == (kind, status)


@given(st.integers(300, 599), st.binary(max_size=50), st.none() | st.integers(1, 60))
def test_any_body_of_any_status_is_read_and_rendered(status: int, sent: bytes, retry_after_s: int | None) -> None:
    error = read_error(status, sent, retry_after_s)
    assert isinstance(error, UpstreamError) and 400 <= error.status < 600
    assert set(json.loads(render(error))["error"]) == {"message", "type", "param", "code"}
