"""Batches: what a line of input must be, when a line waits, and how its result is written.

Wire: https://platform.openai.com/docs/api-reference/batch and https://platform.openai.com/docs/guides/batch.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from aldgate.core.errors import GatewayError, Retry, UpstreamOverloaded, UpstreamUnreachable
from aldgate.core.usage import NOTHING, Usage

Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
UNFINISHED: frozenset[Status] = frozenset({"validating", "in_progress", "finalizing", "cancelling"})

WINDOW_S = 86_400
MOST_ERRORS = 100
"""Bad lines that are named of one file."""
MOST_TRIES = 6
MODEL_OPTIONAL = frozenset({"/v1/moderations"})


class LineError(msgspec.Struct, frozen=True):
    """What is wrong with an input file, and in which line (counted from 1; None: with all of it)."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class StoredBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it is kept. Times in Unix seconds.

    Attributes:
        principal: Id of the key that its lines are called with.
        input_sha256: The artifact of the input, which stays for the batch though the file may be deleted.
        token: Grows with each worker that takes the batch; a worker with an older one may write nothing.
        output_lifetime_s: How long result files live.
    """

    id: str
    account: str
    principal: str
    endpoint: str
    input_file_id: str
    input_sha256: str
    created_at: float
    expires_at: float
    status: Status = "validating"
    metadata: dict[str, str] | None = None
    output_lifetime_s: int | None = None
    in_progress_at: float | None = None
    finalizing_at: float | None = None
    completed_at: float | None = None
    failed_at: float | None = None
    expired_at: float | None = None
    cancelling_at: float | None = None
    cancelled_at: float | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: list[LineError] = []
    model: str | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    token: int = 0


class BatchLine(msgspec.Struct, frozen=True):
    """A line of input and where it is in the file.

    Attributes:
        line: Counted from 1.
        call_id: Of a call for it that is in the ledger, though its result was lost: to be used again, so that it is billed once.
        cuts: How often a call for it was begun whose end nobody saw.
    """

    line: int
    custom_id: str
    offset: int
    length: int
    call_id: str | None = None
    cuts: int = 0


class LineResult(msgspec.Struct, frozen=True):
    """What came of a line: the line of the output or error file, without its line end."""

    line: int
    text: bytes
    is_good: bool
    usage: Usage = NOTHING


class _Input(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Model(msgspec.Struct):
    model: str = ""
    stream: Any = None


_input = msgspec.json.Decoder(_Input)
_model = msgspec.json.Decoder(_Model)


def read_line(raw: bytes, line: int, endpoint: str) -> tuple[str, str] | LineError:
    """The custom id and the model (empty where it may be left out) of a line of input, or what is wrong with it."""
    try:
        found = _input.decode(raw)
        body = _model.decode(found.body)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        missing = text.rsplit("`", 2)[1] if "missing required field `" in text else None
        param = missing or path.strip(".`") or None
        if missing is None:
            return LineError("invalid_request", f"{text}{f' (`{param}`)' if param else ''}.", line, param)
        return LineError("missing_required_parameter", f"Missing required parameter: '{missing}'.", line, missing)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return LineError("invalid_json_line", "This line is not parseable as valid JSON.", line)
    if found.method != "POST":
        return LineError("invalid_method", "The method of a line is `POST`.", line, "method")
    if found.url != endpoint:
        return LineError("url_mismatch", f"The URL of this line is not the batch's endpoint, `{endpoint}`.", line, "url")
    if not body.model and endpoint not in MODEL_OPTIONAL:
        return LineError("missing_required_parameter", "Missing required parameter: 'body.model'.", line, "body.model")
    if body.stream is True:
        return LineError("invalid_request", "A line of a batch cannot be streamed.", line, "body.stream")
    return found.custom_id, body.model


def body_of(raw: bytes) -> bytes:
    """The request of a line that `read_line` has taken."""
    return bytes(_input.decode(raw).body)


def wait_s(error: GatewayError, tries: int) -> float | None:
    """Seconds until a line that failed so is called again; None: it has failed.

    A limit is waited for as long as it says and as often as it takes. A provider that is overloaded or cannot be reached is tried
    `MOST_TRIES` times, twice as long apart each time.

    Args:
        error: What came of the call.
        tries: Calls so far that ended with a provider's refusal.
    """
    if error.has_run:
        return None
    if isinstance(error, UpstreamOverloaded | UpstreamUnreachable):
        return max(2.0 ** (tries - 1), error.retry_after_s or 0) if tries < MOST_TRIES else None
    if error.retry is Retry.LATER or error.status == 429 and error.retry_after_s is not None:
        return float(max(1, error.retry_after_s or 1))
    return None


def answered(batch_id: str, line: BatchLine, status: int, call_id: str, body: bytes, warnings: Sequence[str] = ()) -> bytes:
    """A line of the output file, or of the error file if it is an error. `body` is JSON.

    A line that was called a second time because the first call's end was lost says so, `"attempt":2`; so does one of whose
    request something was left out, `"warnings":["seed"]`.
    """
    response = {"status_code": status, "request_id": call_id, "body": msgspec.Raw(msgspec.json.format(body, indent=-1))}
    return _written(batch_id, line, response, None, warnings)


def unanswered(batch_id: str, line: BatchLine, code: str, message: str) -> bytes:
    """A line of the error file for a line that has no answer."""
    return _written(batch_id, line, None, {"code": code, "message": message})


def _written(batch_id: str, line: BatchLine, response: object, error: object, warnings: Sequence[str] = ()) -> bytes:
    name = f"batch_req_{batch_id.removeprefix('batch_')}{line.line:06x}"
    written = {"id": name, "custom_id": line.custom_id, "response": response, "error": error}
    if line.cuts:
        written["attempt"] = line.cuts + 1
    if warnings:
        written["warnings"] = list(warnings)
    return msgspec.json.encode(written)


UNDONE: dict[Status, tuple[str, str]] = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed, because the batch was cancelled."),
}
"""What the error file says of lines that were never called, by what became of the batch."""
INTERRUPTED = (
    "request_interrupted",
    "The gate was stopped twice while this request was under way; it may have been executed, but its answer is lost.",
)
