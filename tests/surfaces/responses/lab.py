"""A gate in front of one fake provider by three names: `lab` speaks chat, `native` Responses too, `only` nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from aldgate.testing.upstream import FakeUpstream, Step, wire
from aldgate.testing.upstream.replies import STREAM_HEAD, encode, sse
from aldgate.testing.upstream.responses import framed
from tests.support import RunningGate, lab, running_gate

MODELS = ("lab/gpt-4.1", "native/gpt-4.1", "only/gpt-4.1", "builtin/echo")
SAID = "Hello from the fake upstream."


@dataclass
class ResponsesLab:
    """The gate and the provider."""

    gate: RunningGate
    upstream: FakeUpstream

    async def post(self, model: str, given: Any, *, key: str | None = None, **more: Any) -> httpx2.Response:
        """POST /v1/responses, as the admin or with a key."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return await self.gate.http.post("/v1/responses", json={"model": model, "input": given, **more}, headers=headers)

    async def make(self, model: str, given: Any, **more: Any) -> dict[str, Any]:
        """A whole response."""
        reply = await self.post(model, given, **more)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def stream(self, model: str, given: Any, **more: Any) -> list[dict[str, Any]]:
        """The events of a streamed one; that they are named, numbered and end well is seen to here."""
        reply = await self.post(model, given, stream=True, **more)
        assert reply.status_code == 200, reply.text
        return events(reply.text)

    def sent(self) -> dict[str, Any]:
        """The body of the last request that the provider got."""
        return self.upstream.requests[-1].json()


def events(text: str) -> list[dict[str, Any]]:
    """The events of a stream."""
    *frames, last, nothing = text.split("\n\n")
    assert (last, nothing) == ("data: [DONE]", "")
    told: list[dict[str, Any]] = []
    for frame in frames:
        name, _, data = frame.partition("\ndata: ")
        told.append(json.loads(data))
        assert name == f"event: {told[-1]['type']}"
    numbers = [event["sequence_number"] for event in told]
    assert numbers == sorted(set(numbers))
    assert told[-1]["type"] in ("response.completed", "response.incomplete", "response.failed")
    assert all(event["response"].get("usage") is None for event in told[:-1] if "response" in event)
    return told


def texts(told: list[dict[str, Any]], kind: str = "output_text") -> str:
    """What the deltas of a kind say together."""
    return "".join(event["delta"] for event in told if event["type"] == f"response.{kind}.delta")


def chat_stream(*deltas: dict[str, Any], finish: str = "stop", usage: dict[str, Any] | None = None) -> Step:
    """The provider answers a chat with these deltas."""
    chunks = [{"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    chunks.append({"id": "c", "model": "m", "choices": [], "usage": usage or {"prompt_tokens": 10, "completion_tokens": 5}})
    frames = [wire.chunk(sse(encode(chunk))) for chunk in chunks]
    return Step("chat_stream", lambda asked: iter([STREAM_HEAD, *frames, wire.chunk(sse(b"[DONE]")), wire.LAST_CHUNK]))


def response_stream(*told: dict[str, Any]) -> Step:
    """The provider answers with these events of a response."""
    return Step(
        "response_stream", lambda asked: iter([STREAM_HEAD, *(wire.chunk(framed(each)) for each in told), wire.LAST_CHUNK])
    )


def call_delta(index: int, call_id: str | None = None, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    """A piece of a tool call in a chat stream."""
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    call: dict[str, Any] = {"index": index, "function": function}
    return {"tool_calls": [call if call_id is None else {**call, "id": call_id, "type": "function"}]}


@asynccontextmanager
async def responses_lab(data: Path, **options: Any) -> AsyncIterator[ResponsesLab]:
    """Start both; `options` are `running_gate`'s."""
    async with FakeUpstream() as upstream:
        tables = {
            "lab": lab(upstream.url),
            "native": lab(upstream.url, responses="yes"),
            "only": lab(upstream.url, responses="only"),
        }
        async with running_gate(data, providers=tables, **options) as gate:
            yield ResponsesLab(gate, upstream)
