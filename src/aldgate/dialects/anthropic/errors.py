"""Errors in Anthropic's shape, written for callers and read from upstreams.

`{"type": "error", "error": {"type", "message", "details": {"error_code"}}, "request_id"}`
(https://platform.claude.com/docs/en/api/errors).
"""

from __future__ import annotations

import re

import msgspec

from aldgate.core.errors import (
    ContentFiltered,
    ContextTooLong,
    GatewayError,
    Shedding,
    UpstreamAuth,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamTimeout,
)
from aldgate.dialects.openai.errors import headers_of
from aldgate.dialects.quoting import saying

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUSES = {
    "invalid_request_error": 400,
    "api_error": 500,
    **{name: status for status, name in _TYPES.items()},
}
_OVERLOADED = 529
"""Anthropic's own status for it; its SDKs and Claude Code know no 503."""
_OVERLOADS = frozenset({498, 503, 529})
_REJECTIONS = frozenset({400, 404, 409, 413, 415, 422})
_NO_MONEY = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached"})
"""`details.error_code` of a 429 that waiting does not end; `ramp_limit_exceeded` is one that it does."""
_NO_MONEY_SAID = re.compile(r"credit balance is too low|(?:API )?usage limits|spend(?:ing)? limit", re.IGNORECASE)
"""What a 400 says when the money is spent that the account's owner allowed: it has no code of its own."""
_TOO_LONG = re.compile(r"prompt is too long|context (?:limit|window|length)", re.IGNORECASE)
_FILTERED = re.compile(r"content filtering policy", re.IGNORECASE)
_ON_HOLD = "organization_on_hold"
_LONGEST_MESSAGE = 2_000


class Details(msgspec.Struct):
    """What the message does not say."""

    error_code: str | None = None


class ErrorBody(msgspec.Struct):
    """The inner object, as loosely as servers in the wild write it."""

    type: str | None = None
    message: str | None = None
    details: Details | None = None
    code: str | int | None = None


class _Envelope(msgspec.Struct):
    error: ErrorBody | str | None = None
    message: str | None = None
    detail: str | None = None


_envelope = msgspec.json.Decoder(_Envelope, strict=False)


def status_of(error: GatewayError) -> int:
    """The status that Anthropic's clients know for it."""
    return _OVERLOADED if isinstance(error, UpstreamOverloaded | Shedding) else error.status


def render(error: GatewayError, call_id: str) -> bytes:
    """The error as a body, or as the data of an `error` event."""
    status = status_of(error)
    code = error.upstream_code if isinstance(error, UpstreamRejected) and error.upstream_code else error.code
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    inner = {"type": kind, "message": error.message, "details": {"error_code": code}}
    return msgspec.json.encode({"type": "error", "error": inner, "request_id": call_id})


def answer(error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """The error as status, headers and body."""
    body = render(error, call_id)
    return status_of(error), [*headers_of(error, body, call_id), (b"request-id", call_id.encode())], body


def read_error(status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
    """The error an upstream answered with, classed by who has to act on it."""
    try:
        envelope = _envelope.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        envelope = _Envelope()
    inner = envelope.error
    if inner is None or isinstance(inner, str):
        inner = ErrorBody(message=inner or envelope.message or envelope.detail)
    return _classed(_meant(inner, status), inner, retry_after_s)


def error_in_reply(inner: ErrorBody | str) -> UpstreamError:
    """The error in a reply or stream that began with status 200."""
    inner = ErrorBody(message=inner) if isinstance(inner, str) else inner
    return saying(_classed(_meant(inner, 502), inner, None), inner.message)


def _meant(inner: ErrorBody, status: int) -> int:
    """The status the error's own words mean, where the envelope's blames the server for whatever it was."""
    if status < 500:
        return status
    if isinstance(inner.code, int) and 400 <= inner.code <= 599:
        return inner.code
    return _STATUSES.get(inner.type or "", status)


def _classed(status: int, inner: ErrorBody, retry_after_s: int | None) -> UpstreamError:
    code = inner.details.error_code if inner.details else None
    error = _of_class(status, code, inner.type, (inner.message or "")[:_LONGEST_MESSAGE])
    error.upstream_status, error.upstream_code = status, code if isinstance(error, UpstreamRejected) else code or inner.type
    if isinstance(error, UpstreamLimited):
        if status == 429 and code not in _NO_MONEY and inner.type != "insufficient_quota":
            error.retry_after_s = retry_after_s or 1
    elif error.status >= 500 and not isinstance(error, UpstreamAuth | UpstreamInvalid):
        error.retry_after_s = retry_after_s
    return error


def _of_class(status: int, code: str | None, kind: str | None, said: str) -> UpstreamError:
    if status in (401, 403) or code == _ON_HOLD:
        return UpstreamAuth("The provider refused the gate's credential; tell its operator.")
    if status == 402 or code in _NO_MONEY or kind == "insufficient_quota" or (status == 400 and _NO_MONEY_SAID.search(said)):
        return UpstreamLimited("The gate's account at the provider has no credit; tell its operator.")
    if status == 429:
        return UpstreamLimited(f"The provider limits the gate: {said or 'too many requests'}")
    if status in _OVERLOADS:
        return UpstreamOverloaded(f"The provider is overloaded: {said or f'status {status}'}")
    if status in _REJECTIONS:
        return _rejected(status, said)
    if status == 504:
        return UpstreamTimeout("The provider took too long.")
    failed = UpstreamError if status >= 500 else UpstreamInvalid
    return failed(f"The provider failed with status {status}.")


def _rejected(status: int, said: str) -> UpstreamRejected:
    kind = ContextTooLong if _TOO_LONG.search(said) else ContentFiltered if _FILTERED.search(said) else UpstreamRejected
    rejected = kind(said or f"The provider refused the request with status {status}.")
    rejected.status = 400 if status == 422 else status  # Anthropic's face has no 422
    return rejected
