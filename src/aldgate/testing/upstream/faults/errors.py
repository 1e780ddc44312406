"""Errors as providers answer them: every status, and errors where none is expected."""

from collections.abc import Callable
from dataclasses import replace

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.answers import STREAM_HEAD, stream_frames
from aldgate.testing.upstream.plays import FAULTS, Play, Step, fault
from aldgate.testing.upstream.replies import Asked, encode, error_body, sse

# status -> (type, code, message), as https://platform.openai.com/docs/guides/error-codes has them
ERRORS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", "context_length_exceeded", "This model's maximum context length is 8192 tokens."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-up***key."),
    402: ("billing_error", "insufficient_balance", "Insufficient Balance"),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Country, region, or territory not supported"),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    409: ("invalid_request_error", "conflict", "The resource was updated by another process."),
    413: ("invalid_request_error", "request_too_large", "Maximum content size limit exceeded."),
    422: ("invalid_request_error", None, "Unprocessable entity"),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing your request."),
    502: ("server_error", None, "Bad gateway."),
    503: ("server_error", "service_unavailable", "The engine is currently overloaded, please try again later."),
    504: ("server_error", None, "Gateway timeout."),
    529: ("overloaded_error", "overloaded", "Overloaded"),
}


@fault()
def status(
    _: Asked,
    code: int = 500,
    *,
    retry_after_s: float | None = None,
    retry_after_ms: int | None = None,
    error_code: str | int | None = None,
) -> Play:
    """An error of the given status, with OpenAI's body; `error_code` replaces the usual code."""
    kind, usual, message = ERRORS.get(code, ("server_error", None, "Something went wrong."))
    body = encode(error_body(message, usual if error_code is None else error_code, kind))
    headers: list[wire.Header] = [wire.JSON]
    if retry_after_s is not None:
        headers.append(("retry-after", f"{retry_after_s:g}"))
    if retry_after_ms is not None:
        headers.append(("retry-after-ms", str(retry_after_ms)))
    yield wire.whole(body, status=code, headers=headers)


def _of_status(code: int) -> Callable[[], Step]:
    if code == 429:
        return lambda: replace(status(429, retry_after_s=2, retry_after_ms=1500), name="status_429")
    return lambda: replace(status(code), name=f"status_{code}")


FAULTS.update({f"status_{code}": _of_status(code) for code in ERRORS})


@fault()
def quota_exhausted(_: Asked) -> Play:
    """429 that waiting does not mend: the account has no money left."""
    body = error_body("You exceeded your current quota.", "insufficient_quota", "insufficient_quota")
    yield wire.whole(encode(body), status=429)


@fault()
def error_page(_: Asked, code: int = 502) -> Play:
    """An error with a proxy's web page for a body."""
    page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    yield wire.whole(page, status=code, headers=[("Content-Type", "text/html")])


@fault()
def error_empty(_: Asked, code: int = 500) -> Play:
    """An error without any body."""
    yield wire.whole(b"", status=code, headers=[])


@fault()
def error_text(_: Asked, code: int = 500) -> Play:
    """`{"error": "..."}`: a string where an object belongs, as several compatible servers send."""
    yield wire.whole(encode({"error": "model runner has unexpectedly stopped"}), status=code)


@fault()
def error_200(_: Asked) -> Play:
    """Status 200 with an `error` object in place of an answer (OpenRouter does this)."""
    yield wire.whole(encode(error_body("Provider returned error", 502, "server_error")))


@fault()
def numeric_code(_: Asked, code: int = 429) -> Play:
    """An error whose `code` is a number, as OpenRouter and vLLM send."""
    yield wire.whole(encode(error_body("Rate limited upstream", code, "rate_limit_error")), status=code)


@fault()
def error_in_stream(asked: Asked, after: int = 3) -> Play:
    """A top-level `error` event after so many good ones, and then `[DONE]`."""
    yield from stream_frames(asked, asked.rendered.frames[:after])
    error = encode(error_body("The server had an error while processing your request.", "server_error", "server_error"))
    yield wire.chunk(sse(error)) + wire.chunk(sse(b"[DONE]")) + wire.LAST_CHUNK


@fault()
def error_first_in_stream(_: Asked) -> Play:
    """A stream that begins with its error."""
    error = encode(error_body("Overloaded", 503, "overloaded_error"))
    yield STREAM_HEAD + wire.chunk(sse(error)) + wire.LAST_CHUNK
