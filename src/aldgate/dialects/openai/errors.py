"""Errors in OpenAI's shape, written for callers and read from upstreams.

`{"error": {"message", "type", "param", "code"}}`, all four always present, `code` a string
(https://platform.openai.com/docs/guides/error-codes).
"""

import re

import msgspec

from aldgate.core.errors import (
    CallerError,
    ContentFiltered,
    ContextTooLong,
    GatewayError,
    PolicyError,
    UpstreamAuth,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
)
from aldgate.dialects.quoting import saying

_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_REJECTIONS = frozenset({400, 404, 409, 413, 415, 422})
_OVERLOADED = frozenset({498, 503, 529})
_TOO_LONG = re.compile(
    r"maximum context length|exceeds? the (available )?context (size|window)|prompt is too long", re.IGNORECASE
)
_LONGEST_MESSAGE = 2_000
_LONGEST_WAIT_S = 60
"""The most that every SDK waits when told to; openai-node tries again after half a second when told to wait longer."""


class ErrorBody(msgspec.Struct):
    """The inner object, as loosely as providers in the wild write it."""

    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class _Envelope(msgspec.Struct):
    error: ErrorBody | str | None = None
    message: str | None = None
    detail: str | None = None


_envelope = msgspec.json.Decoder(_Envelope, strict=False)


def error_type(error: GatewayError) -> str:
    """OpenAI's `type` word for an error."""
    if isinstance(error, CallerError | UpstreamRejected) and error.status not in (401, 404):
        return "invalid_request_error"
    if isinstance(error, CallerError | PolicyError | UpstreamRejected):
        return _TYPES.get(error.status, "invalid_request_error")
    return "rate_limit_error" if error.status == 429 else "server_error"


def render(error: GatewayError) -> bytes:
    """The error as a body."""
    code = error.upstream_code if isinstance(error, UpstreamRejected) and error.upstream_code else error.code
    inner = {"message": error.message, "type": error_type(error), "param": error.param, "code": code}
    return msgspec.json.encode({"error": inner})


def answer(error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """The error as status, headers and body."""
    body = render(error)
    return error.status, headers_of(error, body, call_id), body


def headers_of(error: GatewayError, body: bytes, call_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of an error's answer: every SDK reads `retry-after`, and those of OpenAI and Anthropic `x-should-retry`."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-should-retry", b"true" if should_retry(error) else b"false"),
    ]
    if call_id:
        headers.append((b"x-request-id", call_id.encode()))
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, error.retry_after_s)))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


def should_retry(error: GatewayError) -> bool:
    """What `x-should-retry` says; the SDKs obey it before their own rules.

    https://github.com/openai/openai-python/blob/main/src/openai/_base_client.py
    """
    if isinstance(error, CallerError | UpstreamAuth):  # waiting gives the gate no other request, and no other credential
        return False
    if error.retry_after_s is not None:
        return error.retry_after_s <= _LONGEST_WAIT_S
    if error.attempts > 1:  # whoever repeats what was repeated here already multiplies the calls
        return False
    return error.status >= 500 and error.status != 501


def _rejection(said: str, code: str | None) -> type[UpstreamRejected]:
    """Which refusal it is. vLLM and llama.cpp give a too long prompt no code of its own, only words."""
    if code == "content_filter":
        return ContentFiltered
    return ContextTooLong if code == "context_length_exceeded" or _TOO_LONG.search(said) else UpstreamRejected


def read_error(status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
    """The error an upstream answered with, classed by who has to act on it."""
    try:
        envelope = _envelope.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        envelope = _Envelope()
    inner = envelope.error
    if inner is None or isinstance(inner, str):
        inner = ErrorBody(message=inner or envelope.message or envelope.detail)
    return _classed(status, inner, retry_after_s)


def error_in_reply(inner: ErrorBody | str) -> UpstreamError:
    """The error in a reply that came with status 200; its own numeric code, if any, is the status that was meant."""
    if isinstance(inner, str):
        inner = ErrorBody(message=inner)
    status = inner.code if isinstance(inner.code, int) and 400 <= inner.code <= 599 else 502
    return saying(_classed(status, inner, None), inner.message)


def _meant(status: int, inner: ErrorBody) -> int:
    """The status of an error that a proxy before the provider wrapped in its own 500 or 503."""
    if isinstance(inner.code, int) and 400 <= inner.code <= 599:
        return inner.code
    return 429 if "rate_limit_exceeded" in (inner.code, inner.type) or inner.type == "rate_limit_error" else status


def _classed(status: int, inner: ErrorBody, retry_after_s: int | None) -> UpstreamError:
    said = (inner.message or "")[:_LONGEST_MESSAGE]
    code = str(inner.code) if inner.code is not None else None
    if status >= 500:
        status = _meant(status, inner)
    if status in (401, 403):
        return UpstreamAuth(
            "The provider refused the gate's credential; tell its operator.", upstream_status=status, upstream_code=code
        )
    if status == 402 or inner.type == "insufficient_quota":
        return UpstreamLimited(
            "The gate's account at the provider has no credit; tell its operator.", upstream_status=status, upstream_code=code
        )
    if status == 429:
        return UpstreamLimited(
            f"The provider limits the gate: {said or 'too many requests'}",
            retry_after_s=retry_after_s or 1,
            upstream_status=status,
            upstream_code=code,
        )
    if status in _OVERLOADED:
        return UpstreamOverloaded(
            f"The provider is overloaded: {said or f'status {status}'}",
            retry_after_s=retry_after_s,
            upstream_status=status,
            upstream_code=code,
        )
    if status in _REJECTIONS:
        return _rejected(status, said, inner.param, code)
    if status >= 500:
        return UpstreamError(
            f"The provider failed with status {status}.", retry_after_s=retry_after_s, upstream_status=status, upstream_code=code
        )
    return UpstreamInvalid(f"The provider answered with status {status}.", upstream_status=status, upstream_code=code)


def _rejected(status: int, said: str, param: str | None, code: str | None) -> UpstreamRejected:
    message = said or f"The provider refused the request with status {status}."
    rejected = _rejection(said, code)(message, param=param, upstream_status=status, upstream_code=code)
    rejected.status = 400 if status == 422 else status  # OpenAI's face has no 422
    return rejected
