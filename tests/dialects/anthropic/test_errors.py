"""Errors in Anthropic's shape, both ways."""

from __future__ import annotations

import json

import pytest

from aldgate.core.errors import (
    BodyTooLarge,
    BudgetExceeded,
    GatewayError,
    InternalError,
    InvalidRequest,
    ModelNotFound,
    RateLimited,
    ScopeDenied,
    Shedding,
    ShuttingDown,
    UnknownKey,
    UpstreamAuth,
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamTimeout,
)
from aldgate.dialects.anthropic.dialect import ANTHROPIC


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidRequest("x"), 400, "invalid_request_error"),
        (UnknownKey("x"), 401, "authentication_error"),
        (BudgetExceeded("x"), 402, "billing_error"),
        (ScopeDenied("x"), 403, "permission_error"),
        (ModelNotFound("x"), 404, "not_found_error"),
        (BodyTooLarge("x"), 413, "request_too_large"),
        (RateLimited("x", retry_after_s=3), 429, "rate_limit_error"),
        (InternalError("x"), 500, "api_error"),
        (UpstreamBroken("x"), 502, "api_error"),
        (ShuttingDown("x"), 503, "api_error"),
        (UpstreamTimeout("x"), 504, "timeout_error"),
        (UpstreamOverloaded("x"), 529, "overloaded_error"),
        (Shedding("x"), 529, "overloaded_error"),
    ],
)
def test_errors_as_callers_get_them(error: GatewayError, status: int, kind: str) -> None:
    found, headers, body = ANTHROPIC.error(error, "req-1")
    lines = dict(headers)
    assert found == status
    assert json.loads(body) == {
        "type": "error",
        "error": {"type": kind, "message": "x", "details": {"error_code": error.code}},
        "request_id": "req-1",
    }
    assert lines[b"request-id"] == b"req-1" and lines[b"content-length"] == b"%d" % len(body)
    assert lines.get(b"retry-after") == (b"3" if error.retry_after_s else None)
    assert (b"www-authenticate" in lines) == (status == 401)


def test_a_failed_stream_ends_with_an_error_event() -> None:
    event = ANTHROPIC.failed(UpstreamOverloaded("busy"), "req-1")
    assert event.startswith(b"event: error\ndata: ") and event.endswith(b"\n\n")
    assert json.loads(event.split(b"data: ")[1])["error"]["type"] == "overloaded_error"


def told(kind: str, message: str = "said", code: str | None = None) -> bytes:
    details = {"details": {"error_code": code}} if code else {}
    return json.dumps({"type": "error", "error": {"type": kind, "message": message, **details}, "request_id": "r"}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "retry_after_s"),
    [
        (400, told("invalid_request_error"), UpstreamRejected, None),
        (401, told("authentication_error"), UpstreamAuth, None),
        (402, told("billing_error"), UpstreamLimited, None),
        (403, told("permission_error"), UpstreamAuth, None),
        (404, told("not_found_error"), UpstreamRejected, None),
        (413, told("request_too_large"), UpstreamRejected, None),
        (422, told("invalid_request_error"), UpstreamRejected, None),
        (429, told("rate_limit_error"), UpstreamLimited, 7),
        (429, told("rate_limit_error", code="ramp_limit_exceeded"), UpstreamLimited, 7),
        (500, told("api_error"), UpstreamError, 7),
        (500, told("rate_limit_error"), UpstreamLimited, 7),
        (504, told("timeout_error"), UpstreamTimeout, 7),
        (529, told("overloaded_error"), UpstreamOverloaded, 7),
        (500, told("overloaded_error"), UpstreamOverloaded, 7),
        (503, b"<html>", UpstreamOverloaded, 7),
        (400, b'{"error":"a text"}', UpstreamRejected, None),
        (400, b'{"detail":"a text"}', UpstreamRejected, None),
        (400, told("invalid_request_error", code="organization_on_hold"), UpstreamAuth, None),
        (302, b"", UpstreamInvalid, None),
    ],
)
def test_errors_as_providers_send_them(status: int, body: bytes, kind: type[UpstreamError], retry_after_s: int | None) -> None:
    error = ANTHROPIC.read_error(status, body, 7)
    assert type(error) is kind
    assert error.retry_after_s == retry_after_s
    assert error.status == (400 if status == 422 else status) or not isinstance(error, UpstreamRejected)


def test_the_providers_words_reach_the_caller() -> None:
    error = ANTHROPIC.read_error(400, told("invalid_request_error", "messages.0: bad"), None)
    assert error.message == "messages.0: bad"
