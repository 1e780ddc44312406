"""`/v1/images/generations`: pictures, as OpenAI's clients ask for them.

Wire: https://platform.openai.com/docs/api-reference/images/create. Links are given where nothing is said, not base64.
"""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Request
from starlette.responses import Response

from aldgate.artifacts.archive import Archive
from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generation
from aldgate.core.jobs import Job
from aldgate.core.principals import Principal
from aldgate.jobs.making import Jobs
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.http.requests import body_of
from aldgate.surfaces.jobs.jobs import JobsFace
from aldgate.surfaces.jobs.webhooks import webhook_in

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


class ImageRequest(msgspec.Struct, omit_defaults=True):
    """What is asked for. `steps`, `seed`, `guidance` and `negative_prompt` are not OpenAI's; engines take them."""

    prompt: Annotated[str, msgspec.Meta(min_length=1, max_length=32_000)]
    model: str = ""
    n: Annotated[int, msgspec.Meta(ge=1, le=10)] | None = None
    size: str | None = None
    response_format: Literal["url", "b64_json"] | None = None
    output_format: Literal["png", "jpeg", "webp"] | None = None
    background: str | bool | None = None
    quality: str | None = None
    style: str | None = None
    user: str | None = None
    stream: bool | None = None
    negative_prompt: str = ""
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    steps: Annotated[int, msgspec.Meta(ge=1, le=1_000)] | None = None
    guidance: float | None = None
    webhook_url: str | None = None

    def asked(self) -> Generation:
        """The same for an engine.

        Raises:
            InvalidRequest: The size is none, or something is asked for that is not made here.
        """
        if self.stream:
            raise InvalidRequest("Pictures are not streamed here: leave `stream` out.", param="stream")
        if self.background == "transparent":
            raise InvalidRequest("No engine makes a transparent background.", param="background")
        width, height = self._size()
        return Generation(
            operation="image",
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            count=self.n or 1,
            seed=self.seed,
            width=width,
            height=height,
            steps=self.steps,
            guidance=self.guidance,
            format=self.output_format,
        )

    def _size(self) -> tuple[int | None, int | None]:
        if self.size is None or self.size == "auto":
            return None, None
        found = _SIZE.fullmatch(self.size)
        if found is None:
            raise InvalidRequest("`size` is `auto` or as in `1024x1024`.", param="size")
        return int(found[1]), int(found[2])


class ImagesFace:
    """What the paths do.

    Args:
        jobs: Has them made.
        archive: Has what was made.
        shown: Shows jobs to who does not wait for them.
    """

    def __init__(self, jobs: Jobs, archive: Archive, shown: JobsFace) -> None:
        self._jobs = jobs
        self._archive = archive
        self._shown = shown

    async def create(self, who: Principal, request: Request) -> Response:
        """POST /v1/images/generations. With `Prefer: respond-async` or `"background": true` the answer is a job.

        Raises:
            GatewayError: Refused, or not made.
        """
        body = await body_of(request)
        wanted = decoded(body, ImageRequest)
        headers = headers_of(request.scope)
        await self._archive.check_room(who.account)
        job = await self._jobs.begin(who, wanted.asked(), wanted.model, key=idempotency_key(headers), extras=webhook_in(body))
        if wanted.background is True or b"respond-async" in headers.get(b"prefer", b""):
            return self._shown.begun(job)
        done = await self._jobs.done(job)
        return _json({"created": int(done.created_at), "data": await self._data(done, wanted, request)}, done)

    async def _data(self, job: Job, wanted: ImageRequest, request: Request) -> list[dict[str, Any]]:
        if wanted.response_format == "b64_json":
            return [{"b64_json": base64.b64encode(await self._content(job, made.id)).decode()} for made in job.made]
        base = f"{request.scope['scheme']}://{headers_of(request.scope).get(b'host', b'').decode('latin-1')}"
        return [{"url": base + self._shown.link(made.id)} for made in job.made]

    async def _content(self, job: Job, artifact_id: str) -> bytes:
        artifact = await self._archive.find(job.owner.account, artifact_id)
        return b"".join([piece async for piece in self._archive.read(artifact)])


def _json(answer: dict[str, Any], job: Job) -> Response:
    headers = {"cache-control": "no-store", "x-aldgate-job": job.id, "x-aldgate-model": job.requested_model}
    return Response(msgspec.json.encode(answer), 200, headers, "application/json")
