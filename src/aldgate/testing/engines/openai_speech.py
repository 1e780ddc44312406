"""A Kokoro-FastAPI: OpenAI's speech, its list of voices, its errors under `detail`."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from aldgate.testing.engines.direct import DirectFake
from aldgate.testing.engines.noises import sound


class FakeSpeech(DirectFake):
    """A speech server.

    Attributes:
        voices: As it lists them: names, or objects with `id` and `name`; None: it has no list.
        ignores_format: It answers in this format, whatever was asked.
    """

    work_paths = frozenset({"/v1/audio/speech"})
    faults = DirectFake.faults | {"empty", "truncated", "apologises"}

    def __init__(self) -> None:
        super().__init__()
        self.voices: list[Any] | None = [{"id": "af_heart", "name": "Heart"}, {"id": "bm_lewis", "name": "Lewis"}]
        self.ignores_format = ""

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        return [
            web.get("/v1/models", self._models),
            web.get("/v1/audio/voices", self._voices),
            web.post("/v1/audio/speech", self._speech),
            web.post("/dev/unload", self._unload),
        ]

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "kokoro", "object": "model"}]})

    async def _voices(self, _: web.Request) -> web.Response:
        return web.json_response({"voices": self.voices}) if self.voices is not None else web.Response(status=404)

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if asked.get("model") not in ("kokoro", "tts-1"):
            detail = {"error": "invalid_model", "message": "Unsupported model", "type": "invalid_request_error"}
            return web.json_response({"detail": detail}, status=400)
        async with self._at_work(request.path):
            return await self._said(request, self.ignores_format or asked.get("response_format", "mp3"))

    async def _said(self, request: web.Request, kind: str) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": f"audio/{kind}"})
        await reply.prepare(request)
        data = sound(kind)
        if self.fault == "apologises":
            data = b"I am so sorry, but this did not work."
        if self.fault == "truncated":
            data = data[: len(data) // 2]
            await reply.write(data)
            assert request.transport is not None
            request.transport.close()
            return reply
        for at in range(0, len(data) if self.fault != "empty" else 0, 1_000):
            await reply.write(data[at : at + 1_000])
        await reply.write_eof()
        return reply

    async def _unload(self, _: web.Request) -> web.Response:
        self.unloads += 1
        return web.json_response({"status": "unloaded"})
