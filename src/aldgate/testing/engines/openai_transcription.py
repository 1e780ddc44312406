"""A whisper server: OpenAI's transcriptions and translations, in every format, whole and streamed."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from aldgate.testing.engines.direct import DirectFake

SEGMENTS = ((0.0, 1.5, "Hello there."), (1.5, 3.25, "How are you?"))
TEXT = " ".join(text for _, _, text in SEGMENTS)
SRT = "1\n00:00:00,000 --> 00:00:01,500\nHello there.\n\n2\n00:00:01,500 --> 00:00:03,250\nHow are you?\n"
VTT = "WEBVTT\n\n00:00.000 --> 00:01.500\nHello there.\n\n00:01.500 --> 00:03.250\nHow are you?\n"


class FakeTranscription(DirectFake):
    """A transcription server.

    Attributes:
        forms: Fields of what it was asked, in order; `file` is the recording's name.
        plain_events: It streams texts of segments instead of OpenAI's events.
    """

    work_paths = frozenset({"/v1/audio/transcriptions", "/v1/audio/translations"})
    faults = DirectFake.faults | {"wrong_captions", "stops_half_way", "fails_half_way"}

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self.plain_events = False

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        return [
            web.get("/v1/models", self._models),
            *(web.post(path, self._transcribe) for path in sorted(self.work_paths)),
            web.post("/unload", self._unload),
        ]

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "whisper-1"}]})

    async def _unload(self, _: web.Request) -> web.Response:
        self.unloads += 1
        return web.Response()

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        given = form["file"]
        assert isinstance(given, web.FileField)
        given.file.close()
        self.forms.append({name: given.filename if name == "file" else str(value) for name, value in form.items()})
        if form.get("model") != "whisper-1":
            return web.json_response({"error": {"message": "no such model", "code": "model_not_found"}}, status=404)
        async with self._at_work(request.path):
            if form.get("stream") == "true":
                return await self._stream(request)
            return self._whole(str(form.get("response_format", "json")))

    def _whole(self, kind: str) -> web.Response:
        if self.fault == "wrong_captions":
            return web.Response(text="no captions at all")
        segments = [{"id": at, "start": each[0], "end": each[1], "text": f" {each[2]}"} for at, each in enumerate(SEGMENTS)]
        match kind:
            case "srt" | "vtt" | "text":
                return web.Response(text={"srt": SRT, "vtt": VTT, "text": f"{TEXT}\n"}[kind])
            case "verbose_json":
                more = {"task": "transcribe", "language": "english", "duration": 3.25, "segments": segments}
                return web.json_response({"text": TEXT, **more})
            case _:
                return web.json_response({"text": TEXT})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        for number, (_, _, text) in enumerate(SEGMENTS):
            said = f"{' ' if number else ''}{text}"
            event = said.encode() if self.plain_events else _event("transcript.text.delta", delta=said)
            await reply.write(b"data: " + event + b"\n\n")
            if self.fault == "fails_half_way":
                await reply.write(b'data: {"error": {"message": "CUDA out of memory"}}\n\n')
                return reply
            if self.fault == "stops_half_way":
                return reply
        if not self.plain_events:
            await reply.write(b"data: " + _event("transcript.text.done", text=TEXT) + b"\n\n")
        return reply


def _event(kind: str, **more: Any) -> bytes:
    return msgspec.json.encode({"type": kind, **more})
