"""The FastAPI application behind the front: administration, usage, files, batches, and the OpenAPI document of everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from aldgate import __version__
from aldgate.artifacts.archive import Archive
from aldgate.config.errors import ConfigError
from aldgate.core.errors import (
    GatewayError,
    InternalError,
    InvalidConfiguration,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
)
from aldgate.core.giving import check_beneath
from aldgate.core.principals import Principal
from aldgate.gate.audit import Audit
from aldgate.gate.people import People
from aldgate.gate.principals.clients import Clients
from aldgate.gate.principals.identity import Identity
from aldgate.gate.reload.reload import CONFIGURATION, RELOAD, Reloader
from aldgate.jobs.batches import BatchWorker
from aldgate.jobs.files import Files
from aldgate.jobs.making import Jobs
from aldgate.jobs.placing import Placing
from aldgate.ports import ByteBound
from aldgate.storage import Store
from aldgate.surfaces.admin.acts import Administration
from aldgate.surfaces.admin.audited import Audited
from aldgate.surfaces.admin.client_reload import RELOAD_PATH, ClientReload, Tell
from aldgate.surfaces.admin.paths import admin_paths, only_admin
from aldgate.surfaces.admin.registration import Registration
from aldgate.surfaces.admin.seed_keys import SeedKeys
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.gpus.paths import gpu_paths
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.credentials import principal_of
from aldgate.surfaces.http.envelope import enveloped
from aldgate.surfaces.http.faults import render_for_path
from aldgate.surfaces.http.requests import Act, OpenAct, body_of
from aldgate.surfaces.jobs.artifacts import ArtifactsFace
from aldgate.surfaces.jobs.batches import BatchesFace
from aldgate.surfaces.jobs.events import JobEventsFace
from aldgate.surfaces.jobs.files import FilesFace
from aldgate.surfaces.jobs.images import ImagesFace, ImageTerms
from aldgate.surfaces.jobs.jobs import JobsFace
from aldgate.surfaces.jobs.native import NativeFace
from aldgate.surfaces.jobs.speech import SpeechFace
from aldgate.surfaces.jobs.transcriptions import TranscriptionsFace
from aldgate.surfaces.jobs.videos import VideosFace
from aldgate.surfaces.openapi.document import document
from aldgate.surfaces.openapi.page import CONTENT_SECURITY_POLICY, reference_page
from aldgate.surfaces.people.paths import paths_of
from aldgate.surfaces.queued.face import QueueFace
from aldgate.surfaces.queued.shown import Shown
from aldgate.surfaces.queued.tickets import Tickets
from aldgate.surfaces.reports.paths import Reports


class Api:
    """Builds the application.

    Args:
        committed: Waits until what was settled is on disk, so that whoever asks for usage sees the call made just before.
        new_id: Makes request ids.
        reloader: Reads the configuration again.
        archive: All artifacts.
        link_s: Seconds that links to them are good for.
        in_flight: The bound on bytes held.
        clients: Reads the clients in files.
        tell: Tells other processes what has changed.
        most_unfinished: Batches of one account that may wait or run.
        people: What is done with users.
        audit: Writes down every administrative act.
        registration: Lets keys be made without one.
        placing: Knows what devices hold.
        jobs: Has things made.
        images: What the configuration says of pictures.
        tickets: Let pages watch one job.
    """

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        committed: Callable[[], Awaitable[None]],
        new_id: Callable[[], str],
        reloader: Reloader,
        files: Files,
        archive: Archive,
        link_s: float,
        batches: BatchWorker,
        in_flight: ByteBound,
        most_unfinished: int,
        audit: Audit,
        clients: Clients,
        tell: Tell,
        people: People,
        registration: Registration,
        placing: Placing,
        jobs: Jobs,
        images: ImageTerms,
        tickets: Tickets,
    ) -> None:
        self._store = store
        self._identity = identity
        administration = Administration(store, identity, audit)
        self._seed_keys = SeedKeys(administration, registration)
        self._files = FilesFace(files, in_flight)
        self._artifacts = ArtifactsFace(archive, identity, in_flight, link_s)
        self._jobs = JobsFace(jobs, archive.links, link_s)
        self._job_events = JobEventsFace(jobs, self._jobs, identity)
        self._native = NativeFace(jobs, archive, self._jobs, in_flight)
        self._images = ImagesFace(jobs, archive, self._jobs, files, in_flight, images)
        self._speech = SpeechFace(jobs, archive, self._jobs)
        self._transcriptions = TranscriptionsFace(jobs, self._jobs, in_flight)
        self._videos = VideosFace(jobs, archive, in_flight)
        self._batches = BatchesFace(store, files, batches, most_unfinished)
        self._new_id = new_id
        self._reloader = reloader
        self._tell = tell
        self._audit = audit
        self.app = FastAPI(
            title="Aldgate",
            version=__version__,
            docs_url=None,  # FastAPI's own pages load their scripts from a public network
            redoc_url=None,
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        self.app.openapi = document  # pyright: ignore[reportAttributeAccessIssue] - FastAPI's documented way to replace it
        self.app.add_exception_handler(HTTPException, self._http_error)
        self.app.add_middleware(Audited, audit=audit, identity=identity)  # pyright: ignore[reportArgumentType] - Scope is wider
        route = self.app.add_api_route
        for report in Reports(store, audit, committed, in_flight, clients).paths:
            route(report.path, self._serving(report.act), methods=[report.method])
        for method, path, act, status in admin_paths(administration, clients, committed):
            route(path, self._serving(act, status), methods=[method])
        for method, path, act in gpu_paths(placing):
            route(path, self._serving(act), methods=[method])
        for method, path, act in QueueFace(jobs, archive, tickets, Shown(archive.links, link_s)).paths:
            route(path, self._serving(act), methods=[method])
        route("/admin/reload", self._serving(only_admin(self._reload)), methods=["POST"])
        reload = ClientReload(clients, administration, tell)
        for method in ("GET", "POST"):
            route(RELOAD_PATH, self._serving(reload.serve), methods=[method])
        self._add_seed_keys(route)
        self._add_files(route)
        self._add_artifacts(route)
        self._add_batches(route)
        self._add_jobs(route)
        self._add_videos(route)
        self._add_people(route, people)
        for path in ("/docs", "/redoc"):
            route(path, _reference, methods=["GET"])

    def _add_seed_keys(self, route: Callable[..., None]) -> None:
        seed = self._seed_keys
        route("/admin/keys/generate", self._told_of(seed.generate), methods=["POST"])
        route("/admin/keys/revoke", self._told_of(seed.revoke), methods=["POST"])
        route("/auth/keys", self._told_of(seed.create, enveloped), methods=["POST"])
        route("/auth/keys", self._told_of(seed.list, enveloped), methods=["GET"])
        route("/auth/keys/{key}", self._told_of(seed.delete, enveloped), methods=["DELETE"])

    def _told_of(
        self, act: Callable[[Request], Awaitable[dict[str, Any]]], write: Callable[[dict[str, Any]], bytes] = msgspec.json.encode
    ) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            async def acted() -> Response:
                return Response(write(await act(request)), 200, {"cache-control": "no-store"}, "application/json")

            return await self._answer(request, acted)

        return serve

    def _add_files(self, route: Callable[..., None]) -> None:
        files = self._files
        route("/v1/files", self._serving(files.create), methods=["POST"])
        route("/v1/files", self._serving(lambda who, request: files.list(who, request.query_params)), methods=["GET"])
        one: tuple[tuple[str, str, Callable[[Principal, str], Awaitable[Any]]], ...] = (
            ("GET", "/v1/files/{id}", files.get),
            ("DELETE", "/v1/files/{id}", files.delete),
            ("GET", "/v1/files/{id}/content", files.content),
        )
        for method, path, act in one:
            route(path, self._serving(_of_one(act)), methods=[method])

    def _add_artifacts(self, route: Callable[..., None]) -> None:
        artifacts = self._artifacts
        route("/v1/artifacts", self._serving(artifacts.create), methods=["POST"])
        route("/v1/artifacts", self._serving(lambda who, request: artifacts.list(who, request.query_params)), methods=["GET"])
        route("/v1/artifacts/{id}", self._open(artifacts.content, 200), methods=["GET", "HEAD"])
        route("/v1/artifacts/{id}", self._serving(_of_one(artifacts.delete)), methods=["DELETE"])
        route("/v1/artifacts/{id}/metadata", self._serving(_of_one(artifacts.metadata)), methods=["GET"])

    def _add_batches(self, route: Callable[..., None]) -> None:
        batches = self._batches

        async def create(who: Principal, request: Request) -> dict[str, Any]:
            body = await body_of(request)
            return await batches.create(who, body, idempotency_key(headers_of(request.scope)))

        route("/v1/batches", self._serving(create), methods=["POST"])
        route("/v1/batches", self._serving(lambda who, request: batches.list(who, request.query_params)), methods=["GET"])
        route("/v1/batches/{id}", self._serving(_of_one(batches.get)), methods=["GET"])
        route("/v1/batches/{id}/cancel", self._serving(_of_one(batches.cancel)), methods=["POST"])

    def _add_jobs(self, route: Callable[..., None]) -> None:
        jobs = self._jobs
        route("/v1/images/generations", self._serving(self._images.create), methods=["POST"])
        route("/v1/images/edits", self._serving(self._images.edit), methods=["POST"])
        route("/v1/images/variations", self._serving(self._images.vary), methods=["POST"])
        route("/ui/images/{name}", self._open(self._images.published, 200), methods=["GET"])
        route("/v1/audio/speech", self._serving(self._speech.create), methods=["POST"])
        route("/v1/jobs", self._serving(self._native.create), methods=["POST"])
        route("/v1/audio/transcriptions", self._serving(self._transcriptions.transcribe), methods=["POST"])
        route("/v1/audio/translations", self._serving(self._transcriptions.translate), methods=["POST"])
        route("/v1/jobs", self._serving(lambda who, request: jobs.list(who, request.query_params)), methods=["GET"])
        route("/v1/jobs/{id}", self._serving(jobs.get), methods=["GET"])
        route("/v1/jobs/{id}", self._serving(_of_one(jobs.cancel)), methods=["DELETE"])
        route("/v1/webhooks/secret", self._serving(jobs.webhook_secret), methods=["GET"])
        route("/v1/jobs/{id}/retry", self._serving(jobs.retry), methods=["POST"])
        route("/v1/jobs/{id}/preview", self._serving(_of_one(jobs.preview)), methods=["GET"])
        route("/v1/jobs/{id}/events", self._serving(self._job_events.follow), methods=["GET"])

    def _add_videos(self, route: Callable[..., None]) -> None:
        videos = self._videos
        route("/v1/videos", self._serving(videos.create), methods=["POST"])
        route("/v1/videos", self._serving(lambda who, request: videos.list(who, request.query_params)), methods=["GET"])
        route("/v1/videos/{id}", self._serving(_of_one(videos.get)), methods=["GET"])
        route("/v1/videos/{id}", self._serving(_of_one(videos.delete)), methods=["DELETE"])
        route("/v1/videos/{id}/content", self._serving(videos.content), methods=["GET"])
        route("/v1/videos/{id}/remix", self._serving(videos.remix), methods=["POST"])

    def _add_people(self, route: Callable[..., None], people: People) -> None:
        for path in paths_of(people):
            serve = self._serving(path.act, path.status) if path.act is not None else self._open(path.open_act, path.status)
            route(path.path, serve, methods=[path.method])

    def _serving(self, act: Act, status: int = 200) -> Callable[[Request], Awaitable[Response]]:
        async def known(request: Request) -> Any:
            return await act(await principal_of(request.scope, self._identity), request)

        return self._open(known, status)

    def _open(self, act: OpenAct, status: int) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            return await self._answer(request, lambda: act(request), status)

        return serve

    async def _reload(self, who: Principal, request: Request) -> dict[str, Any]:
        check_beneath(who, ())
        try:
            reloaded = await self._reloader.reload()
        except ConfigError as error:
            raise InvalidConfiguration(f"{error.message} ({error.hint})") from None
        await self._tell("configuration")
        said = {"by": request.url.path, "applied": reloaded.applied, "needs_restart": reloaded.needs_restart}
        await self._audit.did(who, RELOAD, CONFIGURATION, said)
        return msgspec.structs.asdict(reloaded)

    async def _answer(self, request: Request, act: Callable[[], Awaitable[Any]], status: int = 200) -> Response:
        request_id = self._new_id()
        try:
            answer = await act()
        except GatewayError as error:
            return _rendered(request, error, request_id)
        if isinstance(answer, Response):
            answer.headers["x-request-id"] = request_id
            return answer
        headers = {"x-request-id": request_id, "cache-control": "no-store"}
        return Response(msgspec.json.encode(answer), status, headers, "application/json")

    async def _http_error(self, request: Request, error: Exception) -> Response:
        """What Starlette raises itself: unknown paths and methods."""
        assert isinstance(error, HTTPException)
        path = request.scope["path"][:200]
        if error.status_code == 404:
            return self._told(request, NotFound(f"There is nothing at `{path}`."))
        if error.status_code == 405:
            response = self._told(request, MethodNotAllowed(f"`{path}` does not answer to {request.method}."))
            response.headers["allow"] = ", ".join(sorted(_methods(request)))  # Starlette names those of one route only
            return response
        return self._told(request, InvalidRequest(str(error.detail)) if error.status_code < 500 else InternalError("It failed."))

    def _told(self, request: Request, error: GatewayError) -> Response:
        return _rendered(request, error, self._new_id())


def _of_one(act: Callable[[Principal, str], Awaitable[dict[str, Any] | Response]]) -> Act:
    return lambda who, request: act(who, request.path_params["id"])


async def _reference(request: Request) -> Response:
    headers = {"content-security-policy": CONTENT_SECURITY_POLICY, "x-content-type-options": "nosniff"}
    return Response(reference_page(document()), 200, headers, "text/html")


def _rendered(request: Request, error: GatewayError, request_id: str) -> Response:
    status, headers, body = render_for_path(request.scope["path"], error, request_id)
    response = Response(body, status)
    response.raw_headers = headers
    return response


def _methods(request: Request) -> set[str]:
    matching = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in matching for method in route.methods or ()}
