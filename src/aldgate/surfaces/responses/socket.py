"""Responses over a WebSocket: one `response.create` frame after the other, each a call of its own through the whole gate.

Frames: https://platform.openai.com/docs/guides/websocket-mode. Events come as they do in a stream; only `error` is nested here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import msgspec

from aldgate.core.errors import BodyTooLarge, ClientGone, GatewayError, InvalidRequest, NotSupported, ScopeDenied
from aldgate.dialects.governed import MANY_BYTES, check_countable
from aldgate.dialects.openai.errors import render
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.dialects.responses.history import Turn, input_of
from aldgate.dialects.responses.pen import Pen
from aldgate.dialects.responses.requests import Governed, governed
from aldgate.dialects.responses.written import framed, response_id
from aldgate.dialects.sse import EventReader
from aldgate.gate.watch import OpenSocket
from aldgate.surfaces.calls.face import Doors
from aldgate.surfaces.http.asgi import Headers, Message, Receive, Scope, Send
from aldgate.surfaces.http.credentials import check_place, come_from, place_of_call, socket_secret_of
from aldgate.surfaces.http.faults import refuse
from aldgate.surfaces.responses.face import ResponsesFace
from aldgate.surfaces.responses.history import MOST_KEPT
from aldgate.surfaces.server.websocket import POLICY_VIOLATION, RESTARTING, Socket

MOST_WAITING = 2
"""Frames taken ahead of their turn; further ones wait in the connection."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class Created(msgspec.Struct):
    """A `response.create` frame as a request."""

    body: bytes
    stream_id: str | None = None
    generates: bool = True
    """False: only remember the input, which a later frame will continue."""


class ResponseSocket:
    """The WebSocket handler of `/v1/responses`."""

    def __init__(self, doors: Doors, face: ResponsesFace) -> None:
        self._doors = doors
        self._face = face

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. The key is looked at before the upgrade, and again for every frame."""
        doors = self._doors
        await receive()
        try:
            secret = socket_secret_of(scope)
            principal = await doors.identity.identify(secret)
            if principal.rights.tells_places:
                check_place(principal, scope)
        except GatewayError as error:
            return await refuse(send, scope["path"], error, doors.gate.new_id())
        await send({"type": "websocket.accept"})
        conversation = _Conversation(doors, self._face, secret, scope, send)
        come_from(scope)
        doors.watch.sockets[conversation] = OpenSocket(principal, conversation.cut, place_of_call())
        try:
            await conversation.run(receive)
        finally:
            del doors.watch.sockets[conversation]


class _Conversation:
    """One connection, from its upgrade to its close."""

    def __init__(self, doors: Doors, face: ResponsesFace, secret: bytes, scope: Scope, send: Send) -> None:
        self._doors = doors
        self._face = face
        self._secret = secret
        self._scope = scope
        self._socket: Socket = scope["aldgate.socket"]
        self._send = send
        self._frames: asyncio.Queue[bytes | GatewayError | None] = asyncio.Queue(MOST_WAITING)
        self._is_lost = False
        self._is_cut = False
        self._task = asyncio.current_task()
        self._remembered: tuple[str, list[Turn]] = ("", [])
        """The last response that nobody keeps, and all that led to it: this connection alone can continue it."""
        self._held = 0
        """Bytes of what is remembered and of the frames that wait; all connections share the bound on them."""

    async def run(self, receive: Receive) -> None:
        """Answer frames until either side closes."""
        listening = asyncio.ensure_future(self._listen(receive))
        try:
            while (frame := await self._frames.get()) is not None:
                self._socket.is_busy = True
                is_welcome = await self._answer(frame)
                self._socket.is_busy = False
                if self._socket.is_stopping or not is_welcome:
                    code = RESTARTING if is_welcome else POLICY_VIOLATION
                    return await self._send({"type": "websocket.close", "code": code})
        except asyncio.CancelledError:
            if not self._is_lost or self._task is None:
                raise
            self._task.uncancel()  # the caller left, nobody cancels us: all is settled
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            self._hold(-self._held)

    def cut(self, error: GatewayError) -> None:
        """Whose it is may call no longer: say so behind what is being answered, and close."""
        if self._is_cut:
            return
        self._is_cut = True
        if not self._frames.full():  # else the next frame is refused, and that closes it
            self._frames.put_nowait(error)

    def _hold(self, more: int) -> None:
        self._doors.in_flight.take(more)
        self._held += more

    async def _listen(self, receive: Receive) -> None:
        while (message := await receive())["type"] == "websocket.receive":
            frame: bytes | GatewayError = _bytes_of(message)
            try:
                self._hold(len(frame))
            except GatewayError as error:
                frame = error
            await self._frames.put(frame)
        self._is_lost = True
        if self._socket.is_busy and self._task is not None:
            self._task.cancel()
        else:
            await self._frames.put(None)

    async def _answer(self, frame: bytes | GatewayError) -> bool:
        """Serve one frame. False: its key is not good any more."""
        outlet = _Outlet(self._send)
        try:
            if isinstance(frame, GatewayError):
                raise frame
            try:
                created = _read(frame)
                outlet.stream_id = created.stream_id
                await self._create(created, outlet)
                await outlet.flush()
            finally:
                self._hold(-len(frame))
        except GatewayError as error:
            await self._send({"type": "websocket.send", "text": _error_frame(error, outlet.stream_id).decode()})
            return error.status != 401 and not self._is_cut
        return True

    async def _create(self, created: Created, outlet: _Outlet) -> None:
        doors = self._doors
        principal = doors.identity.known(self._secret) or await doors.identity.identify(self._secret)
        if principal.rights.tells_places:
            check_place(principal, self._scope)
        call_id = doors.gate.new_id()
        peek = self._face.asked(principal, created.body)
        wanted = governed(peek)
        if not created.generates:
            if "chat" not in principal.rights.scopes:
                raise ScopeDenied("This API key may not chat.")
            doors.gate.catalogue.resolve(peek.model, tells_near=not principal.rights.tells_names)
            response = _unanswered(call_id, created.body, outlet)
        else:
            response = await self._face.respond(call_id, principal, peek, outlet, self._recall)
        if response is not None and (wanted.store is False or not created.generates):
            before = await self._before(principal.account, wanted)
            name = msgspec.json.decode(response, type=_Named).id
            self._remember(name, [*before, (input_of(peek), response)], is_owed=not created.generates)

    def _remember(self, name: str, turns: list[Turn], *, is_owed: bool) -> None:
        """Take the place of what was remembered. What is too much is not; `is_owed`: it was asked for, so that is an error."""
        more = _size(turns) - _size(self._remembered[1])
        try:
            if _size(turns) > MOST_KEPT * self._doors.max_body_bytes:
                raise BodyTooLarge("The conversation has come to more than one connection may have remembered.")
            self._hold(more)
        except GatewayError:
            if is_owed:
                raise
            return
        self._remembered = (name, turns)

    async def _before(self, account: str, wanted: Governed) -> Sequence[Turn]:
        previous = wanted.previous_response_id
        if previous is None:
            return ()
        return self._recall(previous) or await self._face.history.turns(account, previous)

    def _recall(self, name: str) -> list[Turn] | None:
        return self._remembered[1] if name == self._remembered[0] else None


def _size(turns: Sequence[Turn]) -> int:
    return sum(len(given) + len(response) for given, response in turns)


class _Named(msgspec.Struct):
    id: str


class _Outlet:
    """Turns a stream's bytes into frames. See `asgi.Outlet`."""

    is_lost = False

    def __init__(self, send: Send) -> None:
        self.stream_id: str | None = None
        self._send = send
        self._reader = EventReader()
        self._last = b""

    def begin(self, status: int, headers: Headers) -> None:
        pass  # a frame has no headers

    def write(self, piece: bytes) -> Awaitable[None] | bool:
        return self._frames(piece)

    def end(self, piece: bytes) -> None:
        self._last = piece

    async def flush(self) -> None:
        await self._frames(self._last)

    async def _frames(self, piece: bytes) -> None:
        try:
            for payload in self._reader.feed(piece):
                if payload != b"[DONE]":
                    await self._send({"type": "websocket.send", "text": _in_lane(payload, self.stream_id).decode()})
        except OSError:  # what uvicorn raises when the other side has gone
            raise ClientGone("The caller left.") from None


