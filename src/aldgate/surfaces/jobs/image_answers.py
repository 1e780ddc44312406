"""What `/v1/images` answers with, whole or as events.

Wire: https://platform.openai.com/docs/api-reference/images/object and .../images-streaming. `_gateway` is the Local AI Gateway's.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from math import inf
from typing import Any, Literal

import msgspec
from fastapi import Request
from starlette.responses import StreamingResponse

from aldgate.artifacts.archive import Archive
from aldgate.artifacts.published import Published
from aldgate.core.artifacts import StoredArtifact
from aldgate.core.errors import GatewayError
from aldgate.core.generation import Preview
from aldgate.core.jobs import Job
from aldgate.core.partials import Partials
from aldgate.dialects.openai.errors import render
from aldgate.jobs.making import Jobs, failure_of
from aldgate.surfaces.http.asgi import Receive, Scope, Send, headers_of
from aldgate.surfaces.jobs.image_requests import ImageWishes
from aldgate.surfaces.jobs.jobs import JobsFace

KEEP_ALIVE_S = 15.0
Said = Literal["image_generation", "image_edit"]
_QUALITIES = ("low", "medium", "high", "xhigh", "max")


class TokenDetails(msgspec.Struct, frozen=True):
    """Tokens of each kind."""

    image_tokens: int = 0
    text_tokens: int = 0


class ImageUsage(msgspec.Struct, frozen=True):
    """Tokens, where the engine counts them; engines that do not are paid by picture and second."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_details: TokenDetails = TokenDetails()
    output_tokens_details: TokenDetails = TokenDetails()


class ImageItem(msgspec.Struct, omit_defaults=True):
    """One picture of an answer."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None


class ImageReply(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Pictures that were made."""

    created: int
    data: list[ImageItem]
    background: Literal["transparent", "opaque"] | None = None
    output_format: str | None = None
    quality: str | None = None
    size: str | None = None
    safety_identifier: str | None = None
    usage: ImageUsage = msgspec.field(default_factory=lambda: ImageUsage())
    gateway: dict[str, Any] = msgspec.field(name="_gateway", default_factory=dict[str, Any])


class ImageAnswers:
    """Answers of jobs that make pictures.

    Args:
        jobs: Has them made.
        archive: Has what was made.
        shown: Makes links.
        published: Where pictures are put besides; None: nowhere.
        public_url: Where callers find the gate; empty: where they asked.
    """

    def __init__(self, jobs: Jobs, archive: Archive, shown: JobsFace, published: Published | None, public_url: str) -> None:
        self._jobs = jobs
        self._archive = archive
        self._shown = shown
        self._published = published
        self._public_url = public_url.rstrip("/")

    async def whole(self, job: Job, wanted: ImageWishes, request: Request, kind: str) -> ImageReply:
        """The answer of a job that was done.

        Raises:
            GatewayError: What it made cannot be had.
        """
        facts = _facts(job, wanted)
        return ImageReply(
            created=int(job.created_at),
            data=[await self._item(job, made.id, dict(made.facts), wanted, request) for made in job.made],
            background=None if facts["background"] == "auto" else facts["background"],
            output_format=facts["output_format"],
            quality=facts["quality"] if facts["quality"] in _QUALITIES else None,
            size=facts["size"],
            safety_identifier=wanted.identifier,
            usage=usage_of(job),
            gateway=_gateway(job, kind),
        )

    def streamed(self, job: Job, wanted: ImageWishes, said: Said, *, is_owed: bool) -> StreamingResponse:
        """The answer as events, as they happen.

        Args:
            job: It is not over, or is.
            wanted: What was asked for.
            said: What the events are called.
            is_owed: The job goes on when its caller leaves.
        """
        events = self._events(job, wanted, said, is_owed=is_owed)
        return _Events(events, 200, headers_for(job), "text/event-stream")

    async def _events(self, job: Job, wanted: ImageWishes, said: Said, *, is_owed: bool) -> AsyncGenerator[bytes]:
        try:
            async for preview, place in self._previews(job, wanted.partial_images or 0):
                yield b": at work\n\n" if preview is None else _partial(job, wanted, said, preview, place)
            done = await self._jobs.find(None, job.id)
            if done.error is not None:
                raise failure_of(done)
            for place, made in enumerate(done.made, 1):
                content = await self._content(await self._archive.find(done.owner.account, made.id))
                usage = usage_of(done) if place == len(done.made) else ImageUsage()
                yield _completed(done, wanted, said, content, usage, dict(made.facts), made.mime)
        except GatewayError as error:
            yield _event("error", {"type": "error", **msgspec.json.decode(render(error))})
        finally:
            if not is_owed:
                await self._jobs.cancel(None, job.id)  # what has ended stays as it is

    async def _previews(self, job: Job, most: int) -> AsyncIterator[tuple[Preview | None, int]]:
        """Pictures of the work and their places, until it has ended; None: nothing has happened for a while."""
        partials, last = Partials(most), None
        while True:
            now = await self._jobs.changed(job, KEEP_ALIVE_S)
            if now.has_ended:
                return
            if now.version == job.version:
                yield None, 0
            elif partials.wants(now.progress.fraction):
                preview = await self._jobs.preview(now)
                if preview is not None and preview != last:
                    last = preview
                    yield preview, partials.give()
            job = now

    async def _item(
        self, job: Job, artifact_id: str, facts: Mapping[str, Any], wanted: ImageWishes, request: Request
    ) -> ImageItem:
        artifact = await self._archive.find(job.owner.account, artifact_id)
        revised = facts.get("revised_prompt")
        if wanted.response_format == "b64_json":
            return ImageItem(b64_json=_base64(await self._content(artifact)), revised_prompt=revised)
        path = self._shown.link(artifact_id)
        if self._published is not None:
            path = await self._published.publish(await self._content(artifact), artifact.mime, artifact.expires_at or inf)
        return ImageItem(url=self._base(request) + path, revised_prompt=revised)

    def _base(self, request: Request) -> str:
        host = headers_of(request.scope).get(b"host", b"").decode("latin-1")
        return self._public_url or f"{request.scope['scheme']}://{host}"

    async def _content(self, artifact: StoredArtifact) -> bytes:
        return b"".join([piece async for piece in self._archive.read(artifact)])


