"""Errors of Cohere's API, `{"message": "text"}` (https://docs.cohere.com/reference/errors)."""

from __future__ import annotations

import re

import msgspec

from aldgate.core.errors import ContextTooLong, UpstreamError, UpstreamInvalid
from aldgate.dialects.openai import errors as openai
from aldgate.dialects.quoting import quoted

_TOO_LONG = re.compile(r"too many tokens|context length|exceeds the (maximum|limit)", re.IGNORECASE)
_INVALID_TOKEN = 498
"""Cohere's status for a credential that is none; elsewhere it means too much load."""
_LONGEST_MESSAGE = 2_000


class _Fault(msgspec.Struct):
    message: str


_fault = msgspec.json.Decoder(_Fault)


def read_error(status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
    """The error Cohere answered with, classed by who has to act on it."""
    try:
        said = _fault.decode(body).message[:_LONGEST_MESSAGE]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        said = ""
    if status in (400, 422) and _TOO_LONG.search(said):
        return ContextTooLong(said, upstream_status=status)
    return openai.read_error(401 if status == _INVALID_TOKEN else status, body, retry_after_s)


def gave_up(said: str | None) -> UpstreamError:
    """The model stopped with an error."""
    return UpstreamError(f"The provider gave up in the middle of its answer: {quoted(said or 'it did not say why')}")


def no_reply() -> UpstreamInvalid:
    """What was sent is nothing that Cohere sends."""
    return UpstreamInvalid("The provider sent something that is no answer of Cohere's API.")
