"""A server of OpenAI's images API, as the many that imitate it."""

from __future__ import annotations

import base64
from typing import Any

from aiohttp import web

from aldgate.testing.engines.pictures import png
from aldgate.testing.engines.server import FakeEngine


class FakeOpenAIImages(FakeEngine):
    """An imitator.

    Attributes:
        gives: `b64_json`, `data`, `url`, `path` (a URL without a host) or `localhost` (a URL of its own, as it sees itself).
    """

    faults = frozenset({"moderated", "elsewhere", "no_images", "not_base64", "neither", "out_of_memory", "not_a_picture"})

    def __init__(self) -> None:
        super().__init__()
        self.gives = "b64_json"

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        return [
            web.get("/v1/models", self._models),
            web.post("/v1/images/generations", self._generate),
            web.post("/v1/images/edits", self._edit),
            web.post("/v1/images/variations", self._edit),
            web.get("/files/{name}", self._file),
        ]

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "flux-schnell", "object": "model"}]})

    async def _generate(self, request: web.Request) -> web.Response:
        body = await request.json()
        if str(body.get("model", "")).startswith("gpt-image") and "response_format" in body:
            said = {
                "message": "Unknown parameter: 'response_format'.",
                "type": "invalid_request_error",
                "param": "response_format",
            }
            return web.json_response({"error": said | {"code": "unknown_parameter"}}, status=400)
        return await self._made(int(body.get("n", 1)))

    async def _edit(self, request: web.Request) -> web.Response:
        return await self._made(int(str((await request.post())["n"])))

    async def _made(self, count: int) -> web.Response:
        if self.fault == "moderated":
            said = {
                "message": "Rejected by the safety system.",
                "type": "image_generation_user_error",
                "code": "moderation_blocked",
            }
            return web.json_response({"error": said}, status=400)
        await self._work()
        self.loads += 1
        if self.fault == "out_of_memory":
            return web.json_response({"error": {"message": "CUDA out of memory. Tried to allocate 2 GiB"}}, status=500)
        return web.json_response(
            {"data": [] if self.fault == "no_images" else [self._picture(number) for number in range(count)]}
        )

    def _picture(self, number: int) -> dict[str, Any]:
        text = base64.b64encode(b"hello" if self.fault == "not_a_picture" else png(words="words", shade=number)).decode()
        port = self.url.rpartition(":")[2]
        faulty = {"elsewhere": {"url": "http://169.254.169.254/latest"}, "not_base64": {"b64_json": "%%%"}, "neither": {}}
        good = {
            "b64_json": {"b64_json": text, "revised_prompt": "a red fox"},
            "data": {"url": f"data:image/png;base64,{text}"},
            "url": {"url": f"{self.url}/files/{number}.png?x=1"},
            "path": {"url": f"/files/{number}.png"},
            "localhost": {"url": f"http://localhost:{port}/files/{number}.png"},
        }
        return faulty[self.fault] if self.fault in faulty else good[self.gives]

    async def _file(self, _: web.Request) -> web.Response:
        return web.Response(body=png(), content_type="image/png")
