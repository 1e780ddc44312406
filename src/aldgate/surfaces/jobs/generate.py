"""`POST /v1/generate`: texts, pictures and meshes from one path, as Pluggably's clients ask for them.

A text is a chat, and takes the way of every chat; anything else is a job that its caller waits for.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

import msgspec

from aldgate.core.calls import Admission, Named, Outcome, Peek
from aldgate.core.defaults import chats
from aldgate.core.errors import GatewayError, InvalidRequest
from aldgate.core.jobs import Job
from aldgate.core.principals import Operation, Principal
from aldgate.core.routes import Deployment
from aldgate.dialects.generate.dialect import GENERATE, LAST, event
from aldgate.dialects.generate.replies import (
    FELL_BACK,
    GenerateOutput,
    GenerateReply,
    LinkedArtifact,
    Selection,
    selected,
    text_reply,
)
from aldgate.dialects.generate.requests import OPERATIONS, GenerateRequest, Modality, chat_body, generation, read
from aldgate.gate.whole import whole
from aldgate.jobs.making import failure_of
from aldgate.surfaces.calls.face import Doors, Face
from aldgate.surfaces.http.asgi import Handler, Headers, Outlet, Scope, headers_of
from aldgate.surfaces.jobs.doors import JobDoors

DEFAULT = "default"
HEARTBEAT = b": heartbeat\n\n"
HEARTBEAT_S = 15.0
_BASE = b"base"


class GenerateFace(Face):
    """What the path does.

    Args:
        making: Has pictures and meshes made, and keeps them.
        heartbeat_s: Seconds between two comments of a stream that has nothing else to say.
    """

    may_be_cached = False

    def __init__(self, doors: Doors, making: JobDoors, heartbeat_s: float = HEARTBEAT_S) -> None:
        super().__init__(GENERATE, doors)
        self._jobs = making.jobs
        self._archive = making.archive
        self._link_s = making.link_s
        self._inline_bytes = making.inline_bytes
        self._heartbeat_s = heartbeat_s

    def handler(self) -> Handler:
        """POST /v1/generate."""
        return self.serving("chat", _named)

    async def _call(
        self, operation: Operation, call_id: str, principal: Principal, body: bytes, named: Named | None, outlet: Outlet
    ) -> None:
        asked = read(body)
        modality = self._modality(asked)
        if modality == "text":
            chat = chat_body(asked, self._model(asked))
            return await super()._call(operation, call_id, principal, chat, None, outlet)
        await self._make(principal, asked, modality, dict(named.headers)[_BASE].decode("latin-1") if named else "", outlet)

    async def _asked(self, operation: Operation, principal: Principal, body: bytes, named: Named | None) -> Peek:
        asked = read(body)
        return self._peek(operation, principal, chat_body(asked, self._model(asked)), None)

    def _modality(self, asked: GenerateRequest) -> Modality:
        """What the model makes goes before what the request says."""
        if asked.modality != "text" or not asked.name or asked.name in self._gate.catalogue.routes:
            return asked.modality
        made = self._jobs.makes(asked.name)
        if "image" in made:
            return "image"
        return "3d" if "mesh" in made else "text"

    def _model(self, asked: GenerateRequest) -> str:
        """The model of a text; empty: the gate's default."""
        routes = self._gate.catalogue.routes
        if not asked.name:
            return DEFAULT if DEFAULT in routes else ""
        if asked.name != asked.provider or asked.name in routes:
            return asked.name  # a model, with or without its provider
        for deployment in self._gate.catalogue.models:
            if deployment.backend == asked.provider and chats(deployment):
                return deployment.id
        raise InvalidRequest(f"Name a `model` of the provider `{asked.name[:100]}`.", param="model")

    async def _whole(self, admission: Admission, outlet: Outlet) -> Outcome:
        outcome = Outcome()
        run = await whole(self._gate, admission, self._dialect, outcome, self._committed)
        answered = admission.deployment
        reply = text_reply(admission.call.id, answered.id, _selection(admission), run.first, run.warnings)
        _send(outlet, reply, self._headers(admission, run))
        return outcome

    async def _stream(self, admission: Admission, outlet: Outlet) -> Outcome:
        return await super()._stream(admission, _Announcing(outlet, admission))

    async def _make(self, who: Principal, asked: GenerateRequest, modality: Modality, base: str, outlet: Outlet) -> None:
        """Have it made, and answer with it."""
        await self._archive.check_room(who.account)
        job = await self._jobs.begin(who, generation(asked, OPERATIONS[modality]), asked.name)
        if asked.stream:
            return await self._make_streamed(job, modality, base, outlet)
        done = await self._jobs.done(job)
        _send(outlet, await self._reply(done, modality, base), [*_job_headers(done), *self._limits(who)])

    async def _make_streamed(self, job: Job, modality: Modality, base: str, outlet: Outlet) -> None:
        outlet.begin(200, [*self._stream_headers, *_job_headers(job)])
        try:
            await _written(outlet, HEARTBEAT + event(selected(job.requested_model, modality, _engine(job))))
            while not (job := await self._jobs.ended(job, self._heartbeat_s)).has_ended:
                await _written(outlet, HEARTBEAT)
            if job.error is not None:
                raise failure_of(job)
            outlet.end(event(await self._reply(job, modality, base)) + LAST)
        except GatewayError as error:
            outlet.end(self._dialect.failed(error, job.call_id))
        finally:
            if not job.has_ended:
                with suppress(GatewayError):  # it is made in vain, then; there is nobody to tell
                    await self._jobs.cancel(None, job.id)

    async def _reply(self, job: Job, modality: Modality, base: str) -> GenerateReply:
        output = GenerateOutput()
        linked: list[LinkedArtifact] = []
        images: list[str] = []
        until = self._jobs.now() + self._link_s
        for made in job.made:
            is_image = made.mime.startswith("image/")
            if made.bytes <= self._inline_bytes and is_image == (modality == "image"):
                content = base64.b64encode(await self._content(job.owner.account, made.id)).decode()
                if is_image:
                    images.append(content)
                else:
                    output.mesh = content
            else:
                url = base + self._archive.links.path(made.id, until)
                expires_at = datetime.fromtimestamp(int(until), UTC).isoformat()
                linked.append(LinkedArtifact(made.id, "image" if is_image else "mesh", url, expires_at))
        output.images, output.artifacts = images or None, linked or None
        return GenerateReply(
            request_id=job.call_id, model=job.requested_model, modality=modality, selection=_engine(job), output=output
        )

    async def _content(self, account: str, artifact_id: str) -> bytes:
        artifact = await self._archive.find(account, artifact_id)
        return b"".join([piece async for piece in self._archive.read(artifact)])


