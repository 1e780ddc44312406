"""An Ollama: what is installed and loaded, generation and pulls in lines, errors in lines, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from aldgate.testing.engines.direct import DirectFake

GIB = 1024**3
LAYERS = (("sha256:aaaa", 400), ("sha256:bbbb", 600))
PREFIX = "Echo: "


class FakeOllama(DirectFake):
    """An Ollama.

    Attributes:
        installed: Sizes of files, by name.
        loaded: Names.
        library: What can be pulled.
    """

    work_paths = frozenset({"/api/generate"})
    faults = DirectFake.faults | {"error_line", "stops_half_way", "garbage_half_way", "pull_fails", "pull_stops"}

    def __init__(self) -> None:
        super().__init__()
        self.installed = {"qwen3:8b": 5 * GIB, "nomic-embed-text:latest": GIB // 4}
        self.loaded: list[str] = []
        self.library = {"phi4:latest"}

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        return [
            web.get("/api/version", self._version),
            web.get("/api/tags", self._tags),
            web.get("/api/ps", self._ps),
            web.post("/api/generate", self._generate),
            web.post("/api/pull", self._pull),
            web.delete("/api/delete", self._delete),
        ]

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.33.0"})

    async def _tags(self, _: web.Request) -> web.Response:
        models: list[dict[str, Any]] = [{"name": name, "model": name, "size": size} for name, size in self.installed.items()]
        for model in models:
            model["capabilities"] = ["embedding"] if "embed" in str(model["name"]) else ["completion", "tools"]
        return web.json_response({"models": models})

    async def _ps(self, _: web.Request) -> web.Response:
        models = [{"name": name, "model": name, "size": 7 * GIB, "size_vram": 6 * GIB} for name in self.loaded]
        return web.json_response({"models": models})

    def _known(self, model: str) -> str | None:
        return next((name for name in self.installed if name in (model, f"{model}:latest")), None)

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        name = self._known(asked["model"])
        if name is None:
            return web.json_response({"error": f"model '{asked['model']}' not found"}, status=404)
        if not asked.get("prompt") and asked.get("keep_alive") == 0:
            self.unloads += name in self.loaded
            self.loaded = [each for each in self.loaded if each != name]
            return web.json_response({"model": name, "response": "", "done": True, "done_reason": "unload"})
        if name not in self.loaded:
            self.loaded.append(name)
        async with self._at_work(request.path):
            return await _lines(request, self._words(asked))

    async def _words(self, asked: dict[str, Any]) -> AsyncIterator[bytes]:
        most = asked["options"].get("num_predict")
        words = [*(PREFIX + asked["prompt"]).replace(" ", " \0").split("\0")][:most]
        if asked.get("think") is not None:
            yield _line(thinking="Well, ", response="")
        for number, word in enumerate(words):
            yield _line(response=word)
            if number == 0 and self.fault == "error_line":
                yield _line(error="llama runner process has terminated: CUDA error: out of memory")
                return
            if number == 0 and self.fault == "stops_half_way":
                return
            if number == 0 and self.fault == "garbage_half_way":
                yield b"<html>\n"
        reason = "length" if most is not None and most <= len(words) else "stop"
        yield _line(response="", done=True, done_reason=reason, prompt_eval_count=3, eval_count=len(words), load_duration=9)

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        return await _lines(request, self._pulled((await request.json())["model"]))

    async def _pulled(self, model: str) -> AsyncIterator[bytes]:
        yield _line(status="pulling manifest")
        if model not in self.library or self.fault == "pull_fails":
            yield _line(error="pull model manifest: file does not exist")
            return
        for digest, size in LAYERS:
            for completed in (0, size // 2, size):
                yield _line(status=f"pulling {digest[7:]}", digest=digest, total=size, completed=completed)
        if self.fault == "pull_stops":
            return
        for status in ("verifying sha256 digest", "writing manifest", "success"):
            yield _line(status=status)
        self.installed[model] = GIB

    async def _delete(self, request: web.Request) -> web.Response:
        model = (await request.json())["model"]
        if self._known(model) is None:
            return web.json_response({"error": f"model '{model}' not found"}, status=404)
        del self.installed[model]
        return web.Response()


def _line(**fields: Any) -> bytes:
    return msgspec.json.encode(fields) + b"\n"


async def _lines(request: web.Request, lines: AsyncIterator[bytes]) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await reply.prepare(request)
    async for line in lines:
        await reply.write(line[:7])  # a line may come in two pieces
        await reply.write(line[7:])
    return reply
