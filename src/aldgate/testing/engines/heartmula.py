"""A server around HeartMuLa's library: it answers when the song is made."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from aldgate.testing.engines.server import FakeEngine
from aldgate.testing.engines.sounds import wav


class FakeHeartMula(FakeEngine):
    """A HeartMuLa server.

    Attributes:
        given: What was asked for, in order.
    """

    faults = frozenset({"file_gone", "elsewhere"})

    def __init__(self) -> None:
        super().__init__()
        self.given: list[dict[str, Any]] = []

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        return [
            web.get("/health", self._health),
            web.post("/v1/music/generations", self._generate),
            web.get("/audio/{name}", self._audio),
        ]

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _generate(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.given.append(asked)
        await self._work()
        url = "//elsewhere.example/audio/1.wav" if self.fault == "elsewhere" else "/audio/1.wav"
        told = {"id": "1", "status": "completed", "audio_url": url, "duration": asked["duration"], "prompt": asked["prompt"]}
        return web.json_response(told)

    async def _audio(self, _: web.Request) -> web.Response:
        return web.Response(status=404) if self.fault == "file_gone" else web.Response(body=wav(0.1), content_type="audio/wav")
