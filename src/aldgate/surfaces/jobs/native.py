"""`POST /v1/jobs`: whatever an engine makes, as a job, in the gate's own words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Request
from msgspec import Meta
from starlette.responses import Response

from aldgate.artifacts.archive import Archive
from aldgate.core.artifacts import StoredArtifact
from aldgate.core.errors import BodyTooLarge, InvalidRequest, NotFound, ScopeDenied
from aldgate.core.generation import Generation, Input
from aldgate.core.principals import Principal
from aldgate.jobs.making import Jobs, Terms, check_scope
from aldgate.ports import ByteBound
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.http.requests import body_of
from aldgate.surfaces.jobs.jobs import JobsFace
from aldgate.surfaces.jobs.webhooks import extras_of

MOST_INPUT_BYTES = 33_554_432
"""All inputs of a job together: they are kept with it."""
ROLES = {"image": "image", "audio": "audio", "video": "video", "model": "mesh"}
"""What a content is for, where nobody says so, by the first part of its type."""

_WORD = re.compile(r"[A-Za-z0-9-]+")

Words = Annotated[str, Meta(max_length=32_000)]
Name = Annotated[str, Meta(max_length=256)]
Side = Annotated[int, Meta(ge=1, le=16_384)]


class JobInput(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An artifact that a job begins with."""

    artifact: Annotated[str, Meta(min_length=1, max_length=100)]
    """Its id."""
    role: Literal["image", "mask", "audio", "video", "mesh"] | None = None
    """What for; left out: by what it is."""


class JobRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A job to be made. What is left out is the engine's own choice."""

    operation: Literal["image", "video", "audio", "music", "speech", "transcribe", "mesh", "chat", "complete"]
    model: Name = ""
    """`engine`, `engine/model` or an alias; empty: the first engine that can."""
    prompt: Words = ""
    """What to make; of speech, what to say; of transcription, a hint."""
    negative_prompt: Words = ""
    lyrics: Words = ""
    count: Annotated[int, Meta(ge=1, le=10)] = 1
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    width: Side | None = None
    """Pixels; so is `height`."""
    height: Side | None = None
    steps: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    guidance: Annotated[float, Meta(ge=0, le=1_000)] | None = None
    strength: Annotated[float, Meta(ge=0, le=1)] | None = None
    duration_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    voice: Name | None = None
    speed: Annotated[float, Meta(ge=0.25, le=4)] | None = None
    language: Annotated[str, Meta(max_length=35)] | None = None
    """BCP 47, as in `en` or `pt-BR`."""
    format: Annotated[str, Meta(max_length=16)] | None = None
    """Of the file: `png`, `mp4`, `wav`, `glb` ..."""
    options: dict[Annotated[str, Meta(max_length=128)], Any] = {}
    """The engine's own further options."""
    inputs: Annotated[list[JobInput], Meta(max_length=16)] = []
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    """The greater goes first; above 0 for administrators."""
    deadline_s: Annotated[float, Meta(gt=0, le=31_536_000)] | None = None
    """Seconds from now; it fails if it has not ended by then."""
    timeout_s: Annotated[float, Meta(gt=0, le=604_800)] | None = None
    """Seconds that one attempt may take; at most, and left out, the engine's `run_timeout_s`."""
    webhook_url: str | None = None
    """Called by POST when the job has ended."""

    def asked(self, inputs: tuple[Input, ...]) -> Generation:
        """The same for an engine.

        Raises:
            InvalidRequest: It has nothing to go by, or no such words.
        """
        if not (self.prompt or self.lyrics or self.inputs or self.options):
            raise InvalidRequest("There is nothing to make it of: send a `prompt`, or `inputs`.", param="prompt")
        for name, text in (("language", self.language), ("format", self.format)):
            if text is not None and _WORD.fullmatch(text) is None:
                raise InvalidRequest(f"`{name}` has letters, digits and hyphens.", param=name)
        own = msgspec.structs.asdict(self)
        same = {name: own[name] for name in Generation.__struct_fields__ if name in own and name not in ("model", "inputs")}
        return Generation(**same, inputs=inputs)


class NativeFace:
    """What the path does.

    Args:
        jobs: Has things made.
        archive: Has what they begin with.
        shown: Shows jobs.
        in_flight: The bound on bytes held.
    """

    def __init__(self, jobs: Jobs, archive: Archive, shown: JobsFace, in_flight: ByteBound) -> None:
        self._jobs = jobs
        self._archive = archive
        self._shown = shown
        self._in_flight = in_flight

    async def create(self, who: Principal, request: Request) -> Response:
        """POST /v1/jobs: 202 and the job; the same `Idempotency-Key` with the same request is the same job.

        Raises:
            GatewayError: Refused; nothing was spent.
        """
        wanted = decoded(await body_of(request), JobRequest)
        check_scope(who, wanted.operation)
        if wanted.priority > 0 and "admin" not in who.rights.scopes:
            raise ScopeDenied("Only administrators put jobs before others: `priority` is at most 0.")
        await self._archive.check_room(who.account)
        found = [await self._artifact(who, given.artifact) for given in wanted.inputs]
        size = sum(each.bytes for each in found)
        if size > MOST_INPUT_BYTES:
            raise BodyTooLarge(f"The inputs have {size} bytes together; at most {MOST_INPUT_BYTES} are taken.", param="inputs")
        self._in_flight.take(size)
        try:
            asked = wanted.asked(await self._read(found, wanted.inputs))
            terms = Terms(priority=wanted.priority, deadline_s=wanted.deadline_s, timeout_s=wanted.timeout_s)
            extras = extras_of(wanted.webhook_url) | ({"parents": [each.id for each in found]} if found else {})
            key = idempotency_key(headers_of(request.scope))
            job = await self._jobs.begin(who, asked, wanted.model, key=key, extras=extras, terms=terms)
        finally:
            self._in_flight.release(size)
        return self._shown.begun(job)

    async def _artifact(self, who: Principal, artifact_id: str) -> StoredArtifact:
        try:
            return await self._archive.find(who.account, artifact_id)
        except NotFound as error:
            raise NotFound(error.message, param="inputs") from None

    async def _read(self, found: Sequence[StoredArtifact], given: Sequence[JobInput]) -> tuple[Input, ...]:
        return tuple([await self._input(artifact, each.role) for artifact, each in zip(found, given, strict=True)])

    async def _input(self, artifact: StoredArtifact, role: str | None) -> Input:
        usual = ROLES.get(artifact.mime.partition("/")[0], "image")
        data = b"".join([piece async for piece in self._archive.read(artifact)])
        return Input(role or usual, artifact.mime, data, artifact.name)
