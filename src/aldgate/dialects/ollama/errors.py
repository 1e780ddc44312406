"""Errors in Ollama's shape, `{"error": "text"}`, written for callers and read from servers.

https://github.com/ollama/ollama/blob/main/docs/api/errors.mdx
"""

from __future__ import annotations

import re

import msgspec

from aldgate.core.errors import ContextTooLong, GatewayError, UpstreamError, UpstreamInvalid
from aldgate.dialects.openai import errors as openai
from aldgate.dialects.quoting import quoted

_TOO_LONG = re.compile(r"context (length|window|size)|prompt (is )?too long", re.IGNORECASE)
_BUSY = re.compile(r"server busy|overloaded|loading model", re.IGNORECASE)
_LONGEST_MESSAGE = 2_000


class _Fault(msgspec.Struct):
    error: str
    status: int | None = None


_fault = msgspec.json.Decoder(_Fault, strict=False)


def render(error: GatewayError) -> bytes:
    """The error as a body; also the last line of a stream that failed."""
    return msgspec.json.encode({"error": error.message})


def answer(error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """The error as status, headers and body."""
    body = render(error)
    return error.status, openai.headers_of(error, body, call_id), body


def read_error(status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
    """The error a server answered with, classed by who has to act on it."""
    try:
        said = _fault.decode(body).error[:_LONGEST_MESSAGE]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return openai.read_error(status, body, retry_after_s)  # its OpenAI form, or a proxy in between
    if status < 500 and status != 429 and _TOO_LONG.search(said):
        return ContextTooLong(said, upstream_status=status)
    if status >= 500 and _BUSY.search(said):
        status = 503
    return openai.read_error(status, msgspec.json.encode({"error": said}), retry_after_s)


def error_in_stream(line: bytes) -> UpstreamError | None:
    """The error that a line of a stream, or a whole reply with status 200, is; None if it is none."""
    if b'"error"' not in line:
        return None
    try:
        fault = _fault.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if fault.status is not None and fault.status >= 400:
        return read_error(fault.status, line, None)
    if _TOO_LONG.search(fault.error):
        return ContextTooLong(fault.error[:_LONGEST_MESSAGE])
    return UpstreamError(f"The provider gave up: {quoted(fault.error)}")


def no_reply() -> UpstreamInvalid:
    """What was sent is nothing that Ollama sends."""
    return UpstreamInvalid("The provider sent something that is no answer of Ollama's API.")
