"""`/v1/jobs`: what is being made, for who wanted it; administrators see everybody's."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from fastapi import Request
from starlette.datastructures import QueryParams
from starlette.responses import Response

from aldgate.artifacts.links import Links
from aldgate.core.errors import InvalidRequest, NotFound
from aldgate.core.jobs import CALLS, STATES, Job, JobFilter, progress_of
from aldgate.core.levels import Operation
from aldgate.core.principals import Principal
from aldgate.core.webhooks import webhook_of
from aldgate.jobs.making import Jobs
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.contents import SAFE
from aldgate.surfaces.http.preferences import LATER
from aldgate.surfaces.jobs import webhooks
from aldgate.surfaces.jobs.files import page, whole_number
from aldgate.surfaces.jobs.looking import check_may_look, whose

MOST_LISTED = 100
USUALLY_LISTED = 20
LONGEST_WAIT_S = 60
PLUGGABLY_WORDS = {"scheduled": "queued", "succeeded": "completed"}
"""States that have another name in `status`."""


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

    async def list(self, who: Principal, query: QueryParams) -> dict[str, Any]:
        """The newest first; `state` and `operation` (several of each), `engine`, `parent`, `limit` and `after` choose.

        Raises:
            InvalidRequest: A parameter has a value it cannot have.
            NotFound: There is no job `after`.
        """
        check_may_look(who)
        limit = whole_number(query, "limit", USUALLY_LISTED, MOST_LISTED)
        account = whose(who)
        wanted = JobFilter(
            account=account,
            states=_several(query, "state", STATES),
            operations=_several(query, "operation", get_args(Operation)),
            engine=query.get("engine"),
            parent=query.get("parent"),
        )
        after = await self._jobs.find(account, query["after"]) if "after" in query else None
        found = await self._jobs.list(wanted, after=after, limit=limit + 1)
        listed = page([self.described(job) for job in found], limit)
        return {**listed, "jobs": listed["data"]}

    async def get(self, who: Principal, request: Request) -> dict[str, Any]:
        """One job; with `wait`, once it has ended or so many seconds (at most 60) have passed.

        Raises:
            NotFound: Who asks has no such job.
        """
        check_may_look(who)
        job = await self._jobs.find(whose(who), request.path_params["id"])
        if "wait" in request.query_params:
            job = await self._jobs.ended(job, whole_number(request.query_params, "wait", 1, LONGEST_WAIT_S))
        return {**self.described(job), "webhook": await self._webhook(job)}

    async def _webhook(self, job: Job) -> dict[str, Any] | None:
        url = webhook_of(job.extras)
        return None if url is None else webhooks.described(url, await self._jobs.hooks.find(job.id))

    async def webhook_secret(self, who: Principal, request: Request) -> dict[str, Any]:
        """What webhooks of who asks are signed with."""
        return await webhooks.secret(self._jobs.hooks, who)

    async def cancel(self, who: Principal, job_id: str) -> dict[str, Any]:
        """Have it stopped.

        Raises:
            NotFound: Who asks has no such job.
        """
        check_may_look(who)
        return self.described(await self._jobs.cancel(whose(who), job_id))

    async def retry(self, who: Principal, request: Request) -> Response:
        """Another job like one that failed or was cancelled, for who asks. 202 and the new job.

        Raises:
            NotFound: Who asks has no such job.
            Conflict: It has not ended, or was done.
            GatewayError: The new one is refused.
        """
        check_may_look(who)
        old = await self._jobs.find(whose(who), request.path_params["id"])
        return self.begun(await self._jobs.again(who, old, idempotency_key(headers_of(request.scope))))

    async def preview(self, who: Principal, job_id: str) -> Response:
        """The last picture of a job under way.

        Raises:
            NotFound: Who asks has no such job, or there is no picture of it, as of all that have ended.
        """
        check_may_look(who)
        preview = await self._jobs.preview(await self._jobs.find(whose(who), job_id))
        if preview is None:
            raise NotFound("There is no picture of this job now.", param="id")
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", "content-security-policy": SAFE}
        return Response(preview.data, 200, headers, preview.mime)

    def begun(self, job: Job, *, is_preferred: bool = False) -> Response:
        """The answer to who does not wait for it: 202, where it is, and the job. `is_preferred`: others at the path do wait."""
        headers = {"location": f"/v1/jobs/{job.id}", "cache-control": "no-store"}
        if is_preferred:
            headers["preference-applied"] = LATER.decode()
        return Response(msgspec.json.encode(self.described(job)), 202, headers, "application/json")

    def described(self, job: Job) -> dict[str, Any]:
        """A job as the API shows it."""
        return {
            "id": job.id,
            "object": "job",
            **_as_pluggably(job),
            "state": job.state,
            "operation": job.operation,
            "engine": job.engine,
            "model": job.requested_model,
            "created_at": int(job.created_at),
            "started_at": None if job.started_at is None else int(job.started_at),
            "ended_at": None if job.ended_at is None else int(job.ended_at),
            "progress": progress_of(job),
            "attempts": job.attempts,
            "parent": job.parent,
            "waits_for": job.reason or None,
            "error": None if job.error is None else {"code": job.error.code, "message": job.error.message},
            "result": self._result(job),
            "cost_microusd": job.cost_microusd,
            "work": {"images": job.done.images, "audio_seconds": job.done.audio_s, "gpu_seconds": job.done.gpu_s},
            "call_id": job.result.details.get("call_id", job.call_id) if job.result else job.call_id,
        }

    def _result(self, job: Job) -> Any:
        if job.engine == CALLS:
            return None if job.result is None else job.result.details.get("answer")
        text = job.result.text if job.result else None
        return {"artifacts": self.artifacts(job), "text": text} if job.state == "succeeded" else None

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


def _as_pluggably(job: Job) -> dict[str, Any]:
    """What that gateway's clients read of a job, whatever it makes."""
    percent = 100 if job.state == "succeeded" else int(100 * (job.progress.fraction or 0))
    status = PLUGGABLY_WORDS.get(job.state, job.state)
    return {"job_id": job.id, "model_id": job.requested_model, "status": status, "progress_pct": percent}


def _several(query: QueryParams, name: str, known: tuple[Any, ...]) -> frozenset[Any]:
    """What a parameter names, whether it stands several times or has commas."""
    words = {word.strip() for value in query.getlist(name) for word in value.split(",")}
    if not words <= set(known):
        raise InvalidRequest(f"`{name}` is one or several of {', '.join(known)}.", param=name)
    return frozenset(words)
