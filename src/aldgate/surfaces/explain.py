"""`POST /v1/explain`: what would become of a call, without making it. Any valid key may ask about itself, an admin about any."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import msgspec

from aldgate.core.calls import Named
from aldgate.core.errors import GatewayError, InvalidRequest, NotFound, ScopeDenied, UnknownKey
from aldgate.core.principals import Operation, Principal
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.gate.audit import without_credentials
from aldgate.gate.explain.explain import explain
from aldgate.gate.explain.explanation import Explanation
from aldgate.gate.policies.permission import check_path
from aldgate.gate.policies.shaping import shaped
from aldgate.ports import FaceDialect
from aldgate.surfaces.calls.explained import encoded
from aldgate.surfaces.calls.face import Doors
from aldgate.surfaces.dialects import DIALECTS
from aldgate.surfaces.http.asgi import Receive, Scope, Send, headers_of, send_whole
from aldgate.surfaces.http.bodies import check_json, read_body
from aldgate.surfaces.http.credentials import principal_of
from aldgate.surfaces.paths import CALLS, GENERATE, MESSAGES, RESPONSES
from aldgate.surfaces.responses.face import ResponsesFace
from aldgate.surfaces.responses.shelf import Shelf

_OPENAI: dict[Operation, str] = {operation: path for path, _, operation in reversed(CALLS) if path.startswith("/v1/")}
"""Where an operation is asked for when no path is named."""
Askable = Literal["chat", "complete", "embed", "rerank", "moderate"]
"""Those of `_OPENAI`: what has no path cannot be explained."""
_GEMINI: dict[str, Operation] = {
    "generateContent": "chat",
    "streamGenerateContent": "chat",
    "embedContent": "embed",
    "batchEmbedContents": "embed",
}
_GEMINI_PATHS = ("/v1beta/models/", "/v1alpha/models/", "/v1/models/")


class ExplainRequest(msgspec.Struct):
    """A call to be explained: `path` and `body` as it would be sent, or a request in OpenAI's form and its `operation`.

    `key_id` is for admins: who would call.
    """

    path: str | None = None
    body: dict[str, Any] | None = None
    operation: Askable = "chat"
    key_id: str | None = None


class _Wanted(ExplainRequest):
    """The same, with `body` to the byte as it would be sent."""

    body: msgspec.Raw = msgspec.Raw()  # pyright: ignore[reportIncompatibleVariableOverride] - the same JSON, not decoded


class _Place(msgspec.Struct, frozen=True):
    """Where a call would be sent."""

    path: str
    dialect: FaceDialect
    operation: Operation
    named: Named = Named()


_request = msgspec.json.Decoder(_Wanted)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ExplainFace:
    """Answers `POST /v1/explain`.

    Args:
        shelf: Holds the responses that a request may continue.
    """

    def __init__(self, doors: Doors, shelf: Shelf) -> None:
        self._doors = doors
        self._responses = ResponsesFace(doors, shelf)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        doors, call_id = self._doors, self._doors.gate.new_id()
        try:
            asker = await principal_of(scope, doors.identity)
            headers = headers_of(scope)
            check_json(headers)
            body = await read_body(headers, receive, doors.max_body_bytes, doors.in_flight)
            try:
                explanation = await self._explain(asker, body)
            finally:
                doors.in_flight.release(len(body))
        except GatewayError as error:
            return await send_whole(send, *OPENAI.error(error, call_id))
        answer = encoded(explanation)
        length = (b"content-length", b"%d" % len(answer))
        lines = [(b"content-type", b"application/json"), length, (b"cache-control", b"no-store")]
        await send_whole(send, 200, [*lines, (b"x-request-id", call_id.encode())], answer)

    async def _explain(self, asker: Principal, body: bytes) -> Explanation:
        wanted = _read(body)
        who, refused = asker, None
        if wanted.key_id is not None and wanted.key_id != asker.id:
            who, refused = await self._other(asker, wanted.key_id)
        place, request = _sent(wanted, body)
        try:
            if refused is not None:
                raise refused
            if who.rights.tells_places:
                check_path(who, place.path)
            if place.path == RESPONSES:
                request = await self._responses.history.filled(who.account, place.dialect.peek("chat", request))
            asked = place.dialect.peek(place.operation, request, place.named)
            if who.rights.tells_parameters:
                asked = shaped(place.dialect, who, place.operation, asked, place.named)
        except GatewayError as error:
            asked = error
        return await explain(self._doors.gate, who, place.operation, place.dialect, asked)

    async def _other(self, asker: Principal, key_id: str) -> tuple[Principal, GatewayError | None]:
        if "admin" not in asker.rights.scopes:
            raise ScopeDenied("This API key may explain its own calls only; leave `key_id` out.")
        try:
            return await self._doors.identity.look_at(key_id)
        except UnknownKey:
            raise NotFound(f"There is no key `{without_credentials(key_id)[:100]}`.", param="key_id") from None


def _read(body: bytes) -> _Wanted:
    try:
        wanted = _request.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text, _, path = str(error).partition(" - at `$")
        raise InvalidRequest(f"The body is not a call to explain: {text}.", param=path.strip(".`") or None) from None
    request = bytes(wanted.body).lstrip()
    if request and request[:1] != b"{" and request.rstrip() != b"null":
        raise InvalidRequest("`body` is an object: the request as it would be sent.", param="body")
    return wanted


def _sent(wanted: _Wanted, body: bytes) -> tuple[_Place, bytes]:
    """Where the call would be sent, and its body."""
    if wanted.path is None:
        return _place(_OPENAI[wanted.operation]), _without(body, ("operation", "key_id"))
    if not bytes(wanted.body):
        raise InvalidRequest("With `path`, `body` is the request as it would be sent there.", param="body")
    return _place(wanted.path), bytes(wanted.body)


def _without(body: bytes, names: tuple[str, ...]) -> bytes:
    """The body without what is ours; to the byte as it came, if there is nothing of it."""
    if not any(name.encode() in body for name in names):
        return body
    try:
        members = _members.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from None
    return msgspec.json.encode({name: value for name, value in members.items() if name not in names})


@cache
def _fixed() -> dict[str, tuple[str, Operation]]:
    fixed: dict[str, tuple[str, Operation]] = {path: (dialect, operation) for path, dialect, operation in CALLS}
    return {**fixed, GENERATE: ("prompt", "chat"), MESSAGES: ("anthropic", "chat"), RESPONSES: ("responses", "chat")}


def _place(target: str) -> _Place:
    """Who reads what is sent to a path.

    Raises:
        InvalidRequest: Nothing is called there.
    """
    path = target.partition("?")[0]
    fixed = _fixed().get(path)
    if fixed is not None:
        return _Place(path, DIALECTS.load(fixed[0]), fixed[1])
    model, _, verb = path.rpartition(":")
    prefix = next((prefix for prefix in _GEMINI_PATHS if path.startswith(prefix)), None)
    if prefix is None or verb not in _GEMINI:
        raise InvalidRequest(f"`{path[:200]}` is not a path at which models are called with POST.", param="path")
    is_stream = verb == "streamGenerateContent"
    return _Place(path, DIALECTS.load("gemini"), _GEMINI[verb], Named(model.removeprefix(prefix), is_stream))
