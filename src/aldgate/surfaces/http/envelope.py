"""The envelope of the paths that the port-1301 gateway had: `success`, `data`, `error`, `job_id`, `timestamp`.

Its clients look at `success` and `error.code`; the codes are its own where it had one, else the gate's in capitals. Unlike there,
each comes with the HTTP status that it means.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from aldgate.core.errors import GatewayError
from aldgate.dialects.openai.errors import headers_of

Object = dict[str, Any]
PLACES = ("/auth/keys", "/generate", "/tts", "/llm", "/jobs", "/ws/jobs")
"""Everything at and under these answers so."""
AWAY = "SERVICE_UNAVAILABLE"
_CODES = {
    "upstream_error": AWAY,
    "upstream_unreachable": AWAY,
    "upstream_broken": AWAY,
    "upstream_invalid": AWAY,
    "upstream_overloaded": AWAY,
    "upstream_auth": AWAY,
    "worker_lost": AWAY,
    "overloaded": AWAY,
    "shutting_down": AWAY,
    "store_unavailable": AWAY,
    "issuer_unavailable": AWAY,
    "upstream_timeout": "JOB_TIMEOUT",
    "deadline_exceeded": "JOB_TIMEOUT",
    "upstream_rate_limited": "RATE_LIMIT_EXCEEDED",
    "concurrency_limit_exceeded": "RATE_LIMIT_EXCEEDED",
    "method_not_allowed": "HTTP_ERROR",
}
_STATUSES = {AWAY: 503, "JOB_TIMEOUT": 504}
"""Where the code says another status than the error does: 502 is for proxies that pass on, and here a job stands between."""


class Envelope(msgspec.Struct):
    """How these paths answer. `job_id` stands in `data` too, where there is one."""

    success: bool
    data: Object | None
    error: Object | None
    job_id: str | None
    timestamp: str


def is_enveloped(path: str) -> bool:
    """Whether a path answers so."""
    return any(path == place or path.startswith(place + "/") for place in PLACES)


def code_of(code: str) -> str:
    """The word of these paths for one of the gate's codes of errors."""
    return _CODES.get(code, code.upper())


def enveloped(data: Object) -> bytes:
    """A good answer."""
    return msgspec.json.encode(Envelope(True, data, None, data.get("job_id"), _now()))


def refused(path: str, error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of an error at one of these paths."""
    code = "INVALID_API_KEY" if error.status == 401 else code_of(error.code)
    if error.code == "not_found" and not path.startswith("/auth"):
        code = "JOB_NOT_FOUND" if path.startswith(("/jobs/", "/ws/jobs/")) else "HTTP_ERROR"
    told: Object = {"code": code, "message": error.message}
    if error.param is not None:
        told["param"] = error.param
    body = msgspec.json.encode(Envelope(False, None, told, None, _now()))
    headers = headers_of(error, body, call_id)
    if error.status == 429:
        headers += [(b"x-ratelimit-remaining", b"0"), (b"x-ratelimit-reset", b"%d" % (error.retry_after_s or 1))]
    return _STATUSES.get(code, error.status), headers, body


def _now() -> str:
    return datetime.now(UTC).isoformat()
