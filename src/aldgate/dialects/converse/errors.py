"""Bedrock's errors, by the name AWS gives them, in replies and in the middle of streams.

Names and statuses: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors
and https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html.
"""

import msgspec

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
from aldgate.dialects.quoting import saying

_STATUS = {
    "accessdeniedexception": 403,
    "conflictexception": 400,
    "expiredtokenexception": 403,
    "incompletesignature": 403,
    "incompletesignatureexception": 403,
    "internalserverexception": 500,
    "invalidsignatureexception": 403,
    "missingauthenticationtokenexception": 403,
    "modelerrorexception": 424,
    "modelnotreadyexception": 429,
    "modelstreamerrorexception": 424,
    "modeltimeoutexception": 408,
    "optinrequired": 403,
    "resourcenotfoundexception": 404,
    "servicequotaexceededexception": 400,
    "serviceunavailableexception": 503,
    "throttlingexception": 429,
    "unrecognizedclientexception": 403,
    "validationexception": 400,
}
_QUOTA = frozenset({"servicequotaexceededexception", "optinrequired"})
_TOO_LONG = ("input is too long", "prompt is too long", "exceed context limit", "maximum context length", "too many input tokens")
_LONGEST_MESSAGE = 2_000


class _Body(msgspec.Struct):
    message: str | None = None
    Message: str | None = None
    type: str | None = msgspec.field(default=None, name="__type")


_body = msgspec.json.Decoder(_Body)


def read_error(status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
    """The error a reply brings. The name of its kind stands in `__type`, where the provider puts what the header said."""
    try:
        said = _body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = _Body()
    kind = (said.type or "").partition(":")[0].rpartition("#")[2]  # `prefix#Name:http://...`
    return _classed(kind, status, said.message or said.Message or "", retry_after_s)


def error_in_stream(kind: str, said: str) -> UpstreamError:
    """The error that ends a stream; it has no status of its own."""
    return saying(_classed(kind, 500, said, None), said)


def _classed(kind: str, status: int, message: str, retry_after_s: int | None) -> UpstreamError:
    """The error of AWS's `kind` (any case, empty if not said), by who has to act on it."""
    name = kind.lower()
    status = _STATUS.get(name, status)
    said = message[:_LONGEST_MESSAGE]
    code = kind or None
    if name in _QUOTA or status == 402:
        text = "The gate's account at the provider is used up or not cleared for this; tell its operator."
        return UpstreamLimited(text, upstream_status=status, upstream_code=code)
    if status in (401, 403):
        text = "The provider refused the gate's credential; tell its operator."
        return UpstreamAuth(text, upstream_status=status, upstream_code=code)
    if name == "modelnotreadyexception" or status in (503, 529):
        text = f"The provider is overloaded: {said or f'status {status}'}"
        return UpstreamOverloaded(text, retry_after_s=retry_after_s, upstream_status=status, upstream_code=code)
    if status == 429:
        text = f"The provider limits the gate: {said or 'too many requests'}"
        return UpstreamLimited(text, retry_after_s=retry_after_s or 1, upstream_status=status, upstream_code=code)
    if status == 408:
        return UpstreamTimeout("The model did not answer in the provider's time.", upstream_status=status, upstream_code=code)
    if status in (400, 404, 409, 413, 415, 422):
        return _rejected(status, said, code)
    if status >= 500 or status == 424:
        text = f"The provider failed with status {status}."
        return UpstreamError(text, retry_after_s=retry_after_s, upstream_status=status, upstream_code=code)
    return UpstreamInvalid(f"The provider answered with status {status}.", upstream_status=status, upstream_code=code)


def _rejected(status: int, said: str, code: str | None) -> UpstreamRejected:
    message = said or f"The provider refused the request with status {status}."
    if any(words in said.lower() for words in _TOO_LONG):
        return ContextTooLong(message, upstream_status=status, upstream_code=ContextTooLong.code)
    rejected = UpstreamRejected(message, upstream_status=status, upstream_code=code)
    rejected.status = 400 if status == 422 else status
    return rejected
