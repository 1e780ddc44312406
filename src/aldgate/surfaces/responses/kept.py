"""What can be done with kept responses: fetch, list, delete, cancel; and what stands beside them under `/v1/responses/`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.errors import GatewayError, InvalidRequest, NotFound, ScopeDenied
from aldgate.core.kept import KeptResponse
from aldgate.core.principals import Principal
from aldgate.dialects.governed import MANY_BYTES, check_countable, with_members
from aldgate.dialects.responses.history import listed, output_of
from aldgate.dialects.responses.replay import replayed
from aldgate.dialects.responses.requests import peek
from aldgate.dialects.responses.states import is_background
from aldgate.surfaces.calls.face import Doors
from aldgate.surfaces.http.asgi import Headers, Receive, Scope, Send, headers_of, send_whole
from aldgate.surfaces.http.bodies import check_json, read_body
from aldgate.surfaces.http.credentials import principal_of
from aldgate.surfaces.http.faults import render_for_path
from aldgate.surfaces.paths import RESPONSES
from aldgate.surfaces.responses.event_log import unpacked
from aldgate.surfaces.responses.history import History
from aldgate.surfaces.responses.shelf import Shelf
from aldgate.surfaces.server.listener import Connection

Object = dict[str, Any]
Answer = tuple[Headers, bytes]
"""Content type, more headers, and body."""

_PREFIX = f"{RESPONSES}/"
_JSON: Headers = [(b"content-type", b"application/json")]
_EVENTS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
_MOST_LISTED, _USUALLY_LISTED = 100, 20


class KeptResponses:
    """Handlers for everything under `/v1/responses/`. Whoever does not own a response is told that there is none."""

    def __init__(self, doors: Doors, shelf: Shelf, history: History) -> None:
        self._gate = doors.gate
        self._identity = doors.identity
        self._in_flight = doors.in_flight
        self._max_body_bytes = doors.max_body_bytes
        self._shelf = shelf
        self._history = history

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/responses/{id}, and /v1/responses/{id}/input_items."""
        name, _, rest = scope["path"][len(_PREFIX) :].partition("/")

        async def act(principal: Principal) -> Answer | None:
            kept = await self._find(principal, name)
            query = parse_qs(scope["query_string"].decode("latin-1"))
            if rest == "input_items":
                return _JSON, msgspec.json.encode(await self._listed(principal, kept, query))
            if rest:
                raise NotFound(f"There is nothing at `{scope['path'][:200]}`.")
            if query.get("stream") == ["true"]:
                return await self._again(scope, principal, kept, _number(query, "starting_after", None, 1 << 53))
            return [*_JSON, *_warnings(kept)], kept.body

        await self._serve(scope, send, act)

    async def _again(self, scope: Scope, principal: Principal, kept: KeptResponse, after: int | None) -> Answer | None:
        """Its events: those that were streamed, those that are being streamed, or else the response told as events."""
        run = self._shelf.background.find(principal.account, kept.id)
        if run is not None and run.is_streamed:
            connection: Connection = scope["aldgate.connection"]
            connection.cut_on_loss()
            connection.outlet.begin(200, [*_EVENTS, (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")])
            await run.events.follow(connection.outlet, after)
            return None
        if kept.lease_s is not None:
            raise InvalidRequest(f"`{kept.id}` is still under way and was not begun with `stream`: ask again.", param="stream")
        events = await self._shelf.store.response_events(principal.account, kept.id)
        told = replayed(kept.body, after) if events is None else await asyncio.to_thread(unpacked, events, after)
        return [*_EVENTS, *_warnings(kept)], told

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /v1/responses/{id}."""
        name = scope["path"][len(_PREFIX) :]

        async def act(principal: Principal) -> Answer:
            kept = await self._find(principal, name)
            if kept.lease_s is not None:
                await self._shelf.cancel(principal.account, kept)
            await self._shelf.store.delete_response(principal.account, name)
            return _JSON, msgspec.json.encode({"id": name, "object": "response", "deleted": True})

        await self._serve(scope, send, act)

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/responses/{id}/cancel."""
        name, _, rest = scope["path"][len(_PREFIX) :].partition("/")

        async def act(principal: Principal) -> Answer:
            if rest != "cancel":
                raise NotFound(f"There is nothing at `{scope['path'][:200]}`.")
            kept = await self._find(principal, name)
            if not is_background(kept.body):
                raise InvalidRequest("Only a response that runs in the background can be cancelled.")
            ended = await self._shelf.cancel(principal.account, kept)
            if ended is None:
                raise _not_found(name)
            return _JSON, ended.body

        await self._serve(scope, send, act)

    async def input_tokens(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/responses/input_tokens: our own estimate, about a token for four bytes, with all that is continued."""

        async def act(principal: Principal) -> Answer:
            headers = headers_of(scope)
            check_json(headers)
            body = await read_body(headers, receive, self._max_body_bytes, self._in_flight)
            try:
                full = await self._history.filled(principal.account, self._counted(principal, body))
            finally:
                self._in_flight.release(len(body))
            return _JSON, msgspec.json.encode({"object": "response.input_tokens", "input_tokens": -(-len(full) // 4)})

        await self._serve(scope, send, act)

    def _counted(self, principal: Principal, body: bytes) -> Peek:
        if b'"model"' not in body:
            return peek(_with_any_model(body))
        asked = peek(body)
        self._gate.catalogue.resolve(asked.model, tells_near=not principal.rights.tells_names)
        return asked

    async def _serve(self, scope: Scope, send: Send, act: Callable[[Principal], Awaitable[Answer | None]]) -> None:
        call_id = self._gate.new_id()
        try:
            principal = await principal_of(scope, self._identity)
            if "chat" not in principal.rights.scopes:
                raise ScopeDenied("This API key may not chat, so it has no responses.")
            answer = await act(principal)
        except GatewayError as error:
            status, headers, body = render_for_path(scope["path"], error, call_id)
            return await send_whole(send, status, headers, body)
        except asyncio.CancelledError:
            connection: Connection = scope["aldgate.connection"]
            if not connection.is_lost or connection.task is None:
                raise
            connection.task.uncancel()  # a follower left, nobody cancels us
            return
        if answer is None:
            return
        kind, body = answer
        lines = [*kind, (b"content-length", b"%d" % len(body)), (b"x-request-id", call_id.encode())]
        await send_whole(send, 200, [*lines, (b"cache-control", b"no-store")], body)

    async def _find(self, principal: Principal, name: str) -> KeptResponse:
        kept = await self._shelf.find(principal.account, name)
        if kept is None:
            raise _not_found(name)
        return kept

    async def _listed(self, principal: Principal, kept: KeptResponse, query: dict[str, list[str]]) -> Object:
        """A page of what the response was made from: everything it continued, and its own input."""
        items: list[Object] = []
        for turn in await self._history.chain(principal.account, kept.id):
            items += listed(turn.id, turn.input)
            items += output_of(turn.body) if turn.id != kept.id else ()
        if query.get("order", ["desc"])[-1] == "desc":
            items.reverse()
        after = query.get("after", [""])[-1]
        if after:
            places = [place for place, item in enumerate(items) if item["id"] == after]
            if not places:
                raise InvalidRequest(f"There is no item `{after[:100]}` to go on after.", param="after")
            items = items[places[0] + 1 :]
        most = _number(query, "limit", _USUALLY_LISTED, _MOST_LISTED) or _USUALLY_LISTED
        page = items[:most]
        first, last = (page[0]["id"], page[-1]["id"]) if page else ("", "")
        return {"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": len(items) > most}


def _with_any_model(body: bytes) -> bytes:
    if len(body) > MANY_BYTES:
        check_countable(body)
    try:
        return with_members(body, {"model": "any"})
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidRequest("The body is not a JSON object.") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deep.") from None


def _warnings(kept: KeptResponse) -> Headers:
    return [(b"x-aldgate-warnings", kept.warnings.encode())] if kept.warnings else []


def _not_found(name: str) -> NotFound:
    return NotFound(f"There is no response `{name[:100]}`.", param="response_id")


def _number(query: dict[str, list[str]], name: str, usual: int | None, most: int) -> int | None:
    given = query.get(name)
    if given is None:
        return usual
    text = given[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise InvalidRequest(f"`{name}` must be a number up to {most}.", param=name)
    return int(text)
