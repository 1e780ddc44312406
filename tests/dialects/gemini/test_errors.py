import json
from typing import Any

import pytest

from aldgate.core import errors
from aldgate.dialects.gemini.dialect import GEMINI


def body(code: Any = None, message: str = "Words.", status: str | None = None, *details: Any) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "status": status, "details": details}}).encode()


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize(
    ("status", "sent", "kind", "wait_s"),
    [
        (400, body(400, status="INVALID_ARGUMENT"), errors.UpstreamRejected, None),
        (400, body(400, "The input token count (9) exceeds the maximum"), errors.ContextTooLong, None),
        (400, body(400, "API key not valid.", "INVALID_ARGUMENT", BAD_KEY), errors.UpstreamAuth, None),
        (401, body(401), errors.UpstreamAuth, None),
        (403, body(403), errors.UpstreamAuth, None),
        (404, body(404), errors.UpstreamRejected, None),
        (402, body(402, "Prepaid", "RESOURCE_EXHAUSTED", RETRY), errors.UpstreamLimited, None),
        (429, body(429, "Quota", "RESOURCE_EXHAUSTED", RETRY), errors.UpstreamLimited, 34),
        (429, b"[" + body(429, "Quota", None, {**RETRY, "retryDelay": "3600.5s"}) + b"]", errors.UpstreamLimited, 60),
        (429, body(429, "Quota", None, {**RETRY, "retryDelay": "soon"}), errors.UpstreamLimited, 7),
        (500, body(429), errors.UpstreamLimited, 7),
        (503, body(503), errors.UpstreamOverloaded, 7),
        (504, body(504), errors.UpstreamTimeout, 7),
        (500, b"<html>", errors.UpstreamError, 7),
        (500, b"[]", errors.UpstreamError, 7),
        (302, b"", errors.UpstreamInvalid, None),
    ],
)
def test_providers_errors_are_classed_by_who_must_act(status: int, sent: bytes, kind: type, wait_s: int | None) -> None:
    error = GEMINI.read_error(status, sent, 7 if wait_s else None)
    assert type(error) is kind and error.retry_after_s == wait_s


def test_a_prompt_that_is_too_long_has_the_code_that_callers_of_other_apis_look_for() -> None:
    said = "The input token count (9000) exceeds the maximum number of tokens allowed (8192)."
    error = GEMINI.read_error(400, body(400, said, "INVALID_ARGUMENT"), None)
    assert (type(error), error.upstream_code) == (errors.ContextTooLong, "context_length_exceeded")


def test_a_refusal_keeps_its_status_and_words() -> None:
    error = GEMINI.read_error(404, body(404, "models/x is not found", "NOT_FOUND"), None)
    assert (error.status, error.message, error.upstream_code) == (404, "models/x is not found", "NOT_FOUND")


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (errors.InvalidRequest("x", param="p"), 400, "INVALID_ARGUMENT"),
        (errors.MissingKey("x"), 401, "UNAUTHENTICATED"),
        (errors.BudgetExceeded("x"), 402, "RESOURCE_EXHAUSTED"),
        (errors.ScopeDenied("x"), 403, "PERMISSION_DENIED"),
        (errors.ModelNotFound("x"), 404, "NOT_FOUND"),
        (errors.BodyTooLarge("x"), 413, "INVALID_ARGUMENT"),
        (errors.RateLimited("x", retry_after_s=3), 429, "RESOURCE_EXHAUSTED"),
        (errors.InternalError("x"), 500, "INTERNAL"),
        (errors.UpstreamAuth("x"), 502, "UNAVAILABLE"),
        (errors.Shedding("x", retry_after_s=1), 503, "UNAVAILABLE"),
    ],
)
def test_errors_in_googles_words(error: errors.GatewayError, status: int, word: str) -> None:
    sent, lines, written = GEMINI.error(error, "req-1")
    said, headers = json.loads(written)["error"], dict(lines)
    assert (sent, said["code"], said["status"], said["message"]) == (status, status, word, "x")
    assert said["details"][0]["reason"] == error.code
    assert headers[b"content-length"] == b"%d" % len(written) and headers[b"x-request-id"] == b"req-1"
    assert headers.get(b"retry-after") == (b"%d" % error.retry_after_s if error.retry_after_s else None)
    assert (b"www-authenticate" in headers) == (status == 401)
    assert GEMINI.failed(error, "req-1") == b"data: " + written + b"\r\n\r\n"
