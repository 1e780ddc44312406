"""`/v1/jobs`: what is being made, for who wanted it; administrators see everybody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from aldgate.artifacts.links import Links
from aldgate.core.errors import InvalidRequest
from aldgate.core.jobs import STATES, Job, JobFilter
from aldgate.core.principals import Principal
from aldgate.jobs.making import Jobs
from aldgate.surfaces.jobs.artifacts import require_reading
from aldgate.surfaces.jobs.files import page, whole_number

MOST_LISTED = 100
USUALLY_LISTED = 20
LONGEST_WAIT_S = 60


class JobsFace:
    """What the paths under `/v1/jobs` do.

    Args:
        jobs: All of them.
        links: Makes links to what they made.
        link_s: Seconds that such links are good for.
    """

    def __init__(self, jobs: Jobs, links: Links, link_s: float) -> None:
        self._jobs = jobs
        self._links = links
        self._link_s = link_s

    async def list(self, who: Principal, query: Mapping[str, str]) -> dict[str, Any]:
        """The newest first; `state`, `limit` and `after` choose.

        Raises:
            InvalidRequest: A parameter has a value it cannot have.
            NotFound: There is no job `after`.
        """
        require_reading(who)
        limit, state = whole_number(query, "limit", USUALLY_LISTED, MOST_LISTED), query.get("state")
        if state is not None and state not in STATES:
            raise InvalidRequest(f"`state` is one of {', '.join(STATES)}.", param="state")
        whose = _whose(who)
        after = await self._jobs.find(whose, query["after"]) if "after" in query else None
        wanted = JobFilter(account=whose, states=frozenset({state} if state else ()))
        found = await self._jobs.list(wanted, after=after, limit=limit + 1)
        return page([self.described(job) for job in found], limit)

    async def get(self, who: Principal, request: Request) -> dict[str, Any]:
        """One job; with `wait`, once it has ended or so many seconds (at most 60) have passed.

        Raises:
            NotFound: Who asks has no such job.
        """
        require_reading(who)
        job = await self._jobs.find(_whose(who), request.path_params["id"])
        if "wait" in request.query_params:
            job = await self._jobs.ended(job, whole_number(request.query_params, "wait", 1, LONGEST_WAIT_S))
        return self.described(job)

    async def cancel(self, who: Principal, job_id: str) -> dict[str, Any]:
        """Have it stopped.

        Raises:
            NotFound: Who asks has no such job.
        """
        require_reading(who)
        return self.described(await self._jobs.cancel(_whose(who), job_id))

    def described(self, job: Job) -> dict[str, Any]:
        """A job as the API shows it."""
        text = job.result.text if job.result else None
        return {
            "id": job.id,
            "object": "job",
            "state": job.state,
            "operation": job.operation,
            "engine": job.engine,
            "model": job.requested_model,
            "created_at": int(job.created_at),
            "started_at": None if job.started_at is None else int(job.started_at),
            "ended_at": None if job.ended_at is None else int(job.ended_at),
            "progress": {name: getattr(job.progress, name) for name in ("fraction", "step", "steps", "message")},
            "attempts": job.attempts,
            "waits_for": job.reason or None,
            "error": None if job.error is None else {"code": job.error.code, "message": job.error.message},
            "result": {"artifacts": self.artifacts(job), "text": text} if job.made or text is not None else None,
            "cost_microusd": job.cost_microusd,
            "call_id": job.call_id,
        }

    def artifacts(self, job: Job) -> list[dict[str, Any]]:
        """What it made, with links."""
        return [
            {
                "id": made.id,
                "url": self.link(made.id),
                "mime": made.mime,
                "bytes": made.bytes,
                "sha256": made.sha256,
                "facts": dict(made.facts),
            }
            for made in job.made
        ]

    def link(self, artifact_id: str) -> str:
        """The path of a link to an artifact."""
        return self._links.path(artifact_id, self._jobs.now() + self._link_s)


def _whose(who: Principal) -> str | None:
    return None if "admin" in who.rights.scopes else who.account
