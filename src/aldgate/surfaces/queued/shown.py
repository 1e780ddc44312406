"""A job in the words of these paths: pending, running, completed or failed.

Their clients stop at `completed` and `failed` alone, so what was cancelled has failed here; `state` is the gate's own word.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aldgate.artifacts.links import Links
from aldgate.core.jobs import Job, State, progress_of
from aldgate.surfaces.http.envelope import code_of
from aldgate.surfaces.queued.called import service_of, text_of

WORDS: dict[State, str] = {
    "queued": "pending",
    "scheduled": "pending",
    "running": "running",
    "succeeded": "completed",
    "failed": "failed",
    "cancelled": "failed",
}
CANCELLED = "Job cancelled"


class Shown:
    """Shows jobs.

    Args:
        links: Makes links to what they made.
        link_s: Seconds that such links are good for.
    """

    def __init__(self, links: Links, link_s: float) -> None:
        self._links = links
        self._link_s = link_s

    def job(self, job: Job, base: str, now: float) -> dict[str, Any]:
        """The job object. `base`: what stands before the paths of links, as in `https://gate.example`; `now`: Unix seconds."""
        return {
            "job_id": job.id,
            "service": service_of(job),
            "status": WORDS[job.state],
            "result": self._result(job, base, now),
            **_error(job),
            "created_at": _iso(job.created_at),
            "updated_at": _iso(max(job.created_at, job.started_at or 0, job.ended_at or 0, job.cancel_asked_at or 0)),
            "state": job.state,
            "operation": job.operation,
            "model": job.requested_model,
            "progress": progress_of(job),
            "waits_for": job.reason or None,
        }

    def _result(self, job: Job, base: str, now: float) -> dict[str, Any] | None:
        if job.state != "succeeded":
            return None
        artifacts = [
            {
                "id": made.id,
                "url": base + self._links.path(made.id, now + self._link_s),
                "mime": made.mime,
                "bytes": made.bytes,
                "sha256": made.sha256,
            }
            for made in job.made
        ]
        text = text_of(job)
        return {"artifacts": artifacts} if text is None else {"artifacts": artifacts, "text": text}


def _error(job: Job) -> dict[str, Any]:
    if job.state == "cancelled":
        return {"error": CANCELLED, "error_code": "CANCELLED"}
    if job.error is None:
        return {"error": None, "error_code": None}
    return {"error": job.error.message, "error_code": code_of(job.error.code)}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
