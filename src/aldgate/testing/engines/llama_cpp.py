"""A llama.cpp server with one model: health, props, slots, completions and chats as events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import web

from aldgate.testing.engines.direct import DirectFake

CONTEXT = 64
"""Characters of prompt that it can read."""


class FakeLlamaCpp(DirectFake):
    """A llama-server.

    Attributes:
        is_loading: Its model is not there yet.
        shows_slots: As `--slots`.
    """

    work_paths = frozenset({"/completion", "/v1/chat/completions"})
    faults = DirectFake.faults | {"error_event", "stops_half_way", "garbage_half_way"}

    def __init__(self) -> None:
        super().__init__()
        self.is_loading = False
        self.shows_slots = True

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        return [
            web.get("/health", self._health),
            web.get("/props", self._props),
            web.get("/slots", self._slots),
            *(web.post(path, self._complete) for path in sorted(self.work_paths)),
        ]

    async def _health(self, _: web.Request) -> web.Response:
        if self.is_loading:
            error = {"code": 503, "message": "Loading model", "type": "unavailable_error"}
            return web.json_response({"error": error}, status=503)
        return web.json_response({"status": "ok"})

    async def _props(self, _: web.Request) -> web.Response:
        settings = {"n_ctx": 4096, "id": 0}
        more = {"model_path": "/models/qwen3-8b-q4.gguf", "build_info": "b9000-abcdef"}
        return web.json_response({"default_generation_settings": settings, "total_slots": 1, **more})

    async def _slots(self, _: web.Request) -> web.Response:
        if not self.shows_slots:
            error = {"code": 501, "message": "This server does not support slots endpoint.", "type": "not_supported_error"}
            return web.json_response({"error": error}, status=501)
        return web.json_response([{"id": 0, "n_ctx": 4096, "is_processing": not self._may_work.is_set()}])

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        prompt = asked.get("prompt") or asked["messages"][-1]["content"]
        if len(prompt) > CONTEXT:
            error = {
                "code": 400,
                "message": "the request exceeds the available context size",
                "type": "exceed_context_size_error",
            }
            return web.json_response({"error": {**error, "n_prompt_tokens": len(prompt), "n_ctx": CONTEXT}}, status=400)
        async with self._at_work(request.path):
            reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await reply.prepare(request)
            await reply.write(b": still here\n\n")
            events = _chatted(prompt, asked) if "messages" in asked else _completed(prompt, asked)
            for number, event in enumerate(events):
                await reply.write(b"data: " + event + b"\n\n")
                if number == 1 and self.fault in ("stops_half_way", "garbage_half_way", "error_event"):
                    said = {"garbage_half_way": b"data: <html>\n\n", "error_event": _error()}.get(self.fault)
                    if said:
                        await reply.write(said)
                    break
            return reply


def _words(prompt: str, most: int | None) -> list[str]:
    return f"Echo: {prompt}".replace(" ", " \0").split("\0")[:most]


def _completed(prompt: str, asked: dict[str, Any]) -> Iterator[bytes]:
    most = asked.get("n_predict")
    words = _words(prompt, most)
    if asked.get("return_progress"):
        yield _event(content="", stop=False, prompt_progress={"total": 3, "cache": 0, "processed": 3, "time_ms": 1})
    for word in words:
        yield _event(content=word, stop=False)
    kind = "limit" if most is not None and len(words) == most else "eos"
    yield _event(content="", stop=True, stop_type=kind, tokens_evaluated=3, tokens_predicted=len(words), timings={})


def _chatted(prompt: str, asked: dict[str, Any]) -> Iterator[bytes]:
    most = asked.get("max_tokens")
    words = _words(prompt, most)
    yield _event(choices=[{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}])
    for word in words:
        yield _event(choices=[{"index": 0, "delta": {"content": word}, "finish_reason": None}])
    reason = "length" if most is not None and len(words) == most else "stop"
    yield _event(choices=[{"index": 0, "delta": {}, "finish_reason": reason}])
    yield _event(choices=[], usage={"prompt_tokens": 3, "completion_tokens": len(words)})
    yield b"[DONE]"


def _event(**fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def _error() -> bytes:
    return b'data: {"error": {"code": 500, "message": "Compute error.", "type": "server_error"}}\n\n'
