"""ComfyUI's server: prompts, queue, history, files, socket. One prompt at a time, as there."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web

from aldgate.testing.engines.pictures import png
from aldgate.testing.engines.server import FakeEngine

CLASSES = {
    "KSampler",
    "CheckpointLoaderSimple",
    "EmptyLatentImage",
    "CLIPTextEncode",
    "VAEDecode",
    "VAEEncode",
    "SaveImage",
    "LoadImage",
    "ImageScale",
    "RepeatLatentBatch",
    "PreviewImage",
    "EmptyImage",
    "VHS_VideoCombine",
}
SAVES = {"SaveImage": "images", "PreviewImage": "images", "VHS_VideoCombine": "gifs"}
GIB = 1024**3


class FakeComfy(FakeEngine):
    """A ComfyUI.

    Attributes:
        checkpoints: What is installed.
        sockets: By client id.
        ignores_interrupted_id: As versions before 0.3.57: an interrupt stops whatever runs.
        drops_branches: It takes prompts that are wrong in part, and leaves that part out.
    """

    faults = frozenset(
        {"out_of_memory", "fails", "forgets", "wrong_id", "interrupted", "drops_socket", "no_socket", "silent_socket"}
        | {"file_gone", "no_files", "not_a_picture", "never_stops", "never_unloads", "goes_away"}
    )

    def __init__(self) -> None:
        super().__init__()
        self.checkpoints = ["dreamshaper_8.safetensors", "sd_xl_base_1.0.safetensors"]
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.ignores_interrupted_id = False
        self.drops_branches = False
        self.device = "cuda"
        self.uploads: dict[str, bytes] = {}
        self.history: dict[str, dict[str, Any]] = {}
        self.pending: list[list[Any]] = []
        self.running: list[list[Any]] = []
        self._number = 0
        self._turn = asyncio.Lock()
        self._is_loaded = True
        self._flags: dict[str, bool] = {}
        self._interrupt = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        return [
            web.get("/system_stats", self._stats),
            web.get("/prompt", self._exec_info),
            web.post("/prompt", self._submit),
            web.get("/queue", self._queue),
            web.post("/queue", self._delete),
            web.post("/interrupt", self._interrupted),
            web.get("/history/{id}", self._history),
            web.get("/models/checkpoints", self._models),
            web.post("/upload/image", self._upload),
            web.get("/view", self._view),
            web.post("/free", self._free),
            web.get("/ws", self._socket),
        ]

    async def _stats(self, _: web.Request) -> web.Response:
        free, torch = (20 * GIB, 0) if not self._is_loaded else (8 * GIB, 12 * GIB)
        device = {"name": "cuda:0", "type": self.device, "index": 0, "vram_total": 24 * GIB, "vram_free": free}
        device |= {"torch_vram_total": torch, "torch_vram_free": 0}
        return web.json_response({"system": {"os": "posix", "comfyui_version": "0.3.64"}, "devices": [device]})

    async def _exec_info(self, _: web.Request) -> web.Response:
        return web.json_response({"exec_info": {"queue_remaining": len(self.running) + len(self.pending)}})

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response(self.checkpoints)

    async def _submit(self, request: web.Request) -> web.Response:
        if request.headers.get("Origin"):
            return web.Response(status=403)
        body = await request.json()
        graph: dict[str, Any] = body["prompt"]
        prompt_id = "somebody-elses" if self.fault == "wrong_id" else body["prompt_id"]
        error, node_errors = self._checked(graph)
        if error is not None and not (self.drops_branches and node_errors):
            return web.json_response({"error": error, "node_errors": node_errors}, status=400)
        self._number += 1
        self.pending.append([self._number, prompt_id, graph, {"client_id": body.get("client_id")}, []])
        if self.fault != "forgets":
            self._spawn(self._execute())
        else:
            self.pending.clear()
        return web.json_response({"prompt_id": prompt_id, "number": self._number, "node_errors": node_errors})

    def _checked(self, graph: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        for node, content in graph.items():
            if content["class_type"] not in CLASSES:
                said = f"Cannot execute because node {content['class_type']} does not exist."
                return _error("invalid_prompt", said, f"Node ID '#{node}'"), {}
        if not any(content["class_type"] in SAVES for content in graph.values()):
            return _error("prompt_no_outputs", "Prompt has no outputs", ""), {}
        node_errors: dict[str, Any] = {}
        for node, content in graph.items():
            errors = self._node_errors(content["class_type"], content["inputs"])
            if errors:
                node_errors[node] = {"errors": errors, "dependent_outputs": ["9"], "class_type": content["class_type"]}
        return (
            _error("prompt_outputs_failed_validation", "Prompt outputs failed validation", "") if node_errors else None
        ), node_errors

    def _node_errors(self, kind: str, inputs: dict[str, Any]) -> list[dict[str, Any]]:
        if kind == "CheckpointLoaderSimple" and inputs["ckpt_name"] not in self.checkpoints:
            info = {"input_name": "ckpt_name", "input_config": None, "received_value": inputs["ckpt_name"]}
            details = f"ckpt_name: '{inputs['ckpt_name']}' not in {self.checkpoints}"
            return [_error("value_not_in_list", "Value not in list", details) | {"extra_info": info}]
        if kind == "KSampler" and inputs["steps"] < 1:
            info = {"input_name": "steps", "received_value": inputs["steps"]}
            return [_error("value_smaller_than_min", "Value 0 smaller than min of 1", "steps") | {"extra_info": info}]
        if kind == "LoadImage" and inputs["image"] not in self.uploads:
            return [_error("custom_validation_failed", "Custom validation failed for node", "image") | {"extra_info": {}}]
        return []

    async def _execute(self) -> None:
        async with self._turn:
            if not self.pending:
                return
            item = self.pending.pop(0)
            self.running.append(item)
            self._interrupt.clear()
            await self._run(item[1], item[2], item[3].get("client_id") or "")
            self.running.remove(item)
        await self._send(item[3].get("client_id") or "", "executing", {"node": None, "prompt_id": item[1]})

    async def _run(self, prompt_id: str, graph: dict[str, Any], client: str) -> None:
        self._is_loaded = True
        self.loads += 1
        await self._send(client, "execution_start", {"prompt_id": prompt_id, "timestamp": 1})
        await self._send(client, "execution_cached", {"nodes": [], "prompt_id": prompt_id, "timestamp": 1})
        self._record(prompt_id, graph, *await self._outcome(prompt_id, graph, client))

    async def _outcome(self, prompt_id: str, graph: dict[str, Any], client: str) -> tuple[dict[str, Any], list[Any]]:
        outputs: dict[str, Any] = {}
        for node, content in graph.items():
            await self._send(client, "executing", {"node": node, "display_node": node, "prompt_id": prompt_id})
            if content["class_type"] == "KSampler":
                await self._sample(prompt_id, node, content["inputs"]["steps"], client)
            if self._interrupt.is_set() or self.fault == "interrupted":
                facts: dict[str, Any] = {
                    "prompt_id": prompt_id,
                    "node_id": node,
                    "node_type": content["class_type"],
                    "executed": [],
                }
                return {}, [["execution_interrupted", facts]]
            if content["class_type"] == "KSampler" and self.fault in ("out_of_memory", "fails"):
                return {}, [["execution_error", self._failure(prompt_id, node)]]
            if content["class_type"] in SAVES:
                outputs[node] = _saved(graph, content)
        await self._send(client, "execution_success", {"prompt_id": prompt_id, "timestamp": 2})
        return ({} if self.fault == "no_files" else outputs), [["execution_success", {"prompt_id": prompt_id}]]

    async def _sample(self, prompt_id: str, node: str, steps: int, client: str) -> None:
        for step in range(1, min(steps, 4) + 1):
            await self._send(client, "progress", {"value": step, "max": min(steps, 4), "prompt_id": prompt_id, "node": node})
            await self._preview(client, prompt_id, node)
            if step == 2:
                await self._half_way(client)

    async def _half_way(self, client: str) -> None:
        socket = self.sockets.get(client)
        if self.fault == "drops_socket" and socket is not None:
            self.fault = ""
            await socket.close()
        if self.fault == "goes_away":
            self._spawn(self.refuse())
        await self._work()

    def _failure(self, prompt_id: str, node: str) -> dict[str, Any]:
        kind, said = ("RuntimeError", "mat1 and mat2 shapes cannot be multiplied (77x2048 and 768x320)")
        if self.fault == "out_of_memory":
            kind, said = "torch.OutOfMemoryError", "Allocation on device 0 would exceed allowed memory."
        facts: dict[str, Any] = {"prompt_id": prompt_id, "node_id": node, "node_type": "KSampler", "executed": []}
        return facts | {"exception_message": said, "exception_type": kind, "traceback": []}

    def _record(self, prompt_id: str, graph: dict[str, Any], outputs: dict[str, Any], messages: list[Any]) -> None:
        has_worked = messages[-1][0] == "execution_success"
        status = {"status_str": "success" if has_worked else "error", "completed": has_worked, "messages": messages}
        self.history[prompt_id] = {"prompt": [1, prompt_id, graph, {}, []], "outputs": outputs, "status": status, "meta": {}}

    async def _send(self, client: str, kind: str, data: dict[str, Any]) -> None:
        socket = self.sockets.get(client)
        if socket is not None and not socket.closed and self.fault != "silent_socket":
            with suppress(ConnectionError):  # whoever listened may have been killed; the work goes on
                await socket.send_str(msgspec.json.encode({"type": kind, "data": data}).decode())

    async def _preview(self, client: str, prompt_id: str, node: str) -> None:
        socket = self.sockets.get(client)
        if socket is None or socket.closed or self.fault == "silent_socket":
            return
        picture = png(4, 4)
        facts = msgspec.json.encode({"node_id": node, "prompt_id": prompt_id, "image_type": "image/png"})
        head = struct.pack(">II", 4, len(facts)) + facts if self._flags.get(client) else struct.pack(">II", 1, 2)
        with suppress(ConnectionError):
            await socket.send_bytes(head + picture)

    async def _queue(self, _: web.Request) -> web.Response:
        return web.json_response({"queue_running": self.running, "queue_pending": self.pending})

    async def _delete(self, request: web.Request) -> web.Response:
        ids = (await request.json()).get("delete", [])
        self.stopped += [item[1] for item in self.pending if item[1] in ids]
        self.pending = [item for item in self.pending if item[1] not in ids]
        return web.Response()

    async def _interrupted(self, request: web.Request) -> web.Response:
        wanted = (await request.json()).get("prompt_id")
        runs = [item[1] for item in self.running]
        if self.fault != "never_stops" and runs and (self.ignores_interrupted_id or wanted in (None, *runs)):
            self.stopped += runs
            self._interrupt.set()
            self.release()
        return web.Response()

    async def _history(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["id"]
        return web.json_response({prompt_id: self.history[prompt_id]} if prompt_id in self.history else {})

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        given = form["image"]
        if not isinstance(given, web.FileField):
            return web.Response(status=400)
        name = given.filename.replace(".", " (1).") if given.filename in self.uploads else given.filename
        self.uploads[name] = given.file.read()
        return web.json_response({"name": name, "subfolder": "", "type": "input"})

    async def _view(self, request: web.Request) -> web.Response:
        name = request.query["filename"]
        if self.fault == "file_gone":
            return web.Response(status=404)
        if self.fault == "not_a_picture":
            return web.Response(body=b"nothing like it")
        if name.endswith(".mp4"):
            return web.Response(body=b"\x00\x00\x00\x18ftypmp42" + bytes(100), content_type="video/mp4")
        return web.Response(body=png(16, 8, words="what was asked for"), content_type="image/png")

    async def _free(self, _: web.Request) -> web.Response:
        self.unloads += 1
        if self.fault != "never_unloads":
            self._is_loaded = False
        return web.Response()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.fault == "no_socket":
            return web.Response(status=404)
        client = request.query["clientId"]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets[client] = socket
        await self._send(client, "status", {"status": {"exec_info": {"queue_remaining": 0}}, "sid": client})
        async for message in socket:
            if "feature_flags" in str(message.data):
                self._flags[client] = True
        self.sockets.pop(client, None)
        return socket


def _error(kind: str, message: str, details: str) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": {}}


def _saved(graph: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    prefix = content["inputs"].get("filename_prefix", "ComfyUI_temp")
    kind = "temp" if content["class_type"] == "PreviewImage" else "output"
    if content["class_type"] == "VHS_VideoCombine":
        return {"gifs": [{"filename": f"{prefix}_00001.mp4", "subfolder": "", "type": kind, "format": "video/h264-mp4"}]}
    batches = [node["inputs"].get("batch_size") or node["inputs"].get("amount") or 0 for node in graph.values()]
    count = max([1, *(size for size in batches if isinstance(size, int))])
    return {
        "images": [{"filename": f"{prefix}_{number:05}_.png", "subfolder": "", "type": kind} for number in range(1, count + 1)]
    }
