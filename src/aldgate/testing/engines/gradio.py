"""A Gradio app: its description, uploads, queue, events, files, login; as 3, 4, 5 or 6 says it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from aiohttp import web

from aldgate.testing.engines.server import FakeEngine
from aldgate.testing.engines.sounds import wav

Message = dict[str, Any]
_INPUTS: list[dict[str, Any]] = [
    {"type": "textbox", "props": {"label": "Prompt"}, "api_info": {"type": "string"}, "name": "text"},
    {"type": "slider", "props": {"label": "Duration", "value": 10, "minimum": 1, "maximum": 120}, "api_info": {"type": "number"}},
    {"type": "audio", "props": {"label": "Melody"}, "api_info": {"title": "FileData"}, "name": "melody"},
    {"type": "state", "props": {}, "skip_api": True},
    {"type": "textbox", "props": {"label": "Seed", "value": "-1"}, "api_info": {"type": "string"}, "name": "seed"},
    {"type": "radio", "props": {"label": "Model", "value": "small", "choices": [["small", "small"], ["large", "large"]]}},
]
_NAMES = ("text", "duration", "melody", "", "seed", "model")
TUNE = wav(0.1)


class FakeGradio(FakeEngine):
    """An app with one function, `/generate`.

    Args:
        version: What it is; the first digit counts.
        login: Name and password that it asks for.

    Attributes:
        calls: The data of every call, in order.
        uploads: By path.
    """

    faults = frozenset(
        {
            "queue_full",
            "fails",
            "out_of_memory",
            "interrupted",
            "dies",
            "forgets",
            "bad_event",
            "wrong_id",
            "no_files",
            "file_gone",
        }
        | {"elsewhere", "silent", "no_function", "never_stops", "endless_event"}
    )

    def __init__(self, version: str = "6.31.0", login: tuple[str, str] | None = None) -> None:
        super().__init__()
        self.version = version
        self.calls: list[list[Any]] = []
        self.uploads: dict[str, bytes] = {}
        self._login = login
        self._token = ""
        self._prefix = "/gradio_api" if version[0] in "56" else ""
        self._told: dict[str, asyncio.Queue[Message]] = {}
        self._running: dict[str, tuple[str, asyncio.Event]] = {}

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        at = self._prefix
        shared = [web.get("/config", self._config), web.get(f"{at}/info", self._info), web.post("/login", self._log_in)]
        shared.append(web.get(at + "/file={path:.*}", self._file))
        if self.version.startswith("3."):
            return [*shared, web.get("/queue/join", self._socket)]
        return [
            *shared,
            web.post(f"{at}/upload", self._upload),
            web.post(f"{at}/queue/join", self._join),
            web.get(f"{at}/queue/data", self._events),
            web.post(f"{at}/cancel", self._cancel),
        ]

    def _stranger(self, request: web.Request) -> bool:
        return self._login is not None and (not self._token or request.cookies.get("access-token-1") != self._token)

    async def _config(self, request: web.Request) -> web.Response:
        if self._stranger(request):
            return web.json_response({"detail": "Not authenticated", "auth_message": None}, status=401)
        components = [{**each, "id": at} for at, each in enumerate(_INPUTS)]
        components += [{"id": 6, "type": "textbox", "props": {}}, {"id": 7, "type": "audio", "props": {}}]
        function = {"id": 0, "api_name": "generate", "inputs": [0, 1, 2, 3, 4, 5], "outputs": [6, 7], "queue": True}
        if self.fault == "no_function":
            function["api_name"] = "other"
        config = {
            "version": self.version,
            "components": components,
            "dependencies": [function],
            "title": "Fake",
            "enable_queue": True,
        }
        if self._prefix:
            config["api_prefix"] = self._prefix
        return web.json_response({**config, "protocol": "ws" if self.version[0] == "3" else "sse_v3"})

    async def _info(self, request: web.Request) -> web.Response:
        shown = [(name, each) for name, each in zip(_NAMES, _INPUTS, strict=True) if each["type"] != "state"]
        third = self.version.startswith("3.")
        parameters = [
            {"label": each["props"]["label"], "type": each.get("api_info", {}), "component": each["type"].capitalize()}
            | ({} if third else {"parameter_name": name, "parameter_has_default": False, "parameter_default": None})
            for name, each in shown
        ]
        return web.json_response(
            {"named_endpoints": {"/generate": {"parameters": parameters, "returns": []}}, "unnamed_endpoints": {}}
        )

    async def _log_in(self, request: web.Request) -> web.Response:
        form = await request.post()
        if (form.get("username"), form.get("password")) != self._login:
            return web.json_response({"detail": "Incorrect credentials."}, status=400)
        self._token = uuid4().hex
        reply = web.json_response({"success": True})
        reply.set_cookie("access-token-1", self._token, httponly=True)
        return reply

    async def _upload(self, request: web.Request) -> web.Response:
        data = next(value for name, value in self.asked[-1].form if name == "files")
        path = f"/tmp/gradio/{len(self.uploads)}/audio.wav"
        self.uploads[path] = data if isinstance(data, bytes) else data.encode()
        return web.json_response([path])

    async def _join(self, request: web.Request) -> web.Response:
        if self.fault == "queue_full":
            return web.json_response({"detail": "Queue is full. Max size is 10 and current size is 10."}, status=503)
        asked = await request.json()
        event_id = uuid4().hex
        self._begin(asked["session_hash"], event_id, asked["data"])
        return web.json_response({"event_id": event_id})

    def _begin(self, session: str, event_id: str, data: list[Any]) -> None:
        self.calls.append(data)
        self._told[session] = asyncio.Queue()
        self._running[session] = (event_id, asyncio.Event())
        self._spawn(self._call(session))

    async def _call(self, session: str) -> None:
        """What the function does and tells, until it has ended or is cancelled."""
        (event_id, is_over), told = self._running[session], self._told[session]
        async for message in self._play():
            told.put_nowait({"event_id": "another" if self.fault == "wrong_id" else event_id, **message})
            if is_over.is_set():
                return
        self._running.pop(session, None)
        told.put_nowait({"msg": "close_stream", "event_id": None})

    async def _play(self) -> AsyncIterator[Message]:
        yield {"msg": "estimation", "rank": 0, "queue_size": 1, "rank_eta": None}
        yield {"msg": "process_starts", "eta": None}
        yield _bar(1)
        await self._work()
        yield _bar(2)
        yield {"msg": "process_generating", "output": {"data": ["so", None]}, "success": True}
        yield {"msg": "process_generating", "output": {"data": [[["append", [], " far"]], []]}, "success": True}
        yield _bar(1)
        yield self._end()

    def _end(self) -> Message:
        match self.fault:
            case "fails":
                return {"msg": "process_completed", "output": {"error": None}, "success": False}
            case "out_of_memory":
                error = {
                    "error": "CUDA out of memory. Tried to allocate 2.00 GiB",
                    "visible": True,
                    "duration": 10,
                    "title": "Error",
                }
                return {"msg": "process_completed", "output": error, "success": False}
            case "interrupted":
                return {"msg": "process_completed", "output": {}, "success": True}
            case "forgets":
                return {"msg": "unexpected_error", "message": "Session not found.", "session_not_found": True, "success": False}
            case "no_files":
                return {"msg": "process_completed", "output": {"data": ["done", None]}, "success": True}
            case _:
                return {"msg": "process_completed", "output": {"data": [{"__type__": "update"}, self._sound()]}, "success": True}

    def _sound(self) -> dict[str, Any]:
        path = "https://elsewhere.example/a.wav" if self.fault == "elsewhere" else "/tmp/gradio/a b#1/tune.wav"
        if self.version.startswith("3."):
            return {"name": path, "data": None, "is_file": True}
        url = f"http://unreachable.example{self._prefix}/file={path}"
        return {"path": path, "url": url, "orig_name": "tune.wav", "mime_type": None, "meta": {"_type": "gradio.FileData"}}

    async def _events(self, request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await reply.prepare(request)
        told = self._told.get(request.query["session_hash"])
        if told is None:
            await _send(reply, {"msg": "unexpected_error", "message": "Session not found.", "session_not_found": True})
            return reply
        while True:
            message = await told.get()
            if message["msg"] == "process_generating" and self.fault in ("dies", "silent", "bad_event", "endless_event"):
                return await self._astray(request, reply)
            await _send(reply, message)
            if message["msg"] == "close_stream":
                return reply

    async def _astray(self, request: web.Request, reply: web.StreamResponse) -> web.StreamResponse:
        if self.fault == "silent":
            await self._over.wait()
        elif self.fault == "bad_event":
            await reply.write(b"data: {not json\n\n")
        elif self.fault == "endless_event":
            for _ in range(40):
                await reply.write(b"data: " + b"x" * 1024 * 1024)
        elif request.transport is not None:
            request.transport.close()
        return reply

    async def _cancel(self, request: web.Request) -> web.Response:
        session = (await request.json())["session_hash"]
        if self.fault == "never_stops":
            return web.json_response({"detail": "no"}, status=500)
        self._stop(session)
        return web.json_response({"success": True})

    def _stop(self, session: str) -> None:
        if session in self._running:
            event_id, is_over = self._running.pop(session)
            is_over.set()
            self._told[session].put_nowait({"msg": "process_completed", "output": {}, "success": True, "event_id": event_id})
            self.stopped.append(session)

    async def _file(self, request: web.Request) -> web.Response:
        if self.fault == "file_gone":
            return web.json_response({"detail": "File not found"}, status=404)
        path = request.match_info["path"]
        if path != "/tmp/gradio/a b#1/tune.wav":
            return web.json_response({"detail": f"File not allowed: {path}."}, status=403)
        return web.Response(body=TUNE, content_type="audio/wav")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        """A call as Gradio 3 does it; whoever closes the socket cancels it."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.fault == "queue_full":
            await socket.send_json({"msg": "queue_full"})
            return socket
        await socket.send_json({"msg": "send_hash"})
        session = (await socket.receive_json())["session_hash"]
        await socket.send_json({"msg": "send_data"})
        self._begin(session, "", (await socket.receive_json())["data"])
        self._spawn(self._tell(socket, self._told[session]))
        await socket.receive()
        self._stop(session)
        return socket

    async def _tell(self, socket: web.WebSocketResponse, told: asyncio.Queue[Message]) -> None:
        while (message := await told.get())["msg"] != "close_stream":
            if self.fault == "dies":
                break
            if socket.closed:
                return
            await socket.send_str("{not json" if self.fault == "bad_event" else json.dumps(message))
        await socket.close()


def _bar(index: int) -> Message:
    return {
        "msg": "progress",
        "progress_data": [{"index": index, "length": 4, "unit": "steps", "progress": None, "desc": "making"}],
    }


async def _send(reply: web.StreamResponse, message: Message) -> None:
    await reply.write(b"data: " + json.dumps(message).encode() + b"\n\n")
