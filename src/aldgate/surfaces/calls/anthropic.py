"""What Anthropic's paths have beyond every other face: its own headers, and the count of a request's tokens."""

from __future__ import annotations

import time

import msgspec

from aldgate.core.calls import Admission, Named, Peek
from aldgate.core.errors import GatewayError, ModelNotFound, ScopeDenied
from aldgate.core.principals import Principal
from aldgate.core.rights import Rights
from aldgate.dialects.anthropic.count import estimate
from aldgate.dialects.anthropic.dialect import ANTHROPIC
from aldgate.dialects.anthropic.limits import limit_headers
from aldgate.dialects.anthropic.requests import peek_count
from aldgate.gate.attempts import Run
from aldgate.gate.policies.permission import resolved
from aldgate.ports import CountsTokens
from aldgate.surfaces.calls.face import Doors, Face
from aldgate.surfaces.http.asgi import Handler, Headers, Receive, Scope, Send, headers_of, send_whole
from aldgate.surfaces.http.bodies import check_json, read_body
from aldgate.surfaces.http.credentials import principal_of


class AnthropicFace(Face):
    """Handlers for the paths of Anthropic's API that make calls, or would.

    Attributes:
        handlers: By what they do: `messages`, `count_tokens`.
    """

    def __init__(self, doors: Doors) -> None:
        super().__init__(ANTHROPIC, doors)
        self.handlers: dict[str, Handler] = {"messages": self.serving("chat", read_headers), "count_tokens": self.count}

    def _headers(self, admission: Admission, run: Run) -> Headers:
        return [*super()._headers(admission, run), (b"request-id", admission.call.id.encode())]

    def _limits(self, principal: Principal) -> Headers:
        return limit_headers(self._gate.standings(principal), time.time())

    async def count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/messages/count_tokens: exact where the model's provider counts, else by our own estimate.

        It needs a key that may chat, and costs nothing: no call is made, so no limit is touched and no money is held.
        """
        call_id = self._gate.new_id()
        request_id = (b"request-id", call_id.encode())
        try:
            principal = await principal_of(scope, self._identity)
            if "chat" not in principal.rights.scopes:
                raise ScopeDenied("This API key may not chat, and so not count what a chat would cost.")
            headers = headers_of(scope)
            check_json(headers)
            body = await read_body(headers, receive, self._max_body_bytes, self._in_flight)
            try:
                count = await self._count(principal.rights, peek_count(body, read_headers(scope)))
            finally:
                self._in_flight.release(len(body))
        except GatewayError as error:
            await send_whole(send, *ANTHROPIC.error(error, call_id))
            return
        answer = msgspec.json.encode({"input_tokens": count})
        length = (b"content-length", b"%d" % len(answer))
        await send_whole(send, 200, [(b"content-type", b"application/json"), length, request_id], answer)

    async def _count(self, rights: Rights, peek: Peek) -> int:
        deployment = resolved(self._gate.catalogue, rights, peek.model)
        backend = self._gate.backends.get(deployment.backend)
        if backend is None:
            raise ModelNotFound(f"The provider of `{peek.model[:100]}` was removed.", param="model")
        if isinstance(backend, CountsTokens) and not rights.guardrails:  # which would not have seen what is sent there
            return await backend.count_tokens(ANTHROPIC.outgoing("chat", peek, deployment, cap=None, warnings=[]), peek.forward)
        return estimate(peek.body)


def read_headers(scope: Scope) -> Named:
    """What the headers say of the version and the betas that a body is written in."""
    return Named(headers=tuple(header for header in scope["headers"] if header[0].startswith(b"anthropic-")))
