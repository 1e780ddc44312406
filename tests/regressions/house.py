"""A gate whose providers are one fake by several wires, and every face that a caller may stand at."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from tests.faults.lab import Row, read_ledger
from tests.support import RunningGate, lab, running_gate

from aldgate.testing.upstream import FakeUpstream, Reply, Step, ollama, wire
from aldgate.testing.upstream.replies import STREAM_HEAD, encode, sse

SAID = "Hello from the fake upstream."
CALL, RESULT = {"name": "look", "arguments": '{"at":"sea"}'}, "A cat"
FACES = ("chat", "messages", "responses", "gemini", "ollama")
assert ollama.render  # its wire is spoken once it is imported
WIRES = ("lab", "claude", "google", "ollama")
PRICES = "".join(f'[prices."{name}/m"]\ninput = 2\noutput = 8\n' for name in WIRES)
"""Micro-dollars per token are these figures."""


@dataclass
class House:
    """The gate and its provider."""

    gate: RunningGate
    upstream: FakeUpstream
    data: Path

    async def ask(self, face: str, model: str, *, key: str = "", stream: bool = False, **more: Any) -> httpx2.Response:
        """One greeting at a face, read to its end; `more` goes into the body in the face's own words."""
        path, body = asking(face, model, stream=stream)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return await self.gate.http.post(path, json=body | more, headers=headers)

    async def rows(self) -> list[Row]:
        """The ledger, oldest call first."""
        await self.gate.app.writer.committed()
        return read_ledger(self.data)

    def sent(self) -> Any:
        """The body of the last request that the provider got."""
        return self.upstream.requests[-1].json()


@asynccontextmanager
async def running_house(
    data: Path, *, reply: Reply | None = None, config: str = PRICES, **tables: Mapping[str, Any]
) -> AsyncIterator[House]:
    """Start both. `tables`: more of the providers' tables, or others, all at the same fake."""
    async with FakeUpstream(reply=reply) as upstream:
        root = upstream.url.removesuffix("/v1")
        known = {
            "lab": {},
            "claude": {"kind": "anthropic", "base_url": root},
            "google": {"kind": "gemini", "base_url": f"{root}/v1beta"},
            "ollama": {"kind": "ollama", "base_url": root},
        }
        providers = {
            name: lab(upstream.url, models=["m"]) | known.get(name, {}) | tables.get(name, {}) for name in {**known, **tables}
        }
        async with running_gate(data, providers=providers, config=config) as gate:
            upstream.requests.clear()
            yield House(gate, upstream, data)


def asking(face: str, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """Path and body of a greeting at a face."""
    messages = [{"role": "user", "content": "Hello"}]
    match face:
        case "chat":
            return "/v1/chat/completions", {"model": model, "messages": messages, "stream": stream}
        case "messages":
            return "/v1/messages", {"model": model, "messages": messages, "stream": stream, "max_tokens": 64}
        case "responses":
            return "/v1/responses", {"model": model, "input": "Hello", "stream": stream}
        case "gemini":
            verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return f"/v1beta/models/{model}:{verb}", {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
        case _:
            return "/api/chat", {"model": model, "messages": messages, "stream": stream}


def frames(text: str) -> list[Any]:
    """What a stream of any face says: events decoded, `[DONE]` as it is."""
    if not text.startswith(("data:", "event:")):
        return [json.loads(line) for line in text.splitlines()]
    payloads = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [payload if payload == "[DONE]" else json.loads(payload) for payload in payloads]


def chat_frames(*deltas: dict[str, Any], finish: str | None = "stop", **last: Any) -> list[bytes]:
    """Pieces of a chat stream, without head and end; `last` goes into the last chunk."""
    chunks = [{"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    if finish is not None:
        chunks.append({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **last})
    return [wire.chunk(sse(encode(chunk))) for chunk in chunks]


def streaming(*pieces: Any) -> Step:
    """Answer with a stream of these pieces, which ends well."""
    end = [wire.chunk(sse(b"[DONE]")), wire.LAST_CHUNK]
    return Step("streaming", lambda asked: iter([STREAM_HEAD, *pieces, *end]))


def whole(body: Any, *, status: int = 200, **headers: str) -> Step:
    """Answer with this JSON; underscores in names of headers stand for dashes."""
    lines = [wire.JSON, *((name.replace("_", "-"), value) for name, value in headers.items())]
    return Step("whole", lambda asked: iter([wire.whole(encode(body), status=status, headers=lines)]))


def chat_body(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    """A whole chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None} | message, "finish_reason": finish}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage} | more


def piece(index: int, call_id: str | None = None, arguments: str = "") -> dict[str, Any]:
    """A delta with a piece of a call of `look`; with an id, its first."""
    call: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
    if call_id is not None:
        call = {**call, "id": call_id, "type": "function", "function": {"name": "look", "arguments": arguments}}
    return {"tool_calls": [call]}
