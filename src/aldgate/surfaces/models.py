"""`GET /v1/models` and `GET /v1/models/{id}`, in OpenAI's shape. Ids may contain slashes.

Aliases stand behind the models, with their target's owner: clients build their menus from this list.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.errors import GatewayError, ModelNotFound, ScopeDenied
from aldgate.core.routes import Deployment, Route
from aldgate.gate.gate import Gate
from aldgate.gate.identity import Identity
from aldgate.surfaces.asgi import Handler, Receive, Scope, Send, headers_of, send_whole
from aldgate.surfaces.credentials import principal_of
from aldgate.surfaces.faults import render_for_path

PREFIX = "/v1/models/"


def by_client(openai: Handler, gemini: Handler) -> Handler:
    """The handler of a path that clients of several APIs share: whoever brings a key as Google's do reads Gemini's shape."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        is_google = b"x-goog-api-key" in headers_of(scope) or b"key=" in scope["query_string"]
        await (gemini if is_google else openai)(scope, receive, send)

    return serve


class ModelsFace:
    """Lists what can be called.

    Args:
        started_at: Unix seconds; models have no birthday of their own here, so `created` is the gate's.
    """

    def __init__(self, gate: Gate, identity: Identity, started_at: int) -> None:
        self._gate = gate
        self._identity = identity
        self._started_at = started_at

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models."""
        await self._serve(scope, send, None)

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models/{id}."""
        await self._serve(scope, send, scope["path"][len(PREFIX) :])

    async def _serve(self, scope: Scope, send: Send, name: str | None) -> None:
        call_id = self._gate.new_id()
        request_id = (b"x-request-id", call_id.encode())
        try:
            principal = await principal_of(scope, self._identity)
            if "models" not in principal.policy.scopes:
                raise ScopeDenied("This API key may not list models.")
            answer = self._all() if name is None else self._one(name)
        except GatewayError as error:
            status, headers, body = render_for_path(scope["path"], error)
            return await send_whole(send, status, [*headers, request_id], body)
        body = msgspec.json.encode(answer)
        length = (b"content-length", b"%d" % len(body))
        await send_whole(send, 200, [(b"content-type", b"application/json"), length, request_id], body)

    def _all(self) -> dict[str, Any]:
        catalogue = self._gate.catalogue
        items = [self._item(deployment.id, deployment) for deployment in catalogue.models]
        aliases = [route for name, route in catalogue.routes.items() if name == route.name and _is_alias(route)]
        return {"object": "list", "data": items + [self._item(route.name, route.deployments[0]) for route in aliases]}

    def _one(self, name: str) -> dict[str, Any]:
        route = self._gate.catalogue.routes.get(name)
        if route is None:
            raise ModelNotFound(f"The model `{name[:100]}` does not exist.", param="model")
        deployment = route.deployments[0]
        return self._item(route.name if _is_alias(route) else deployment.id, deployment)

    def _item(self, name: str, deployment: Deployment) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._started_at, "owned_by": deployment.backend}


def _is_alias(route: Route) -> bool:
    """Whether a route has a name that is none of its deployments' own."""
    return all(route.name != deployment.id for deployment in route.deployments)
