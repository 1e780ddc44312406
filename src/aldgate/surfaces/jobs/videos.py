"""`/v1/videos`: films, as OpenAI's clients ask for them. Each is a job; `video_` stands in its id where the job's has `job-`.

Wire: https://platform.openai.com/docs/api-reference/videos.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from fastapi import Request
from msgspec.structs import replace
from starlette.responses import Response

from aldgate.artifacts.archive import Archive
from aldgate.core.artifacts import StoredArtifact
from aldgate.core.errors import Conflict, InvalidRequest, NotFound, UpstreamInvalid
from aldgate.core.generation import Generation
from aldgate.core.jobs import Job, JobFilter
from aldgate.core.jobs import asked_of as asked_before
from aldgate.core.principals import Principal
from aldgate.engines.stills import spritesheet, thumbnail
from aldgate.engines.threads import in_thread
from aldgate.jobs.making import Jobs, check_scope
from aldgate.ports import ByteBound
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.http.requests import body_of
from aldgate.surfaces.http.uploads import uploaded
from aldgate.surfaces.jobs.artifacts import answered
from aldgate.surfaces.jobs.files import page, whole_number
from aldgate.surfaces.jobs.video_requests import RemixRequest, VideoRequest, asked_of, request_of, told_of
from aldgate.surfaces.jobs.webhooks import extras_of

PREFIX = "video_"
MOST_BYTES = 20 * 1024 * 1024
"""Of a picture to begin with."""
MOST_LISTED, USUALLY_LISTED = 100, 20
POLL_MS = "1000"
"""What clients that poll are told to wait between two looks (openai's do)."""
STOP_S = 20.0
"""Seconds that a film under way is given to stop when it is deleted."""
HELD_BYTES = 8 * 1024 * 1024
_STATUS = {"succeeded": "completed", "failed": "failed", "cancelled": "failed", "queued": "queued"}
_STILLS: Mapping[str, tuple[str, Callable[[IO[bytes]], bytes]]] = {
    "thumbnail": ("image/webp", thumbnail),
    "spritesheet": ("image/jpeg", spritesheet),
}


class VideosFace:
    """What the paths do. Each account has its own films.

    Args:
        jobs: Has them made.
        archive: Has what was made.
        in_flight: The bound on bytes held.
    """

    def __init__(self, jobs: Jobs, archive: Archive, in_flight: ByteBound) -> None:
        self._jobs = jobs
        self._archive = archive
        self._in_flight = in_flight

    async def create(self, who: Principal, request: Request) -> Response | dict[str, Any]:
        """POST /v1/videos, as JSON or as a form.

        Raises:
            GatewayError: Refused.
        """
        check_scope(who, "video")
        if not headers_of(request.scope).get(b"content-type", b"").lower().startswith(b"multipart/"):
            return await self._begin(who, request, decoded(await body_of(request), VideoRequest), b"")
        async with uploaded(request, {"input_reference": 1}, MOST_BYTES, self._in_flight) as brought:
            form, picture = brought.form, brought.data
            if form.filename is not None and not picture:
                raise InvalidRequest("The picture to begin with is empty.", param="input_reference")
            return await self._begin(who, request, request_of(form), picture)

    async def list(self, who: Principal, query: Mapping[str, str]) -> dict[str, Any]:
        """GET /v1/videos, the newest first; `limit`, `after` and `order` choose.

        Raises:
            InvalidRequest: A parameter has a value it cannot have.
            NotFound: There is no film `after`.
        """
        check_scope(who, "video")
        limit, order = whole_number(query, "limit", USUALLY_LISTED, MOST_LISTED), query.get("order", "desc")
        if order not in ("asc", "desc"):
            raise InvalidRequest("`order` is `asc` or `desc`.", param="order")
        after = await self._find(who, query["after"]) if "after" in query else None
        wanted = JobFilter(account=who.account, operations=frozenset({"video"}))
        found = await self._jobs.list(wanted, after=after, limit=limit + 1, is_ascending=order == "asc")
        return page([await self._described(job) for job in found], limit)

    async def get(self, who: Principal, video_id: str) -> Response | dict[str, Any]:
        """GET /v1/videos/{id}.

        Raises:
            NotFound: Who asks has no such film.
        """
        check_scope(who, "video")
        return await self._described(await self._find(who, video_id))

    async def content(self, who: Principal, request: Request) -> Response:
        """GET /v1/videos/{id}/content: the film, or with `variant` its first frame or a sheet of frames.

        Raises:
            NotFound: Who asks has no such film, or its files are gone.
            Conflict: It is not made yet.
        """
        check_scope(who, "video")
        variant = request.query_params.get("variant", "video")
        if variant != "video" and variant not in _STILLS:
            raise InvalidRequest(f"`variant` is one of video, {', '.join(_STILLS)}.", param="variant")
        job = await self._find(who, request.path_params["id"])
        if not job.has_ended:
            raise Conflict("The video is not made yet; ask again when it is `completed`.")
        if job.state != "succeeded":
            raise NotFound("The video failed: there is nothing of it.", param="id")
        film = await self._film(job)
        if variant == "video":
            return answered(self._archive, film, request)
        mime, make = _STILLS[variant]
        return Response(await self._still(film, make), 200, {"cache-control": "private, no-cache"}, mime)

    async def delete(self, who: Principal, video_id: str) -> dict[str, Any]:
        """DELETE /v1/videos/{id}: it and its files; one that is under way is stopped first.

        Raises:
            NotFound: Who asks has no such film.
            Conflict: Its engine has not stopped yet.
        """
        check_scope(who, "video")
        job = await self._find(who, video_id)
        if not job.has_ended:
            job = await self._jobs.ended(await self._jobs.cancel(who.account, job.id), STOP_S)
        if not await self._jobs.delete(who.account, job.id):
            raise Conflict("The engine has not stopped yet; delete the video again in a while.")
        for made in job.made:
            try:
                await self._archive.delete(job.owner.account, made.id)
            except NotFound:
                continue  # it has expired, or was deleted by itself
        return {"id": video_id, "object": "video.deleted", "deleted": True}

    async def remix(self, who: Principal, request: Request) -> Response | dict[str, Any]:
        """POST /v1/videos/{id}/remix: the same once more (engine, seed, size, length, picture), with another prompt.

        Raises:
            NotFound: Who asks has no such film.
            Conflict: It is not made yet, or failed.
        """
        check_scope(who, "video")
        wanted = decoded(await body_of(request), RemixRequest)
        job = await self._find(who, request.path_params["id"])
        if job.state != "succeeded":
            raise Conflict("Only a video that is `completed` can be remixed.")
        before = asked_before(job)
        seed = before.seed if job.result is None or job.result.seed is None else job.result.seed
        told = {**job.extras.get("video", {}), "prompt": wanted.prompt, "remixed_from": _id_of(job)}
        extras = {"video": told, **extras_of(wanted.webhook_url)}
        return await self._kept(who, request, replace(before, prompt=wanted.prompt, seed=seed), job.requested_model, extras)

    async def _begin(self, who: Principal, request: Request, wanted: VideoRequest, picture: bytes) -> Response | dict[str, Any]:
        asked = asked_of(wanted, picture)
        extras = {"video": told_of(wanted, asked), **extras_of(wanted.webhook_url)}
        return await self._kept(who, request, asked, wanted.model, extras)

    async def _kept(
        self, who: Principal, request: Request, asked: Generation, model: str, extras: Mapping[str, Any]
    ) -> dict[str, Any]:
        await self._archive.check_room(who.account)
        key = idempotency_key(headers_of(request.scope))
        return await self._described(await self._jobs.begin(who, asked, model, key=key, extras=extras))

    async def _find(self, who: Principal, video_id: str) -> Job:
        if video_id.startswith(PREFIX):
            job = await self._jobs.find(who.account, f"job-{video_id.removeprefix(PREFIX)}")
            if job.operation == "video":
                return job
        raise NotFound("There is no such video.", param="id")

    async def _film(self, job: Job) -> StoredArtifact:
        """The film that was made; an animated picture is one, too.

        Raises:
            NotFound: It has expired, or was deleted.
        """
        if not job.made:
            raise UpstreamInvalid(f"The engine `{job.engine}` made no film.")
        films = [made for made in job.made if made.mime.startswith("video/")] or job.made
        return await self._archive.find(job.owner.account, films[0].id)

    async def _still(self, film: StoredArtifact, make: Callable[[IO[bytes]], bytes]) -> bytes:
        with SpooledTemporaryFile(HELD_BYTES) as file:
            async for piece in self._archive.read(film):
                await asyncio.to_thread(file.write, piece)
            file.seek(0)
            return await in_thread(None, make, file)

    async def _described(self, job: Job) -> dict[str, Any]:
        """A film as OpenAI shows it."""
        told: Mapping[str, Any] = job.extras.get("video") or {}
        facts: Mapping[str, Any] = job.made[0].facts if job.made else {}
        size = f"{facts['width']}x{facts['height']}" if {"width", "height"} <= facts.keys() else told.get("size")
        length_s = facts.get("duration_s") or (job.result.duration_s if job.result else None)
        is_done = job.state == "succeeded"
        return {
            "id": _id_of(job),
            "object": "video",
            "model": job.requested_model,
            "status": _STATUS.get(job.state, "in_progress"),
            "progress": 100 if is_done else min(99, round(100 * (job.progress.fraction or 0.0))),
            "created_at": int(job.created_at),
            "completed_at": int(job.ended_at) if is_done and job.ended_at is not None else None,
            "expires_at": await self._expires_at(job) if is_done else None,
            "prompt": told.get("prompt"),
            "size": size,
            "seconds": told.get("seconds") if length_s is None else f"{length_s:g}",
            "remixed_from_video_id": told.get("remixed_from"),
            "error": None if job.error is None else {"code": job.error.code, "message": job.error.message},
        }

    async def _expires_at(self, job: Job) -> int | None:
        """When its film is not there any more; when it was done, where that is so already."""
        try:
            at = (await self._film(job)).expires_at
        except NotFound:
            at = job.ended_at
        return None if at is None else int(at)


def _id_of(job: Job) -> str:
    return PREFIX + job.id.removeprefix("job-")
