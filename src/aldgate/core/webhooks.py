"""Webhooks of jobs: where they may be sent, what is sent, how it is signed, and when it is sent again.

Signatures are those of Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from aldgate.core.addresses import is_public, parsed
from aldgate.core.errors import InvalidRequest
from aldgate.core.jobs import Job

WEBHOOK = "webhook"
"""The name among a job's `extras` of the URL that is called when it has ended."""
PREFIX = "whsec_"
MOST_URL = 2_048
WAITS_S = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds before the second attempt and each further one, as Standard Webhooks recommends; the last before all that follow."""
LONGEST_ASKED_S = 86_400.0
GONE = 410
"""A receiver that answers so wants nothing any more."""

DeliveryState = Literal["pending", "delivered", "failed"]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that is to be sent, or was.

    Attributes:
        job: Id of the job that has ended.
        account: Whose it is.
        attempts: Made so far.
        due_at: Unix seconds; not before then.
        token: Grows with each claim; who has an older one may write nothing.
        last_status: What the receiver answered last; None: it did not.
        last_error: Why the last attempt came to nothing.
    """

    job: str
    account: str
    url: str
    state: DeliveryState = "pending"
    attempts: int = 0
    due_at: float = 0.0
    token: int = 0
    last_status: int | None = None
    last_error: str = ""
    ended_at: float | None = None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt. `wait_s`: until the next, where the delivery is still pending."""

    state: DeliveryState
    wait_s: float = 0.0
    status: int | None = None
    error: str = ""


def check_url(url: str, *, allow_private: bool) -> None:
    """See that callers may have this URL called. What its name leads to is checked when it is called.

    Raises:
        InvalidRequest: It is none, is not https, or leads into private networks.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or parts.username is not None or len(url) > MOST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequest("`webhook_url` is a URL as in `https://example.com/hook`.", param="webhook_url")
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise InvalidRequest("`webhook_url` begins with `https://`.", param="webhook_url")
    is_private = host.rstrip(".").lower() in ("localhost", "") or (parsed(host) is not None and not is_public(host))
    if is_private and not allow_private:
        raise InvalidRequest("`webhook_url` leads into a private network, or to this machine.", param="webhook_url")


def webhook_id(job_id: str) -> str:
    """The id of the message about a job; the same at each attempt, so that receivers know it again."""
    return f"msg-{job_id.removeprefix('job-')}"


def message(job: Job) -> bytes:
    """What is sent about a job that has ended: who has the key asks `GET /v1/jobs/{id}` for the rest."""
    data: dict[str, Any] = {
        "id": job.id,
        "object": "job",
        "state": job.state,
        "operation": job.operation,
        "engine": job.engine,
        "model": job.requested_model,
        "created_at": int(job.created_at),
        "ended_at": None if job.ended_at is None else int(job.ended_at),
        "error": None if job.error is None else {"code": job.error.code, "message": job.error.message},
        "artifacts": [{"id": made.id, "mime": made.mime, "bytes": made.bytes, "sha256": made.sha256} for made in job.made],
        "cost_microusd": job.cost_microusd,
    }
    at = datetime.fromtimestamp(job.ended_at or job.created_at, UTC).isoformat().replace("+00:00", "Z")
    return msgspec.json.encode({"type": f"job.{job.state}", "timestamp": at, "data": data})


def key_of(master: bytes, account: str) -> bytes:
    """The key that an account's webhooks are signed with."""
    return hmac.digest(master, f"webhooks\n{account}".encode(), sha256)


def secret_of(master: bytes, account: str) -> str:
    """The same as receivers write it: `whsec_` and base64."""
    return PREFIX + base64.b64encode(key_of(master, account)).decode()


def signed(key: bytes, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers. `at`: Unix seconds of this attempt."""
    digest = hmac.digest(key, f"{message_id}.{at}.".encode() + body, sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def after_attempt(
    status: int | None, error: str, attempts: int, most: int, jitter: float, retry_after_s: float | None = None
) -> Tried:
    """What follows an attempt.

    Args:
        status: What the receiver answered; None: it did not.
        error: Why not.
        attempts: Made so far, this one among them.
        most: So many, and it is given up.
        jitter: A random number from 0 up to 1.
        retry_after_s: What the receiver asks for.
    """
    if status is not None and 200 <= status < 300:
        return Tried(state="delivered", status=status)
    said = error or f"The receiver answered with {status}."
    if status == GONE or attempts >= most:
        return Tried(state="failed", status=status, error=said)
    usual = WAITS_S[min(attempts, len(WAITS_S)) - 1] * (0.9 + jitter / 5)
    return Tried(state="pending", wait_s=max(usual, min(retry_after_s or 0.0, LONGEST_ASKED_S)), status=status, error=said)


def webhook_of(extras: Mapping[str, Any]) -> str | None:
    """The URL that is called when a job with these `extras` has ended."""
    return extras.get(WEBHOOK)
