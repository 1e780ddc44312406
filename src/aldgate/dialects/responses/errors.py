"""Failures in a Responses answer: how a provider reports one, and how a caller is told.

A stream that fails ends in `response.failed`; a bare `error` event leaves Codex waiting for an end that does not come
(https://platform.openai.com/docs/api-reference/responses-streaming/response/failed).
"""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.errors import GatewayError, UpstreamError, UpstreamRejected
from aldgate.dialects.openai.errors import ErrorBody, error_in_reply, read_error

_STATUS = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 402,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
}
"""What a code within an answer would have been as a status."""


def failure_of(error: ErrorBody | str) -> UpstreamError:
    """The error that a provider put into its answer, classed by who has to act on it."""
    if isinstance(error, ErrorBody):
        code = error.code if isinstance(error.code, str) else ""
        status = _STATUS.get(code) or (400 if "image" in code else None)
        if status is not None:
            return read_error(status, _body(error, code), None)
        if error.type == "insufficient_quota":
            return read_error(402, _body(error, code), None)
    return error_in_reply(error)


def _body(error: ErrorBody, code: str) -> bytes:
    return msgspec.json.encode({"error": {"message": error.message, "type": error.type, "param": error.param, "code": code}})


def error_of(error: GatewayError) -> dict[str, Any]:
    """The `error` of a failed response: `code` is one that clients act on, `type` the gate's own stable one."""
    code = error.upstream_code if isinstance(error, UpstreamRejected) and error.upstream_code else error.code
    if error.status == 429:
        code = "rate_limit_exceeded"
    elif error.status >= 500:
        code = "server_error"
    return {"code": code, "message": error.message, "type": error.code}
