"""The FastAPI application behind the front: administration, usage, files, batches, and the OpenAPI document of everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from aldgate import __version__
from aldgate.config.errors import ConfigError
from aldgate.core.errors import (
    BodyTooLarge,
    GatewayError,
    InternalError,
    InvalidConfiguration,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
)
from aldgate.core.principals import Principal
from aldgate.gate.identity import Identity
from aldgate.gate.reload import Reloader
from aldgate.jobs.batches import BatchWorker
from aldgate.jobs.files import Files
from aldgate.ports import ByteBound, Store
from aldgate.surfaces.admin import KeyAdmin, require_admin
from aldgate.surfaces.asgi import headers_of
from aldgate.surfaces.batches import BatchesFace
from aldgate.surfaces.bodies import check_json
from aldgate.surfaces.budgets import BudgetAdmin
from aldgate.surfaces.credentials import principal_of
from aldgate.surfaces.faults import render_for_path
from aldgate.surfaces.files import FilesFace
from aldgate.surfaces.idempotency import idempotency_key
from aldgate.surfaces.openapi import document
from aldgate.surfaces.reference_page import CONTENT_SECURITY_POLICY, reference_page
from aldgate.surfaces.usage import usage

MAX_ADMIN_BODY_BYTES = 1_048_576

Act = Callable[[Principal, Request], Awaitable[dict[str, Any] | Response]]
"""What a path does for who asks."""


class Api:
    """Builds the application.

    Args:
        committed: Waits until what was settled is on disk, so that whoever asks for usage sees the call made just before.
        new_id: Makes request ids.
        reloader: Reads the configuration again.
        reloaded: Tells the other processes to do so, too.
        in_flight: The bound on bytes held.
        most_unfinished: Batches of one account that may wait or run.
    """

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        committed: Callable[[], Awaitable[None]],
        new_id: Callable[[], str],
        reloader: Reloader,
        reloaded: Callable[[], Awaitable[None]],
        files: Files,
        batches: BatchWorker,
        in_flight: ByteBound,
        most_unfinished: int,
    ) -> None:
        self._store = store
        self._identity = identity
        self._keys = KeyAdmin(store, identity)
        self._budgets = BudgetAdmin(store)
        self._files = FilesFace(files, in_flight)
        self._batches = BatchesFace(store, files, batches, most_unfinished)
        self._new_id = new_id
        self._committed = committed
        self._reloader = reloader
        self._reloaded = reloaded
        self.app = FastAPI(
            title="Aldgate",
            version=__version__,
            docs_url=None,  # FastAPI's own pages load their scripts from a public network
            redoc_url=None,
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        self.app.openapi = document  # pyright: ignore[reportAttributeAccessIssue] - FastAPI's documented way to replace it
        self.app.add_exception_handler(HTTPException, _http_error)
        route = self.app.add_api_route
        route("/admin/keys", self._create_key, methods=["POST"])
        route("/admin/keys", self._list_keys, methods=["GET"])
        route("/admin/keys/{key_id}", self._revoke_key, methods=["DELETE"])
        route("/admin/keys/{key_id}/rotate", self._rotate_key, methods=["POST"])
        route("/admin/budgets", self._list_budgets, methods=["GET"])
        route("/admin/budgets/release", self._release_budgets, methods=["POST"])
        route("/admin/reload", self._reload, methods=["POST"])
        route("/v1/usage", self._usage, methods=["GET"])
        self._add_files(route)
        self._add_batches(route)
        for path in ("/docs", "/redoc"):
            route(path, _reference, methods=["GET"])

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

    def _add_batches(self, route: Callable[..., None]) -> None:
        batches = self._batches

        async def create(who: Principal, request: Request) -> dict[str, Any]:
            body = await _body(request)
            return await batches.create(who, body, idempotency_key(headers_of(request.scope)))

        route("/v1/batches", self._serving(create), methods=["POST"])
        route("/v1/batches", self._serving(lambda who, request: batches.list(who, request.query_params)), methods=["GET"])
        route("/v1/batches/{id}", self._serving(_of_one(batches.get)), methods=["GET"])
        route("/v1/batches/{id}/cancel", self._serving(_of_one(batches.cancel)), methods=["POST"])

    def _serving(self, act: Act) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            async def acted() -> dict[str, Any] | Response:
                return await act(await principal_of(request.scope, self._identity), request)

            return await self._answer(request, acted)

        return serve

    async def _admin(self, request: Request) -> Principal:
        principal = await principal_of(request.scope, self._identity)
        require_admin(principal)
        return principal

    async def _create_key(self, request: Request) -> Response:
        async def act() -> dict[str, Any]:
            await self._admin(request)
            return await self._keys.create(await _body(request))

        return await self._answer(request, act, status=201)

    async def _list_keys(self, request: Request) -> Response:
        async def act() -> dict[str, Any]:
            await self._admin(request)
            return await self._keys.list()

        return await self._answer(request, act)

    async def _revoke_key(self, request: Request, key_id: str) -> Response:
        async def act() -> dict[str, Any]:
            await self._admin(request)
            return await self._keys.revoke(key_id)

        return await self._answer(request, act)

    async def _rotate_key(self, request: Request, key_id: str) -> Response:
        async def act() -> dict[str, Any]:
            await self._admin(request)
            return await self._keys.rotate(key_id, await _body(request))

        return await self._answer(request, act)

    async def _list_budgets(self, request: Request) -> Response:
        async def act() -> dict[str, Any]:
            await self._admin(request)
            await self._committed()
            return await self._budgets.list(request.query_params)

        return await self._answer(request, act)

    async def _release_budgets(self, request: Request) -> Response:
        async def act() -> dict[str, Any]:
            await self._admin(request)
            return await self._budgets.release(await _body(request))

        return await self._answer(request, act)

    async def _reload(self, request: Request) -> Response:
        async def act() -> dict[str, Any]:
            await self._admin(request)
            try:
                reloaded = await self._reloader.reload()
            except ConfigError as error:
                raise InvalidConfiguration(f"{error.message} ({error.hint})") from None
            await self._reloaded()
            return msgspec.structs.asdict(reloaded)

        return await self._answer(request, act)

    async def _usage(self, request: Request) -> Response:
        async def act() -> dict[str, Any]:
            principal = await principal_of(request.scope, self._identity)
            await self._committed()
            return await usage(self._store, principal, request.query_params)

        return await self._answer(request, act)

    async def _answer(
        self, request: Request, act: Callable[[], Awaitable[dict[str, Any] | Response]], status: int = 200
    ) -> Response:
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


def _of_one(act: Callable[[Principal, str], Awaitable[dict[str, Any] | Response]]) -> Act:
    return lambda who, request: act(who, request.path_params["id"])


async def _reference(request: Request) -> Response:
    headers = {"content-security-policy": CONTENT_SECURITY_POLICY, "x-content-type-options": "nosniff"}
    return Response(reference_page(document()), 200, headers, "text/html")


async def _body(request: Request) -> bytes:
    check_json(headers_of(request.scope))
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_ADMIN_BODY_BYTES:
            raise BodyTooLarge(f"The body has more than {MAX_ADMIN_BODY_BYTES} bytes.")
    return bytes(body)


def _rendered(request: Request, error: GatewayError, request_id: str | None = None) -> Response:
    status, headers, body = render_for_path(request.scope["path"], error)
    response = Response(body, status)
    response.raw_headers = [*headers, *([(b"x-request-id", request_id.encode())] if request_id else [])]
    return response


def _methods(request: Request) -> set[str]:
    matching = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in matching for method in route.methods or ()}


async def _http_error(request: Request, error: Exception) -> Response:
    """What Starlette raises itself: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    path = request.scope["path"][:200]
    if error.status_code == 404:
        return _rendered(request, NotFound(f"There is nothing at `{path}`."))
    if error.status_code == 405:
        response = _rendered(request, MethodNotAllowed(f"`{path}` does not answer to {request.method}."))
        response.headers["allow"] = ", ".join(sorted(_methods(request)))  # Starlette names those of one route only
        return response
    return _rendered(request, InvalidRequest(str(error.detail)) if error.status_code < 500 else InternalError("It failed."))
