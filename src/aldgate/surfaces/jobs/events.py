"""`/v1/jobs/{id}/events`: what becomes of a job, as server-sent events (https://html.spec.whatwg.org/#server-sent-events).

Changes of state are kept with the job, and each is told once and in order, to who comes back with `Last-Event-ID` as well;
progress is told as it is when there is room for it. So nothing piles up here for readers who are slow.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from aldgate.core.errors import GatewayError, InvalidRequest
from aldgate.core.jobs import Job, JobEvent
from aldgate.core.principals import Principal
from aldgate.gate.principals.identity import Identity
from aldgate.jobs.making import Jobs
from aldgate.jobs.watching import LOOK_S
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.credentials import principal_of
from aldgate.surfaces.jobs.jobs import JobsFace
from aldgate.surfaces.jobs.looking import check_may_look, whose

HEARTBEAT_S = 15.0
"""Proxies commonly end what was silent for a minute or half of one."""
HEARTBEAT = b": heartbeat\n\n"


class JobEventsFace:
    """What the path does.

    Args:
        jobs: All of them.
        shown: Shows a job that has ended.
        identity: Says whether who follows still may.
        heartbeat_s: Seconds of silence before a comment is sent.
    """

    def __init__(self, jobs: Jobs, shown: JobsFace, identity: Identity, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._jobs = jobs
        self._shown = shown
        self._identity = identity
        self._heartbeat_s = heartbeat_s

    async def follow(self, who: Principal, request: Request) -> Response:
        """GET /v1/jobs/{id}/events, from behind `Last-Event-ID` or `after` on. 204 where nothing comes any more.

        Raises:
            NotFound: Who asks has no such job.
            InvalidRequest: What it is to begin behind is no event.
        """
        check_may_look(who)
        job = await self._jobs.find(whose(who), request.path_params["id"])
        after = _after(request)
        if job.has_ended and after >= job.version:
            return Response(None, 204, {"cache-control": "no-store"})  # browsers stop to come back
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        return StreamingResponse(self._told(request, job, after), 200, headers, "text/event-stream")

    async def _told(self, request: Request, job: Job, after: int) -> AsyncGenerator[bytes]:
        spoke_at = time.monotonic()
        try:
            while not self._jobs.is_stopping:
                job, events = await self._jobs.news(job, after, LOOK_S)
                await principal_of(request.scope, self._identity)
                for event in events:
                    after, spoke_at = event.seq, time.monotonic()
                    yield self._change(job, event)
                if job.has_ended and after >= job.version:
                    return
                if job.version > after:
                    after, spoke_at = job.version, time.monotonic()
                    yield _event("progress", after, _progress(job))
                elif time.monotonic() - spoke_at >= self._heartbeat_s:
                    spoke_at = time.monotonic()
                    yield HEARTBEAT
        except GatewayError as error:
            yield _event("error", None, {"error": {"code": error.code, "message": error.message}})

    def _change(self, job: Job, event: JobEvent) -> bytes:
        told: dict[str, Any] = {
            "job_id": job.id,
            "seq": event.seq,
            "at": event.at,
            "state": event.state,
            "message": event.message,
        }
        if job.has_ended and event.seq == job.version:
            told["job"] = self._shown.described(job)
        return _event("state", event.seq, told)


def _progress(job: Job) -> dict[str, Any]:
    told = {name: getattr(job.progress, name) for name in ("fraction", "step", "steps", "message")}
    return {"job_id": job.id, "seq": job.version, "state": job.state, "waits_for": job.reason or None, **told}


def _event(name: str, seq: int | None, data: dict[str, Any]) -> bytes:
    number = b"" if seq is None else b"id: %d\n" % seq
    return b"%bevent: %b\ndata: %b\n\n" % (number, name.encode(), msgspec.json.encode(data))


def _after(request: Request) -> int:
    text = headers_of(request.scope).get(b"last-event-id", b"").decode("latin-1") or request.query_params.get("after", "")
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise InvalidRequest("`Last-Event-ID` is the `id` of an event of this job, a whole number.", param="after")
    return int(text or 0)
