"""What Ollama's clients ask beside calls: `/api/tags`, `/api/show`, `/api/ps` and `/api/version`, answered from the catalogue.

Every model of the gate is listed, whoever serves it, so that clients which know Ollama alone can use it. Names are the gate's
own, without a `:latest` that they do not have. Shapes: https://docs.ollama.com/api/tags and its neighbours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from aldgate.core.errors import GatewayError, InvalidRequest, ScopeDenied
from aldgate.core.kinds import told_operations
from aldgate.core.rights import Rights
from aldgate.core.routes import Deployment
from aldgate.dialects.ollama.errors import answer
from aldgate.dialects.ollama.parse import ShowBody
from aldgate.dialects.ollama.requests import bare
from aldgate.gate.policies.permission import resolved
from aldgate.surfaces.calls.face import Doors
from aldgate.surfaces.http.asgi import Handler, Receive, Scope, Send, headers_of, send_whole
from aldgate.surfaces.http.bodies import read_body
from aldgate.surfaces.http.credentials import principal_of
from aldgate.surfaces.models.face import listed

Object = dict[str, Any]
Tell = Callable[[Rights, bytes], Object]

OLLAMA_VERSION = "0.12.6"
"""The version of Ollama's API that this face answers as: clients look for features by it."""
_CAPABILITIES = {"tools": "tools", "vision": "vision", "reasoning": "thinking"}
_MOST_BYTES = 65_536


_show = msgspec.json.Decoder(ShowBody)


class OllamaFace:
    """Lists and shows models as Ollama does.

    Attributes:
        handlers: By the last word of their path.
    """

    def __init__(self, doors: Doors) -> None:
        self._gate = doors.gate
        self._identity = doors.identity
        self._in_flight = doors.in_flight
        # Models have no date of their own here, so it is that of the first question.
        self._modified_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self.handlers: dict[str, Handler] = {
            "tags": self._serving(self._tags),
            "show": self._serving(self._shown),
            "ps": self._serving(self._loaded),
            "version": self._version,
        }

    def _serving(self, tell: Tell) -> Handler:
        def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            return self._serve(tell, scope, receive, send)

        return serve

    async def _serve(self, tell: Tell, scope: Scope, receive: Receive, send: Send) -> None:
        call_id = self._gate.new_id()
        try:
            principal = await principal_of(scope, self._identity)
            if "models" not in principal.rights.scopes:
                raise ScopeDenied("This API key may not list models.")
            body = b""
            if scope["method"] == "POST":
                body = await read_body(headers_of(scope), receive, _MOST_BYTES, self._in_flight)
                self._in_flight.release(len(body))
            told = tell(principal.rights, body)
        except GatewayError as error:
            return await send_whole(send, *answer(error, call_id))
        await _send(send, told, call_id)

    async def _version(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Needs no credential: clients ask to see whether anybody is there."""
        await _send(send, {"version": OLLAMA_VERSION}, self._gate.new_id())

    def _tags(self, rights: Rights, _: bytes) -> Object:
        return {"models": [self._item(name, deployments[0]) for name, deployments in listed(self._gate.catalogue, rights)]}

    def _loaded(self, rights: Rights, _: bytes) -> Object:
        """What holds memory is the providers' own matter; here nothing does."""
        return {"models": []}

    def _shown(self, rights: Rights, body: bytes) -> Object:
        try:
            asked = _show.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise InvalidRequest("The body is not a JSON object with `model`.", param="model") from None
        name = asked.model or asked.name
        if not name:
            raise InvalidRequest("`model` is missing.", param="model")
        deployment = resolved(self._gate.catalogue, rights, bare(name))
        family = deployment.backend
        info: Object = {"general.architecture": family, "general.basename": deployment.model}
        if deployment.facts.context_window is not None:
            info[f"{family}.context_length"] = deployment.facts.context_window
        return {
            "license": "",
            "modelfile": f"# {deployment.id} is served by {family}\n",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": _details(deployment),
            "model_info": info,
            "capabilities": self._capabilities(deployment),
            "modified_at": self._modified_at,
        }

    def _capabilities(self, deployment: Deployment) -> list[str]:
        operations = told_operations(deployment) or self._gate.backends[deployment.backend].operations
        words = {"chat": "completion", "embed": "embedding"}
        named = [word for operation, word in words.items() if operation in operations]
        facts = deployment.facts
        return named + [word for fact, word in _CAPABILITIES.items() if fact in facts.can and "completion" in named]

    def _item(self, name: str, deployment: Deployment) -> Object:
        return {
            "name": name,
            "model": name,
            "modified_at": self._modified_at,
            "size": 0,
            "digest": hashlib.sha256(name.encode()).hexdigest(),
            "details": _details(deployment),
        }


def _details(deployment: Deployment) -> Object:
    family = deployment.backend
    return {
        "parent_model": "",
        "format": "",
        "family": family,
        "families": [family],
        "parameter_size": "",
        "quantization_level": "",
    }


async def _send(send: Send, told: Object, call_id: str) -> None:
    body = msgspec.json.encode(told)
    length = (b"content-length", b"%d" % len(body))
    await send_whole(send, 200, [(b"content-type", b"application/json"), length, (b"x-request-id", call_id.encode())], body)
