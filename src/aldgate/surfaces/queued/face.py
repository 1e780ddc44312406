"""`/generate/*`, `/tts`, `/llm/*` and `/jobs`: creation answers `pending` at once, and the job tells of the rest.

These are the paths of the port-1301 gateway (its README, "Endpoints"), with their envelope (`http.envelope`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import Request
from starlette.responses import Response

from aldgate.artifacts.archive import Archive
from aldgate.core.errors import ScopeDenied, UpstreamTimeout, UpstreamUnreachable
from aldgate.core.generation import Generation
from aldgate.core.jobs import Job, JobFilter
from aldgate.core.principals import Principal
from aldgate.jobs.making import Jobs, check_scope
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.http.asgi import base_of, headers_of
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.http.envelope import enveloped
from aldgate.surfaces.http.requests import Act, body_of
from aldgate.surfaces.jobs.files import whole_number
from aldgate.surfaces.jobs.looking import check_may_look, whose
from aldgate.surfaces.jobs.webhooks import extras_of
from aldgate.surfaces.queued.called import PATH, chat_body
from aldgate.surfaces.queued.choosing import check_there, named
from aldgate.surfaces.queued.requests import (
    Asking,
    AudioWanted,
    ImageWanted,
    MusicWanted,
    SpeechWanted,
    TextWanted,
    VideoWanted,
)
from aldgate.surfaces.queued.shown import Shown
from aldgate.surfaces.queued.texts import models, writer
from aldgate.surfaces.queued.tickets import Tickets

MOST_LISTED, USUALLY_LISTED, MOST_SKIPPED = 100, 50, 100_000
MAKES: tuple[tuple[str, type[Asking]], ...] = (
    ("/generate/image", ImageWanted),
    ("/generate/video", VideoWanted),
    ("/generate/audio", AudioWanted),
    ("/generate/music", MusicWanted),
    ("/tts", SpeechWanted),
)
"""Where things are made, and what is asked there."""


class QueueFace:
    """What the paths do.

    Args:
        jobs: Has things made.
        archive: Has what was made.
        tickets: Let pages watch one job.
        shown: Shows jobs.
    """

    def __init__(self, jobs: Jobs, archive: Archive, tickets: Tickets, shown: Shown) -> None:
        self._jobs = jobs
        self._archive = archive
        self._tickets = tickets
        self._shown = shown

    @property
    def paths(self) -> tuple[tuple[str, str, Act], ...]:
        """Methods, paths and what is behind them."""
        return (
            *(("POST", path, self._making(kind)) for path, kind in MAKES),
            ("POST", "/llm/generate", _answering(self._write)),
            ("GET", "/llm/models", _answering(self._list_models)),
            ("GET", "/jobs", _answering(self._list)),
            ("GET", "/jobs/{id}", _answering(self._get)),
            ("DELETE", "/jobs/{id}", _answering(self._cancel)),
        )

    def _making(self, kind: type[Asking]) -> Act:
        async def make(who: Principal, request: Request) -> dict[str, Any]:
            wanted = decoded(await body_of(request), kind)
            asked = wanted.asked()
            check_scope(who, asked.operation)
            await self._archive.check_room(who.account)
            name = named(self._jobs, asked.operation, wanted.engine or "", wanted.model or "")
            begun = await self._begin(who, request, asked, name, extras_of(wanted.webhook_url))
            return self._pending(begun, request)

        return _answering(make)

    async def _begin(
        self, who: Principal, request: Request, asked: Generation, name: str, extras: Mapping[str, Any] | None = None
    ) -> Job:
        """Begin a job. An engine that was named has to be there."""
        if name:
            engine, _ = self._jobs.engine_for(asked.operation, name)
            try:
                await check_there(engine)
            except (UpstreamTimeout, UpstreamUnreachable) as error:
                raise UpstreamUnreachable(error.message) from error
        return await self._jobs.begin(who, asked, name, key=idempotency_key(headers_of(request.scope)), extras=extras)

    async def _write(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /llm/generate: an engine that chats, where one is configured or named, else a provider's model."""
        wanted = decoded(await body_of(request), TextWanted)
        asked = wanted.asked()
        check_scope(who, "chat")
        who_writes = writer(self._jobs, wanted.engine or "", wanted.model or "")
        if who_writes.is_engine:
            return self._pending(await self._begin(who, request, asked, who_writes.name), request)
        key = idempotency_key(headers_of(request.scope))
        body = chat_body(asked, who_writes.name)
        job = await self._jobs.calls.begin(who, PATH, body, asked_at=request.url.path, key=key)
        return self._pending(job, request)

    def _pending(self, job: Job, request: Request) -> dict[str, Any]:
        ticket = self._tickets.issue(job.id, self._jobs.now())
        base = base_of(request.scope).replace("http", "ws", 1)
        return {"job_id": job.id, "status": "pending", "ws_url": f"{base}/ws/jobs/{job.id}?ticket={ticket}"}

    async def _list_models(self, who: Principal, request: Request) -> dict[str, Any]:
        """GET /llm/models: what may be asked here, installed or loaded."""
        if "models" not in who.rights.scopes:
            raise ScopeDenied("This API key may not list models.")
        return await models(self._jobs, who)

    async def _list(self, who: Principal, request: Request) -> dict[str, Any]:
        """GET /jobs: the newest first; `skip` and `limit` choose."""
        check_may_look(who)
        query = request.query_params
        limit = whole_number(query, "limit", USUALLY_LISTED, MOST_LISTED)
        skip = whole_number(query, "skip", 0, MOST_SKIPPED, least=0)
        found = await self._jobs.list(JobFilter(account=whose(who)), limit=limit, skip=skip)
        base, now = base_of(request.scope), self._jobs.now()
        return {"jobs": [self._shown.job(job, base, now) for job in found]}

    async def _get(self, who: Principal, request: Request) -> dict[str, Any]:
        """GET /jobs/{id}."""
        check_may_look(who)
        return self._one(await self._jobs.find(whose(who), request.path_params["id"]), request)

    async def _cancel(self, who: Principal, request: Request) -> dict[str, Any]:
        """DELETE /jobs/{id}: one that runs ends when its engine has stopped; what has ended stays as it is."""
        check_may_look(who)
        job = await self._jobs.cancel(whose(who), request.path_params["id"])
        return {"cancelled": job.state not in ("succeeded", "failed"), **self._one(job, request)}

    def _one(self, job: Job, request: Request) -> dict[str, Any]:
        return {"job": self._shown.job(job, base_of(request.scope), self._jobs.now())}


def _answering(act: Callable[[Principal, Request], Awaitable[dict[str, Any]]]) -> Act:
    async def answer(who: Principal, request: Request) -> Response:
        return Response(enveloped(await act(who, request)), 200, {"cache-control": "no-store"}, "application/json")

    return answer
