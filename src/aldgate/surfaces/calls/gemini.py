"""Gemini's face: its paths name model and verb, `/{version}/models/{model}:{verb}`, and models may hold slashes.

Paths: https://ai.google.dev/api. Versions differ in nothing here: clients choose between `v1`, `v1beta` and `v1alpha`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import msgspec

from aldgate.core.calls import Named
from aldgate.core.errors import GatewayError, InvalidRequest, MethodNotAllowed, NotFound, ScopeDenied
from aldgate.core.kinds import told_operations
from aldgate.core.principals import Operation
from aldgate.core.rights import Rights
from aldgate.core.routes import Deployment
from aldgate.dialects.gemini.dialect import GEMINI, GEMINI_ARRAY
from aldgate.dialects.gemini.tokens import count_tokens
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.gate.policies.permission import check_shown, resolved
from aldgate.ports import Backend
from aldgate.surfaces.calls.face import Doors, Face
from aldgate.surfaces.http.asgi import Handler, Receive, Scope, Send, headers_of, send_whole
from aldgate.surfaces.http.bodies import check_json, read_body
from aldgate.surfaces.http.credentials import principal_of
from aldgate.surfaces.models.face import found, listed

Find = Callable[[Rights, Scope, Receive], Awaitable[dict[str, Any]]]

_CARRIERS = (b"authorization", b"x-api-key", b"x-goog-api-key")
_METHODS: dict[Operation, tuple[str, ...]] = {
    "chat": ("generateContent", "streamGenerateContent", "countTokens"),
    "embed": ("embedContent", "batchEmbedContents"),
}
_PAGE = 50
_MOST_PAGE = 1_000


class GeminiFace:
    """Everything below `/{version}/models`, `serve` its one door."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._gate = doors.gate
        events, array = Face(GEMINI, doors), Face(GEMINI_ARRAY, doors)
        whole, stream = partial(_named, stream=False), partial(_named, stream=True)
        self._verbs: dict[str, Handler] = {
            "generateContent": events.serving("chat", whole),
            "streamGenerateContent": array.serving("chat", stream),
            "streamGenerateContent?alt=sse": events.serving("chat", stream),
            "embedContent": events.serving("embed", whole),
            "batchEmbedContents": events.serving("embed", whole),
            "countTokens": partial(self._answer, "chat", self._count),
        }

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every request of this face."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        headers = headers_of(scope)
        if "key" in query and not any(name in headers for name in _CARRIERS):
            headers[b"x-goog-api-key"] = query["key"][-1].replace("\0", "?").encode()  # see `credentials`: no header holds a NUL
        await self._handler(scope, query)(scope, receive, send)

    def _handler(self, scope: Scope, query: dict[str, list[str]]) -> Handler:
        method, verb = scope["method"], scope["path"].rpartition(":")[2]
        if verb == "streamGenerateContent" and query.get("alt", [""])[-1] == "sse":
            verb += "?alt=sse"
        if method == "POST" and verb in self._verbs:
            return self._verbs[verb]
        if method == "GET" and verb not in self._verbs and _is_of_models(scope["path"]):
            return partial(self._answer, "models", partial(self._models, query))
        return self._misplaced

    async def _misplaced(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is not there, or not for this method. Under `/v1/models` it is OpenAI's clients who ask for models by a path."""
        method, path, call_id = scope["method"], scope["path"], self._gate.new_id()
        has_verb = path.rpartition(":")[2] in self._verbs
        is_verb = has_verb or method == "POST" and ":" in path
        face = OPENAI if path.startswith("/v1/") and not is_verb else GEMINI
        is_listed = _is_of_models(path) and not is_verb and (method != "POST" or face is OPENAI)
        allowed = b"POST" if has_verb else b"GET" if is_listed else None
        if allowed is None:
            return await send_whole(send, *face.error(NotFound(f"There is nothing at `{path[:200]}`."), call_id))
        status, headers, body = face.error(MethodNotAllowed(f"`{path[:200]}` does not answer to {method}."), call_id)
        await send_whole(send, status, [*headers, (b"allow", allowed)], body)

    async def _answer(self, needed: str, find: Find, scope: Scope, receive: Receive, send: Send) -> None:
        """An answer that is no call of a model."""
        call_id = self._gate.new_id()
        try:
            principal = await principal_of(scope, self._doors.identity)
            if needed not in principal.rights.scopes:
                raise ScopeDenied(f"This API key has not the scope `{needed}`.")
            body = msgspec.json.encode(await find(principal.rights, scope, receive))
        except GatewayError as error:
            status, headers, body = GEMINI.error(error, call_id)
            return await send_whole(send, status, headers, body)
        length = (b"content-length", b"%d" % len(body))
        headers = [(b"content-type", b"application/json"), length, (b"x-request-id", call_id.encode())]
        await send_whole(send, 200, headers, body)

    async def _count(self, rights: Rights, scope: Scope, receive: Receive) -> dict[str, Any]:
        """`countTokens`: our own count, since the provider that a call would reach may have none."""
        doors, headers = self._doors, headers_of(scope)
        check_json(headers)
        body = await read_body(headers, receive, doors.max_body_bytes, doors.in_flight)
        try:
            model = _named(scope, stream=False).model.removeprefix("models/")
            resolved(self._gate.catalogue, rights, model)
            return {"totalTokens": count_tokens(body, model)}
        finally:
            doors.in_flight.release(len(body))

    async def _models(self, query: dict[str, list[str]], rights: Rights, scope: Scope, receive: Receive) -> dict[str, Any]:
        """`models.list` and `models.get`."""
        name = _resource(scope["path"])
        catalogue = self._gate.catalogue
        if name:
            route = found(catalogue, rights, name)
            return self._item(name, check_shown(rights, name, route, route.deployments)[0])
        size, start = _page(query)
        models = listed(catalogue, rights)
        shown = [self._item(name, deployments[0]) for name, deployments in models[start : start + size]]
        rest = {"nextPageToken": str(start + size)} if start + size < len(models) else {}
        return {"models": shown, **rest}

    def _item(self, name: str, deployment: Deployment) -> dict[str, Any]:
        """A model as Google describes it (https://ai.google.dev/api/models#Model)."""
        facts = deployment.facts
        backend: Backend | None = self._gate.backends.get(deployment.backend)
        can = told_operations(deployment) or (backend.operations if backend is not None else frozenset[Operation]())
        methods = [method for operation, named in _METHODS.items() if operation in can for method in named]
        limits = {"inputTokenLimit": facts.context_window, "outputTokenLimit": facts.max_output}
        return {
            "name": f"models/{name}",
            "version": "",
            "displayName": deployment.model,
            "description": f"{deployment.model} of {deployment.backend}",
            **{field: limit for field, limit in limits.items() if limit is not None},
            "supportedGenerationMethods": methods,
        }


def _resource(path: str) -> str:
    """What a path names below `/{version}/models`, or in its place: some clients leave `models/` out before a name with a slash.

    https://github.com/vercel/ai/blob/main/packages/google/src/get-model-path.ts
    """
    named = path.split("/", 2)[2]
    return "" if named == "models" else named.removeprefix("models/")


def _is_of_models(path: str) -> bool:
    """Whether it names all models or one; a colon may be part of a name."""
    below = path.split("/", 2)[2]
    return below == "models" or below.startswith("models/")


def _named(scope: Scope, *, stream: bool) -> Named:
    return Named(_resource(scope["path"]).rpartition(":")[0], stream)


def _page(query: dict[str, list[str]]) -> tuple[int, int]:
    """Models per page, and where it begins."""
    try:
        size, start = int(query.get("pageSize", [str(_PAGE)])[-1]), int(query.get("pageToken", ["0"])[-1])
    except ValueError:
        raise InvalidRequest("`pageSize` and `pageToken` are whole numbers here.", param="pageSize") from None
    if size < 0 or start < 0:
        raise InvalidRequest("`pageSize` and `pageToken` cannot be below 0.", param="pageSize")
    return min(size or _PAGE, _MOST_PAGE), start
