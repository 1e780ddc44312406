"""`/v1/images`: pictures, as OpenAI's clients ask for them. Links are given where nothing is said, not base64.

Wire: https://platform.openai.com/docs/api-reference/images.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import msgspec
from fastapi import Request
from starlette.responses import FileResponse, Response

from aldgate.artifacts.archive import Archive
from aldgate.artifacts.published import Published
from aldgate.core.errors import ModelNotFound, NotFound
from aldgate.core.generation import Input
from aldgate.core.jobs import Job
from aldgate.core.principals import Principal
from aldgate.jobs.files import Files
from aldgate.jobs.making import Jobs, check_scope
from aldgate.making import Engine
from aldgate.ports import ByteBound
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.contents import SAFE
from aldgate.surfaces.jobs.engine_places import EnginePlaces
from aldgate.surfaces.jobs.image_answers import ImageAnswers, Said, headers_for
from aldgate.surfaces.jobs.image_bodies import ImageBodies, begins_json, inputs_of
from aldgate.surfaces.jobs.image_requests import (
    EDIT_FILES,
    VARIATION_FILES,
    EditFields,
    EditRequest,
    ImageRequest,
    ImageWishes,
)
from aldgate.surfaces.jobs.jobs import JobsFace
from aldgate.surfaces.jobs.webhooks import extras_of

UPSTREAMS_CHOICE = "auto"
"""As a model: whatever the engine takes. Some callers of the Local AI Gateway send it."""


class ImageTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of pictures.

    Attributes:
        most_bytes: Of one body.
        most_pixels: Of one picture that is asked for.
        usual_engine: Who makes them where nobody is named, and is asked for models that mean no engine; empty: the first one.
        usual_format: What they are made as where nothing is said; None: as the engine likes.
        most_waiting: How many jobs an engine may have before callers who wait are refused, by its name; 0: any number.
        published: Where pictures are put besides; None: nowhere.
        public_url: Where callers find the gate; empty: where they asked.
    """

    most_bytes: int
    most_pixels: int
    usual_engine: str = ""
    usual_format: str | None = None
    most_waiting: Callable[[str], int]
    published: Published | None = None
    public_url: str = ""


class _Begun(NamedTuple):
    """A job, and how its caller is answered. `is_owed`: it goes on when the caller leaves, who has a key to come back with."""

    job: Job
    wanted: ImageWishes
    kind: str
    is_awaited: bool
    is_owed: bool


class ImagesFace:
    """What the paths do.

    Args:
        jobs: Has them made.
        archive: Has what was made.
        shown: Shows jobs to who does not wait for them.
        files: What callers keep with the gate.
        in_flight: The bound on bytes held.
        terms: What the configuration says.
    """

    def __init__(
        self, jobs: Jobs, archive: Archive, shown: JobsFace, files: Files, in_flight: ByteBound, terms: ImageTerms
    ) -> None:
        self._jobs = jobs
        self._archive = archive
        self._shown = shown
        self._terms = terms
        self._bodies = ImageBodies(files, in_flight, terms.most_bytes)
        self._places = EnginePlaces(jobs, terms.most_waiting)
        self._answers = ImageAnswers(jobs, archive, shown, terms.published, terms.public_url)

    async def create(self, who: Principal, request: Request) -> Response:
        """POST /v1/images/generations. With `Prefer: respond-async` or `"background": true` the answer is a job.

        Raises:
            GatewayError: Refused, or not made.
        """
        check_scope(who, "image")
        async with self._bodies.json(request, ImageRequest) as wanted:
            begun = await self._begun(who, request, wanted, wanted.prompt)
        return await self._answered(begun, request, "image_generation")

    async def edit(self, who: Principal, request: Request) -> Response:
        """POST /v1/images/edits, as a form or as JSON. As `create`."""
        check_scope(who, "image")
        if begins_json(request):
            async with self._bodies.json(request, EditRequest) as wanted:
                inputs = await inputs_of(await self._bodies.referred(who, wanted))
                begun = await self._begun(who, request, wanted, wanted.prompt, inputs)
        else:
            async with self._bodies.form(request, EDIT_FILES, EditFields) as (fields, brought):
                begun = await self._begun(who, request, fields, fields.prompt, await inputs_of(brought))
        return await self._answered(begun, request, "image_edit")

    async def vary(self, who: Principal, request: Request) -> Response:
        """POST /v1/images/variations: pictures like the one in the form. As `create`."""
        check_scope(who, "image")
        async with self._bodies.form(request, VARIATION_FILES, ImageWishes) as (fields, brought):
            begun = await self._begun(who, request, fields, "", await inputs_of(brought))
        return await self._answered(begun, request, "image_edit")

    async def published(self, request: Request) -> Response:
        """GET /ui/images/{name}: a picture, for whoever has a link to it.

        Raises:
            LinkInvalid: The link has expired, or is none of ours.
            NotFound: The file is not there any more, or pictures are not put anywhere.
        """
        if self._terms.published is None:
            raise NotFound("Pictures are not kept here: no `images.ui_dir` is set.", param="name")
        query = request.query_params
        name = request.path_params["name"]
        file = await self._terms.published.find(name, query.get("expires", ""), query.get("signature", ""))
        safe = {"cache-control": "private, max-age=60", "x-content-type-options": "nosniff", "content-security-policy": SAFE}
        return FileResponse(file.path, 200, safe, file.mime)

    async def _begun(
        self, who: Principal, request: Request, wanted: ImageWishes, prompt: str, inputs: tuple[Input, ...] = ()
    ) -> _Begun:
        terms, headers = self._terms, headers_of(request.scope)
        asked = wanted.asked(prompt, inputs, most_pixels=terms.most_pixels, usual_format=terms.usual_format)
        engine, name = self._engine(wanted.model or "")
        await self._archive.check_room(who.account)
        key = idempotency_key(headers)
        is_awaited = wanted.background is not True and b"respond-async" not in headers.get(b"prefer", b"")
        async with self._places.one(engine.name, "image") if is_awaited else nullcontext():
            job = await self._jobs.begin(who, asked, name, key=key, extras=extras_of(wanted.webhook_url))
        return _Begun(job, wanted, engine.kind, is_awaited, key is not None)

    async def _answered(self, begun: _Begun, request: Request, said: Said) -> Response:
        job, wanted = begun.job, begun.wanted
        if not begun.is_awaited:
            told = {"location": f"/v1/jobs/{job.id}", "cache-control": "no-store"}
            return Response(msgspec.json.encode(self._shown.described(job)), 202, told, "application/json")
        if not begun.is_owed:
            request.scope["aldgate.connection"].cut_on_loss()
        if wanted.stream:
            return self._answers.streamed(job, wanted, said, is_owed=begun.is_owed)
        done = await self._jobs.done(job)
        answer = await self._answers.whole(done, wanted, request, begun.kind)
        return Response(msgspec.json.encode(answer), 200, headers_for(done), "application/json")

    def _engine(self, model: str) -> tuple[Engine, str]:
        """Who is meant by a model, and the name that means both.

        Raises:
            ModelNotFound: Nobody is.
        """
        usual = self._terms.usual_engine
        model = "" if model == UPSTREAMS_CHOICE else model
        try:
            return self._jobs.engine_for("image", model or usual)[0], model or usual
        except ModelNotFound:
            if not usual or not model:
                raise
            name = f"{usual.partition('/')[0]}/{model}"
            return self._jobs.engine_for("image", name)[0], name
