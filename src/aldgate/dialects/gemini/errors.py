"""Errors in the shape of Google's APIs, written for callers and read from providers.

`{"error": {"code", "message", "status", "details"}}` (https://cloud.google.com/apis/design/errors), in streams sometimes within
an array of one.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from aldgate.core.errors import (
    ContextTooLong,
    GatewayError,
    UpstreamAuth,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamTimeout,
)
from aldgate.dialects.quoting import saying

Headers = list[tuple[bytes, bytes]]

_WORDS = {
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE = "type.googleapis.com/google.rpc."
_REJECTIONS = frozenset({400, 404, 409, 413, 415, 422})
_BAD_KEY = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "ACCESS_TOKEN_EXPIRED"})
"""Reasons of a 400 that mean the credential (https://ai.google.dev/gemini-api/docs/troubleshooting)."""
_TOO_LONG = re.compile(r"token count .{0,60}exceeds|exceeds the maximum number of tokens", re.IGNORECASE)
_LONGEST_MESSAGE = 2_000
_LONGEST_WAIT_S = 60


class Detail(msgspec.Struct):
    """One of `details`, as far as it is read here."""

    type: str = msgspec.field(default="", name="@type")
    reason: str | None = None
    retry_delay: str | None = msgspec.field(default=None, name="retryDelay")


class Status(msgspec.Struct):
    """The inner object."""

    code: int | None = None
    message: str | None = None
    status: str | None = None
    details: list[Detail] | None = None


class _Envelope(msgspec.Struct):
    error: Status | None = None


_envelope: msgspec.json.Decoder[_Envelope | list[_Envelope]] = msgspec.json.Decoder(_Envelope | list[_Envelope], strict=False)


def body_of(error: GatewayError) -> bytes:
    """The error as a body; `error` is its first key, which is how Google's clients know it within a stream."""
    details: list[dict[str, Any]] = [{"@type": f"{_TYPE}ErrorInfo", "reason": error.code, "domain": "aldgate"}]
    if error.retry_after_s is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{error.retry_after_s}s"})
    word = _WORDS.get(error.status, "INVALID_ARGUMENT" if error.status < 500 else "INTERNAL")
    inner = {"code": error.status, "message": error.message, "status": word, "details": details}
    return msgspec.json.encode({"error": inner})


def render(error: GatewayError, call_id: str) -> tuple[int, Headers, bytes]:
    """The error as status, headers and body."""
    body = body_of(error)
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", call_id.encode()),
    ]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, error.retry_after_s)))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return error.status, headers, body


def read_error(status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
    """The error a provider answered with, classed by who has to act on it. The status in the body counts."""
    inner = _status_in(body) or Status()
    meant = inner.code if inner.code is not None and 400 <= inner.code <= 599 else status
    return _classed(meant, inner, retry_after_s)


def _status_in(body: bytes) -> Status | None:
    try:
        given = _envelope.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if isinstance(given, list):
        return given[0].error if given else None
    return given.error


def error_in_reply(inner: Status) -> UpstreamError:
    """The error in a reply, or in a stream, that came with status 200."""
    status = inner.code if inner.code is not None and 400 <= inner.code <= 599 else 502
    return saying(_classed(status, inner, None), inner.message)


def _classed(status: int, inner: Status, retry_after_s: int | None) -> UpstreamError:
    said, word = (inner.message or "")[:_LONGEST_MESSAGE], inner.status
    details = inner.details or []
    if status in (401, 403) or any(detail.reason in _BAD_KEY for detail in details):
        return UpstreamAuth(
            "The provider refused the gate's credential; tell its operator.", upstream_status=status, upstream_code=word
        )
    if status == 402:  # prepaid credit is gone; the status word is that of a limit
        return UpstreamLimited(
            "The gate's account at the provider has no credit; tell its operator.", upstream_status=status, upstream_code=word
        )
    wait_s = _delay(details) or retry_after_s
    if status in _REJECTIONS:
        return _rejected(status, said, word)
    if status not in (429, 503, 504) and status < 500:
        return UpstreamInvalid(f"The provider answered with status {status}.", upstream_status=status, upstream_code=word)
    kind, sentence = _failing(status, said)
    if status == 429:
        wait_s = wait_s or 1
    return kind(sentence, retry_after_s=wait_s, upstream_status=status, upstream_code=word)


def _failing(status: int, said: str) -> tuple[type[UpstreamError], str]:
    match status:
        case 429:
            return UpstreamLimited, f"The provider limits the gate: {said or 'too many requests'}"
        case 503 | 529:
            return UpstreamOverloaded, f"The provider is overloaded: {said or f'status {status}'}"
        case 504:
            return UpstreamTimeout, "The provider did not finish in its own time."
        case _:
            return UpstreamError, f"The provider failed with status {status}."


def _rejected(status: int, said: str, word: str | None) -> UpstreamRejected:
    kind, code = (ContextTooLong, ContextTooLong.code) if _TOO_LONG.search(said) else (UpstreamRejected, word)
    rejected = kind(said or f"The provider refused the request with status {status}.", upstream_status=status, upstream_code=code)
    rejected.status = status
    return rejected


def _delay(details: list[Detail]) -> int | None:
    """Whole seconds that `RetryInfo` asks us to wait, from 1 to 60; it is written like `34.07s`."""
    for detail in details:
        try:
            if detail.retry_delay is not None:
                return min(_LONGEST_WAIT_S, max(1, math.ceil(float(detail.retry_delay.removesuffix("s")))))
        except (ValueError, OverflowError):
            return None
    return None
