"""MusicGPT: a socket on which every client hears of every generation, and files."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from aldgate.testing.engines.server import FakeEngine
from aldgate.testing.engines.sounds import wav

Message = dict[str, Any]


class FakeMusicGpt(FakeEngine):
    """A MusicGPT.

    Attributes:
        given: What was asked to be generated, in order.
    """

    faults = frozenset({"fails", "says_no", "dies", "wrong_id", "file_gone", "not_a_sound", "climbs", "aborted", "bad_message"})

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Message] = []
        self._sockets: set[web.WebSocketResponse] = set()
        self._running: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        return [web.get("/ws", self._socket), web.get("/files/{path:.*}", self._file)]

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"Info": {"model": "MusicGen - small", "device": "CPU"}})
        await socket.send_json({"Chats": []})
        self._sockets.add(socket)
        async for message in socket:
            for kind, asked in message.json().items():
                await self._answer(socket, kind, asked)
        self._sockets.discard(socket)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, kind: str, asked: Message) -> None:
        if kind == "GetChat":
            await socket.send_json({"Chat": [{"chat_id": asked["chat_id"], "name": "", "created_at": 0}, []]})
        elif kind == "AbortGeneration" and asked["id"] in self._running:
            self._running.discard(asked["id"])
            self.stopped.append(asked["id"])
            await self._tell("Error", {**asked, "error": "Aborted"})
        elif kind == "GenerateAudioNewChat" and self.fault == "says_no":
            await socket.send_json({"Error": "No model is loaded"})
        elif kind == "GenerateAudioNewChat":
            self.given.append(asked)
            self._running.add(asked["id"])
            self._spawn(self._generate(asked))

    async def _generate(self, asked: Message) -> None:
        ids = {"id": "another" if self.fault == "wrong_id" else asked["id"], "chat_id": asked["chat_id"]}
        await self._tell("Start", {**ids, "prompt": asked["prompt"], "secs": asked["secs"]})
        for progress in (0.5, 0.25):
            await self._tell("Progress", {"id": "somebody-elses", "chat_id": "", "progress": 0.9})
            await self._tell("Progress", {**ids, "progress": progress})
        await self._work()
        if asked["id"] in self._running:
            self._running.discard(asked["id"])
            await self._end(ids)

    async def _end(self, ids: Message) -> None:
        match self.fault:
            case "fails":
                await self._tell("Error", {**ids, "error": "the model gave nothing"})
            case "aborted":
                await self._tell("Error", {**ids, "error": "Aborted"})
            case "dies":
                for socket in list(self._sockets):
                    await socket.close()
            case "bad_message":
                for socket in list(self._sockets):
                    await socket.send_str("{not json")
            case "climbs":
                await self._tell("Result", {**ids, "relpath": "../../etc/passwd"})
            case _:
                await self._tell("Result", {**ids, "relpath": f"audios/{ids['id']}.wav"})

    async def _tell(self, kind: str, content: Message) -> None:
        for socket in list(self._sockets):
            if not socket.closed:
                await socket.send_json({"Generation": {kind: content}})

    async def _file(self, request: web.Request) -> web.Response:
        if self.fault == "file_gone":
            return web.Response(status=404)
        return web.Response(body=b"<html>" if self.fault == "not_a_sound" else wav(0.1), content_type="audio/wav")
