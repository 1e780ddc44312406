"""AUTOMATIC1111's API, or Forge's: one request at a time, each answered when its pictures are made."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec
from aiohttp import web

from aldgate.testing.engines.pictures import png
from aldgate.testing.engines.server import FakeEngine


class FakeA1111(FakeEngine):
    """A web UI with `--api`.

    Attributes:
        has_pages: Without them (`--nowebui`) it does not tell of single tasks.
        needs_reload: As A1111: what was unloaded has to be reloaded before it works again.
    """

    faults = frozenset(
        {
            "api_disabled",
            "out_of_memory",
            "fails",
            "interrupted",
            "other_model",
            "no_images",
            "not_base64",
            "bad_info",
            "never_stops",
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self.checkpoints = ["sdxl_base.safetensors", "dreamshaper.safetensors"]
        self.has_pages = True
        self.needs_reload = True
        self.is_loaded = True
        self._task = ""
        self._waiting: list[str] = []
        self._was_interrupted = False
        self._lock = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        return [
            web.get("/", self._page),
            web.get("/sdapi/v1/sd-models", self._models),
            web.get("/sdapi/v1/options", self._options),
            web.get("/sdapi/v1/memory", self._memory),
            web.get("/sdapi/v1/progress", self._progress),
            web.post("/internal/progress", self._task_progress),
            web.post("/sdapi/v1/txt2img", self._make),
            web.post("/sdapi/v1/img2img", self._make),
            web.post("/sdapi/v1/interrupt", self._interrupt),
            web.post("/sdapi/v1/unload-checkpoint", self._unload),
            web.post("/sdapi/v1/reload-checkpoint", self._reload),
        ]

    async def _faulty(self, request: web.Request) -> web.StreamResponse | None:
        if self.fault == "api_disabled" and request.path.startswith("/sdapi/"):
            return web.json_response({"detail": "Not Found"}, status=404)
        return await super()._faulty(request)

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response([self._described(file) for file in self.checkpoints])

    def _described(self, file: str) -> dict[str, Any]:
        name = file.removesuffix(".safetensors")
        return {"title": f"{file} [31e35c80fc]", "model_name": name, "hash": "31e35c80fc", "filename": f"/models/{file}"}

    async def _options(self, _: web.Request) -> web.Response:
        return web.json_response({"sd_model_checkpoint": f"{self.checkpoints[0]} [31e35c80fc]", "samples_save": True})

    async def _memory(self, _: web.Request) -> web.Response:
        system = {"free": 8 * 1024**3, "used": 16 * 1024**3, "total": 24 * 1024**3}
        held = 4 * 1024**3 if self.is_loaded else 10 * 1024**2
        return web.json_response({"ram": {}, "cuda": {"system": system, "allocated": {"current": held, "peak": 5 * 1024**3}}})

    async def _progress(self, request: web.Request) -> web.Response:
        runs = bool(self._task)
        state = {"skipped": False, "interrupted": self._was_interrupted, "job": "txt2img" if runs else "", "job_count": int(runs)}
        state |= {"sampling_step": 5 if runs else 0, "sampling_steps": 20 if runs else 0}
        wants = runs and request.query["skip_current_image"] == "false"
        picture = base64.b64encode(png(4, 4)).decode() if wants else None
        return web.json_response({"progress": 0.25 if runs else 0.0, "state": state, "current_image": picture})

    async def _task_progress(self, request: web.Request) -> web.Response:
        if not self.has_pages:
            return web.json_response({"detail": "Not Found"}, status=404)
        task = (await request.json())["id_task"]
        active, queued = task == self._task, task in self._waiting
        return web.json_response({"active": active, "queued": queued, "completed": not active and not queued, "textinfo": "..."})

    async def _make(self, request: web.Request) -> web.Response:
        body = await request.json()
        reply: asyncio.Future[web.Response] = asyncio.get_running_loop().create_future()
        self._spawn(self._serve(body, reply))  # it goes on when whoever asked is gone, as there
        return await asyncio.shield(reply)

    async def _serve(self, body: dict[str, Any], reply: asyncio.Future[web.Response]) -> None:
        task = body.get("force_task_id", "")
        self._waiting.append(task)
        async with self._lock:
            self._waiting.remove(task)
            self._task, self._was_interrupted = task, self.fault == "interrupted"
            self.loads += 1
            await self._work()
            self._task = ""
        if not reply.done():
            reply.set_result(self._reply(body))

    def _reply(self, body: dict[str, Any]) -> web.Response:
        if self.fault == "out_of_memory":
            said = {"error": "OutOfMemoryError", "detail": "", "body": "", "errors": "CUDA out of memory."}
            return web.json_response(said, status=500)
        if self.fault == "fails" or (self.needs_reload and not self.is_loaded):
            said = {"error": "RuntimeError", "detail": "", "body": "", "errors": "Expected all tensors to be on the same device"}
            return web.json_response(said, status=500)
        if body.get("sampler_name") == "nonsense":
            return web.json_response({"detail": "Sampler not found"}, status=400)
        count, seed = body["n_iter"], body["seed"]
        images = [base64.b64encode(png(16, 8, words=body["prompt"], shade=number)).decode() for number in range(count)]
        has_grid = count > 1
        title = body["override_settings"].get("sd_model_checkpoint", self.checkpoints[0]).partition(" ")[0]
        info: dict[str, Any] = {"seed": seed, "all_seeds": [seed + number for number in range(count)]}
        info |= {"sd_model_name": title.removesuffix(".safetensors"), "index_of_first_image": int(has_grid)}
        if self.fault == "other_model":
            info["sd_model_name"] = "something-else"
        if has_grid:
            images.insert(0, base64.b64encode(png(32, 8)).decode())
        if self.fault == "not_base64":
            images = ["%%%"]
        text = "{" if self.fault == "bad_info" else msgspec.json.encode(info).decode()
        return web.json_response({"images": [] if self.fault == "no_images" else images, "parameters": body, "info": text})

    async def _interrupt(self, _: web.Request) -> web.Response:
        if self._task and self.fault != "never_stops":
            self._was_interrupted = True
            self.stopped.append(self._task)
            self.release()
        return web.json_response({})

    async def _unload(self, _: web.Request) -> web.Response:
        self.unloads += 1
        self.is_loaded = False
        return web.json_response({})

    async def _reload(self, _: web.Request) -> web.Response:
        self.is_loaded = True
        return web.json_response({})
