"""InvokeAI's server: its queue, models, pictures and socket."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from aiohttp import web

from aldgate.testing.engines.pictures import png
from aldgate.testing.engines.server import FakeEngine

OVER = ("completed", "failed", "canceled")


class FakeInvoke(FakeEngine):
    """An InvokeAI.

    Attributes:
        items: Of its queue, by id.
    """

    faults = frozenset(
        {"out_of_memory", "fails", "canceled", "forgets", "wrong_id", "no_socket", "file_gone", "no_images", "goes_away"}
    )

    def __init__(self) -> None:
        super().__init__()
        self.models = [
            {"key": "k-flux", "hash": "blake3:1", "name": "FLUX schnell", "base": "flux", "type": "main"},
            {"key": "k-xl", "hash": "blake3:2", "name": "Juggernaut XL", "base": "sdxl", "type": "main", "size": 7},
            {"key": "k-1", "hash": "blake3:3", "name": "Dreamshaper 8", "base": "sd-1", "type": "main"},
        ]
        self.items: list[dict[str, Any]] = []
        self.uploads: list[bytes] = []
        self._sockets: list[web.WebSocketResponse] = []

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        queue = "/api/v1/queue/default"
        return [
            web.get("/api/v1/app/version", self._version),
            web.get("/api/v2/models/", self._models),
            web.post("/api/v2/models/empty_model_cache", self._empty),
            web.get(f"{queue}/status", self._status),
            web.get(f"{queue}/list_all", self._list),
            web.post(f"{queue}/enqueue_batch", self._enqueue),
            web.put(f"{queue}/cancel_by_batch_ids", self._cancel),
            web.post("/api/v1/images/upload", self._upload),
            web.get("/api/v1/images/i/{name}/full", self._image),
            web.get("/ws/socket.io/", self._socket),
        ]

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "6.14.2"})

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"models": self.models})

    async def _empty(self, _: web.Request) -> web.Response:
        self.unloads += 1
        return web.json_response(None)

    async def _status(self, _: web.Request) -> web.Response:
        pending = sum(1 for item in self.items if item["status"] not in OVER)
        return web.json_response({"queue": {"queue_id": "default", "pending": pending, "in_progress": 0}, "processor": {}})

    async def _list(self, request: web.Request) -> web.Response:
        wanted = request.query.get("destination")
        return web.json_response([item for item in self.items if wanted in (None, item["destination"])])

    async def _enqueue(self, request: web.Request) -> web.Response:
        batch = (await request.json())["batch"]
        if not isinstance(batch["graph"]["nodes"]["model"]["model"], dict):
            return web.json_response({"detail": [{"loc": ["graph"], "msg": "Input should be a valid dictionary"}]}, status=422)
        if self.fault == "wrong_id":
            batch["batch_id"] = "another"
        seeds = batch["data"][0][0]["items"]
        first = len(self.items) + 1
        described = {"batch_id": batch["batch_id"], "destination": batch["destination"], "queue_id": "default"}
        new: list[dict[str, Any]] = [
            {"item_id": first + number, "status": "pending", **described, "session": {}} for number in range(len(seeds))
        ]
        if self.fault != "forgets":
            self.items += new
            self._spawn(self._execute(new))
        reply = {"queue_id": "default", "enqueued": len(new), "requested": len(new), "batch": batch, "priority": 0}
        return web.json_response(reply | {"item_ids": [item["item_id"] for item in new]})

    async def _execute(self, items: list[dict[str, Any]]) -> None:
        for number, item in enumerate(items):
            item["status"] = "in_progress"
            await self._send("invocation_progress", item, message="Denoising", percentage=0.5, image=_preview())
            if self.fault == "goes_away":
                self._spawn(self.refuse())
            if number == 0:
                self.loads += 1
                await self._work()
            self._end(item)
            await self._send("queue_item_status_changed", item, status=item["status"])

    def _end(self, item: dict[str, Any]) -> None:
        if item["status"] == "canceled":
            return
        failures = {"out_of_memory": ("OutOfMemoryError", "CUDA out of memory."), "fails": ("ValueError", "Unknown scheduler")}
        if self.fault == "canceled":
            item["status"] = "canceled"
        elif self.fault in failures:
            kind, said = failures[self.fault]
            item |= {"status": "failed", "error_type": kind, "error_message": said}
        else:
            name = f"{item['item_id']}.png"
            results = {
                "p-1": {"type": "image_output", "image": {"image_name": name}, "width": 16, "height": 8},
                "p-2": {"type": "noise"},
            }
            session = {"results": {} if self.fault == "no_images" else results, "source_prepared_mapping": {"output": ["p-1"]}}
            item |= {"status": "completed", "session": session}

    async def _cancel(self, request: web.Request) -> web.Response:
        ids = (await request.json())["batch_ids"]
        for item in self.items:
            if item["batch_id"] in ids and item["status"] not in OVER:
                item["status"] = "canceled"
                self.stopped.append(item["batch_id"])
        self.release()
        return web.json_response({"canceled": len(self.stopped)})

    async def _upload(self, request: web.Request) -> web.Response:
        given = (await request.post())["file"]
        if isinstance(given, web.FileField):
            self.uploads.append(given.file.read())
        return web.json_response({"image_name": f"upload-{len(self.uploads)}.png"}, status=201)

    async def _image(self, _: web.Request) -> web.Response:
        if self.fault == "file_gone":
            return web.Response(status=404)
        return web.Response(body=png(words="invokeai_metadata"), content_type="image/png")

    async def _send(self, kind: str, item: dict[str, Any], **facts: Any) -> None:
        event = [kind, {"queue_id": "default", "item_id": item["item_id"], "batch_id": item["batch_id"], **facts}]
        for socket in self._sockets:
            if not socket.closed:
                await socket.send_str("42" + msgspec.json.encode(event).decode())

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.fault == "no_socket":
            return web.Response(status=404)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}')
        async for message in socket:
            if message.data == "40":
                await socket.send_str('40{"sid":"y"}')
            elif "subscribe_queue" in str(message.data):
                self._sockets.append(socket)
                await socket.send_str("2")
        return socket


def _preview() -> dict[str, Any]:
    return {"dataURL": "data:image/png;base64," + base64.b64encode(png(4, 4)).decode(), "width": 4, "height": 4}
