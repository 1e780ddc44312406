import json

import pytest

from aldgate.core.errors import (
    ContextTooLong,
    UpstreamAuth,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamTimeout,
)
from aldgate.dialects.converse.errors import read_error


@pytest.mark.parametrize(
    ("status", "kind", "error", "answered"),
    [
        (429, "ThrottlingException", UpstreamLimited, 429),
        (429, "ModelNotReadyException", UpstreamOverloaded, 503),
        (400, "ServiceQuotaExceededException", UpstreamLimited, 429),
        (408, "ModelTimeoutException", UpstreamTimeout, 504),
        (424, "ModelErrorException", UpstreamError, 502),
        (503, "ServiceUnavailableException", UpstreamOverloaded, 503),
        (500, "InternalServerException", UpstreamError, 502),
        (403, "AccessDeniedException", UpstreamAuth, 502),
        (403, "UnrecognizedClientException", UpstreamAuth, 502),
        (401, "", UpstreamAuth, 502),
        (404, "ResourceNotFoundException", UpstreamRejected, 404),
        (400, "ValidationException", UpstreamRejected, 400),
        (422, "", UpstreamRejected, 400),
        (500, "ThrottlingException", UpstreamLimited, 429),
        (429, "com.amazon.coral.service#ThrottlingException:http://internal/", UpstreamLimited, 429),
        (302, "", UpstreamInvalid, 502),
    ],
)
def test_errors_are_classed_by_their_kind_then_by_status(
    status: int, kind: str, error: type[UpstreamError], answered: int
) -> None:
    read = read_error(status, json.dumps({"message": "So it is.", "__type": kind}).encode(), None)
    assert type(read) is error and read.status == answered


def test_waiting_helps_where_bedrock_only_throttles() -> None:
    throttled = read_error(429, b'{"message":"Too many requests","__type":"ThrottlingException"}', None)
    assert throttled.retry_after_s == 1 and "Too many requests" in throttled.message
    assert read_error(429, b"{}", 7).retry_after_s == 7
    assert read_error(400, b'{"__type":"ServiceQuotaExceededException"}', 7).retry_after_s is None


def test_a_refusal_is_told_and_one_for_length_has_its_own_code() -> None:
    read = read_error(400, b'{"Message":"Input is too long for requested model."}', None)
    assert read.message == "Input is too long for requested model." and isinstance(read, ContextTooLong)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b"[" * 100_000, b'{"message":5}'])
def test_what_explains_nothing_is_classed_by_status(body: bytes) -> None:
    assert type(read_error(400, body, None)) is UpstreamRejected