def _in_lane(payload: bytes, stream_id: str | None) -> bytes:
    return payload if stream_id is None else b'%b,"stream_id":%b}' % (payload[:-1], _encode(stream_id))


def _bytes_of(message: Message) -> bytes:
    text = message.get("text")
    return message.get("bytes") or b"" if text is None else text.encode()


def _read(frame: bytes) -> Created:
    if len(frame) > MANY_BYTES:
        check_countable(frame)
    try:
        members: dict[str, Any] = _members.decode(frame)
        kind = msgspec.json.decode(members.pop("type", b'""'))
        stream_id = msgspec.json.decode(members.pop("stream_id", b"null"), type=str | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("A frame must be a JSON object with a `type`.") from None
    if kind == "response.steer":
        raise NotSupported("A response under way cannot be steered here.")
    if kind != "response.create":
        raise InvalidRequest("A frame's `type` must be `response.create`.", param="type")
    generates = bytes(members.pop("generate", b"true")) != b"false"
    return Created(_encode({**members, "stream": True}), stream_id, generates)


def _unanswered(call_id: str, body: bytes, outlet: _Outlet) -> bytes:
    """A response to a frame that only wants its input remembered."""
    frame, pen = framed(call_id, RESPONSES.peek("chat", body)), Pen()
    response = frame.ended("stop", [], None)
    outlet.end(pen.lifecycle("created", frame.begun()) + pen.lifecycle("completed", response))
    return _encode({**response, "id": response_id(call_id)})


def _error_frame(error: GatewayError, stream_id: str | None) -> bytes:
    inner: dict[str, Any] = msgspec.json.decode(render(error))["error"]
    if error.retry_after_s is not None:
        inner["headers"] = {"retry-after": str(error.retry_after_s)}
    frame = {"type": "error", "status": error.status, "error": inner}
    return _encode(frame if stream_id is None else {**frame, "stream_id": stream_id})