class _Announcing:
    """An outlet that says first which model was selected."""

    def __init__(self, outlet: Outlet, admission: Admission) -> None:
        self._outlet = outlet
        self._admission = admission
        self._first = b""

    @property
    def is_lost(self) -> bool:
        """Part of `Outlet`."""
        return self._outlet.is_lost

    def begin(self, status: int, headers: Headers) -> None:
        """Part of `Outlet`."""
        self._first = event(selected(self._admission.deployment.id, "text", _selection(self._admission)))
        self._outlet.begin(status, headers)

    def write(self, piece: bytes) -> Awaitable[None] | bool:
        """Part of `Outlet`."""
        return self._outlet.write(self._with_first(piece))

    def end(self, piece: bytes) -> None:
        """Part of `Outlet`."""
        self._outlet.end(self._with_first(piece))

    def _with_first(self, piece: bytes) -> bytes:
        first, self._first = self._first, b""
        return first + piece


def _named(scope: Scope) -> Named:
    """Where links in the answer lead: to where the caller has found the gate."""
    host = headers_of(scope).get(b"host", b"")
    return Named(headers=((_BASE, b"%b://%b" % (scope["scheme"].encode(), host)),))


def _selection(admission: Admission) -> Selection:
    first, answered = admission.candidates[0], admission.deployment
    return _selected(answered, fell_back=answered.id != first.id)


def _selected(answered: Deployment, *, fell_back: bool) -> Selection:
    return Selection(answered.model, answered.backend, fell_back, FELL_BACK if fell_back else None)


def _engine(job: Job) -> Selection:
    return Selection(job.model or job.requested_model, job.engine)


def _job_headers(job: Job) -> Headers:
    model = job.requested_model.encode("ascii", "replace")
    return [(b"x-request-id", job.call_id.encode()), (b"x-aldgate-job", job.id.encode()), (b"x-aldgate-model", model)]


def _send(outlet: Outlet, reply: GenerateReply, headers: Headers) -> None:
    body = msgspec.json.encode(reply)
    about = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    outlet.begin(200, [*about, *headers])
    outlet.end(body)


async def _written(outlet: Outlet, piece: bytes) -> None:
    verdict = outlet.write(piece)
    if verdict is not True:
        await cast(Awaitable[None], verdict)