class _Events(StreamingResponse):
    """Events that are ended with their connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Part of ASGI. That the caller has left is learnt by being cancelled, once: what is to be done then can be awaited."""
        async with aclosing(self.body_iterator):  # pyright: ignore[reportArgumentType] - it is the generator that was given
            await self.stream_response(send)


def headers_for(job: Job) -> dict[str, str]:
    """Headers of every answer that a job was made for."""
    return {
        "cache-control": "no-store",
        "x-aldgate-job": job.id,
        "x-aldgate-model": job.requested_model,
        "x-backend-used": job.engine,
    }


def usage_of(job: Job) -> ImageUsage:
    """What the engine counted, as far as it did."""
    told = job.result.details.get("usage") if job.result is not None else None
    try:
        return msgspec.convert(told, ImageUsage, strict=False) if told else ImageUsage()
    except msgspec.ValidationError:
        return ImageUsage()


def _partial(job: Job, wanted: ImageWishes, said: Said, preview: Preview, place: int) -> bytes:
    facts = {**_facts(job, wanted), "output_format": preview.mime.removeprefix("image/"), "size": wanted.wanted_size}
    name = f"{said}.partial_image"
    return _event(name, {"type": name, "partial_image_index": place, "b64_json": _base64(preview.data), **facts})


def _completed(
    job: Job, wanted: ImageWishes, said: Said, content: bytes, usage: ImageUsage, facts: Mapping[str, Any], mime: str
) -> bytes:
    name = f"{said}.completed"
    told = {**_facts(job, wanted), "output_format": _format_of(mime), "size": _size(facts) or wanted.wanted_size, "usage": usage}
    if wanted.identifier:
        told["safety_identifier"] = wanted.identifier
    return _event(name, {"type": name, "b64_json": _base64(content), **told})


def _facts(job: Job, wanted: ImageWishes) -> dict[str, Any]:
    """What every answer says of its pictures."""
    first = job.made[0] if job.made else None
    return {
        "background": wanted.background if isinstance(wanted.background, str) else "auto",
        "created_at": int(job.created_at),
        "output_format": _format_of(first.mime) if first is not None else wanted.output_format or "png",
        "quality": wanted.quality or "auto",
        "size": (_size(first.facts) if first is not None else None) or wanted.wanted_size,
    }


def _gateway(job: Job, kind: str) -> dict[str, Any]:
    told = {"backend": kind, "backend_class": job.engine, "mime": job.made[0].mime if job.made else None}
    return {**told, "model": job.model} if job.model else told


def _size(facts: Mapping[str, Any]) -> str | None:
    return f"{facts['width']}x{facts['height']}" if "width" in facts and "height" in facts else None


def _format_of(mime: str) -> str:
    return mime.removeprefix("image/").partition("+")[0]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _event(name: str, told: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(told))
