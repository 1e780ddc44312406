"""`GET /v1/models` and `GET /v1/models/{id}`, in the shape of whoever asks. Ids may contain slashes.

Aliases stand behind the models, with their target's owner: clients build their menus from this list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from aldgate.core.errors import GatewayError, ModelNotFound, ScopeDenied
from aldgate.core.rights import Rights
from aldgate.core.routes import Catalogue, Deployment, Route
from aldgate.gate.gate import Gate
from aldgate.gate.policies.permission import check_shown, check_unknown, shown
from aldgate.gate.principals.identity import Identity
from aldgate.surfaces.dialects import DIALECTS
from aldgate.surfaces.http.asgi import Handler, Receive, Scope, Send, headers_of, send_whole
from aldgate.surfaces.http.credentials import principal_of
from aldgate.surfaces.models import anthropic, catalog

PREFIX = "/v1/models/"
Object = dict[str, Any]
_REQUEST_IDS = (b"x-request-id", b"request-id")
"""OpenAI's name for it, and Anthropic's."""


def by_client(openai: Handler, gemini: Handler) -> Handler:
    """The handler of a path that clients of several APIs share: whoever brings a key as Google's do reads Gemini's shape."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        query = scope["query_string"]
        is_google = b"x-goog-api-key" in headers_of(scope) or (b"key=" in query and b"key" in parse_qs(query))
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
        shape = _shape_for(scope)
        try:
            principal = await principal_of(scope, self._identity)
            if "models" not in principal.rights.scopes:
                raise ScopeDenied("This API key may not list models.")
            rights = principal.rights
            if name is None:
                answer = shape.many(self._all(rights, shape), scope["query_string"])
            else:
                answer = self._one(rights, name, shape)
        except GatewayError as error:
            return await send_whole(send, *DIALECTS.load(shape.dialect).error(error, call_id))
        body = msgspec.json.encode(answer)
        length = (b"content-length", b"%d" % len(body))
        headers = [(b"content-type", b"application/json"), length, *((name, call_id.encode()) for name in _REQUEST_IDS)]
        await send_whole(send, 200, headers, body)

    def _all(self, rights: Rights, shape: Shape) -> list[Object]:
        models = listed(self._gate.catalogue, rights) + makers(self._gate, rights)
        return [shape.one(name, deployments, self._started_at) for name, deployments in models]

    def _one(self, rights: Rights, name: str, shape: Shape) -> Object:
        made = self._gate.made_models.get(name)
        if made is not None and name not in self._gate.catalogue.routes:
            return shape.one(name, check_shown(rights, name, Route(name, (made,)), (made,)), self._started_at)
        route = found(self._gate.catalogue, rights, name)
        is_own = route.is_listed and not is_alias(route)
        deployments = check_shown(rights, name, route, answering(route))
        return shape.one(route.deployments[0].id if is_own else route.name, deployments, self._started_at)


class Shape(NamedTuple):
    """How the callers of a dialect read models.

    Attributes:
        one: A model, from its name, the deployments that may answer to it and the time it is said to be made.
        many: A list of such, as far as the query string asks for it.
    """

    dialect: str
    one: Callable[[str, Sequence[Deployment], int], Object]
    many: Callable[[Sequence[Object], bytes], Object]


_OPENAI = Shape("openai", catalog.one, catalog.page)
_ANTHROPIC = Shape("anthropic", anthropic.one, anthropic.page)


def _shape_for(scope: Scope) -> Shape:
    """Several clients ask at this path: Anthropic's say which version of their API they speak."""
    return _ANTHROPIC if b"anthropic-version" in headers_of(scope) else _OPENAI


def listed(catalogue: Catalogue, rights: Rights) -> list[tuple[str, tuple[Deployment, ...]]]:
    """Every model by its full name, then every alias with its targets; those that these rights let call."""
    models = [(deployment.id, (deployment,)) for deployment in catalogue.models]
    routes = (route for name, route in catalogue.routes.items() if name == route.name and is_alias(route))
    every = models + [(route.name, answering(route)) for route in routes]
    return [(name, able) for name, deployments in every if (able := shown(rights, name, deployments))]


def makers(gate: Gate, rights: Rights) -> list[tuple[str, tuple[Deployment, ...]]]:
    """What engines have, of what these rights let somebody have made."""
    each_able = ((name, made) for name, made in gate.made_models.items() if name not in gate.catalogue.routes)
    able = ((name, made) for name, made in each_able if rights.scopes & (made.operations or frozenset()))
    return [(name, (made,)) for name, made in able if shown(rights, name, (made,))]


def found(catalogue: Catalogue, rights: Rights, name: str) -> Route:
    """The route of a name.

    Raises:
        ModelNotFound: There is none.
        PolicyDenied: There may be one: whoever may not call it is not told.
    """
    route = catalogue.routes.get(name)
    if route is None:
        if rights.tells_names:
            check_unknown(rights, name)
        raise ModelNotFound(f"The model `{name[:100]}` does not exist.", param="model")
    return route


def answering(route: Route) -> tuple[Deployment, ...]:
    """All that may come to answer, each once, the first in front."""
    fallen_back_on = route.plan.deployments if route.plan is not None else ()
    return tuple(dict.fromkeys((*route.deployments, *fallen_back_on)))


def is_alias(route: Route) -> bool:
    """Whether a route is listed under a name that is none of its deployments' own."""
    return route.is_listed and all(route.name != deployment.id for deployment in route.deployments)
