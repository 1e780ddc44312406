"""An AllTalk TTS of version 2: forms, one text at a time, files that are fetched."""

from __future__ import annotations

import asyncio

from aiohttp import web

from aldgate.testing.engines.direct import DirectFake
from aldgate.testing.engines.noises import sound, wav

FAILURES = {"out_of_memory": (500, "CUDA out of memory. Tried to allocate 20.00 MiB"), "no_room": (507, "Insufficient storage")}


class FakeAllTalk(DirectFake):
    """An AllTalk.

    Attributes:
        models: What is installed.
        model: What is loaded.
        is_pitch_capable: Whether the loaded model takes a pitch.
        forms: What was asked to be spoken, in order.
        kind: Format of its files.
    """

    work_paths = frozenset({"/api/tts-generate"})
    faults = DirectFake.faults | {"no_room", "fails", "elsewhere", "file_gone", "no_sound", "load_fails", "changing", "no_voices"}

    def __init__(self) -> None:
        super().__init__()
        self.models = ["xtts - xttsv2_2.0.3", "piper - en_US"]
        self.model = self.models[0]
        self.is_pitch_capable = True
        self.forms: list[dict[str, str]] = []
        self.kind = "wav"
        self._stop = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        return [
            web.get("/api/ready", self._ready),
            web.get("/api/voices", self._voices),
            web.get("/api/currentsettings", self._settings),
            web.post("/api/reload", self._reload),
            web.put("/api/stop-generation", self._stopped),
            web.post("/api/tts-generate", self._generate),
            web.get("/audio/{name}", self._audio),
        ]

    async def _ready(self, _: web.Request) -> web.Response:
        return web.Response(text="Ready" if self.model else "Unloaded")

    async def _voices(self, _: web.Request) -> web.Response:
        if self.fault == "no_voices":
            return web.json_response({"status": "error", "message": "The current TTS engine does not support voices."})
        return web.json_response({"status": "success", "voices": ["female_01.wav", "male_01.wav"]})

    async def _settings(self, _: web.Request) -> web.Response:
        models = [{"name": name} for name in self.models]
        able = {"pitch_capable": self.is_pitch_capable, "generationspeed_capable": True, "languages_capable": True}
        loaded = {"current_engine_loaded": "xtts", "current_model_loaded": self.model}
        return web.json_response({"engines_available": ["xtts", "piper"], "models_available": models, **loaded, **able})

    async def _reload(self, request: web.Request) -> web.Response:
        wanted = request.query["tts_method"]
        if wanted not in self.models:
            return web.Response(status=500, text="Internal Server Error")
        if self.fault in ("load_fails", "changing"):
            return web.json_response({"status": "model-failure" if self.fault == "load_fails" else "currently changing"})
        self.unloads += wanted.startswith("piper")
        self.loads += 1
        self.model = wanted
        return web.json_response({"status": "model-success"})

    async def _stopped(self, _: web.Request) -> web.Response:
        self._stop.set()
        return web.json_response({"message": "Cancelled current TTS generation"})

    async def _generate(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        if "pitch" in form and not self.is_pitch_capable:
            return web.json_response({"error": "pitch is not supported"}, status=400)
        async with self._at_work(request.path):
            if self.fault in FAILURES:
                status, said = FAILURES[self.fault]
                return web.json_response({"status": "generate-failure", "error": said}, status=status)
            if self.fault == "fails":
                return web.json_response({"status": "generate-failure", "error": "the voice is not there"})
            url = f"/audio/{form['output_file_name']}.{self.kind}"
            if self.fault == "elsewhere":
                url = f"http://127.0.0.1:1{url}"
            return web.json_response({"status": "generate-success", "output_file_path": url, "output_file_url": url})

    async def _audio(self, _: web.Request) -> web.Response:
        if self.fault == "file_gone":
            return web.Response(status=404)
        data = b"nothing like it" if self.fault == "no_sound" else wav() if self.kind == "wav" else sound(self.kind)
        return web.Response(body=data, content_type="audio/wav")
