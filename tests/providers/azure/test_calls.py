"""Callers of OpenAI's API, a running gate, and Azure as a fake with its content filter's additions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.upstream import FakeUpstream, Step, azure, faults
from tests.faults.lab import events_of
from tests.support import RunningGate, running_gate

TEXT = "Hello from the fake upstream."
PRICES = '[prices."gpt-4.1"]\ninput = 2\noutput = 8\n'


@asynccontextmanager
async def house(data: Path, api_version: str = "2024-10-21") -> AsyncIterator[tuple[RunningGate, FakeUpstream]]:
    async with FakeUpstream() as upstream:
        table = {"kind": "azure", "base_url": upstream.url, "api_key": "env:LAB_KEY", "api_version": api_version}
        config = PRICES + '[providers.lab.deployments]\n"chat-prod" = "gpt-4.1"\n'
        async with running_gate(data, providers={"lab": table}, config=config) as gate:
            yield gate, upstream


async def chat(gate: RunningGate, **fields: Any) -> Any:
    asked = {"model": "chat-prod", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return await gate.http.post("/v1/chat/completions", json=asked)


@pytest.mark.parametrize("api_version", ["2024-10-21", ""])
@pytest.mark.anyio
async def test_a_whole_answer_is_billed_by_the_model_behind_the_deployment(tmp_path: Path, api_version: str) -> None:
    async with house(tmp_path, api_version) as (gate, upstream):
        reply = await chat(gate)
        assert reply.status_code == 200, reply.text
        assert reply.json()["choices"][0]["message"]["content"] == TEXT
        assert upstream.requests[0].json()["model"] == "chat-prod"
        (row,) = await gate.usage()
        assert row["cost_microusd"] == 10 * 2 + 5 * 8


@pytest.mark.anyio
async def test_h3_a_stream_has_a_delta_in_every_choice_and_ends_well(tmp_path: Path) -> None:
    """Azure's events without choices, and choices without a delta, break no client (mentat 429, autogen 6465)."""
    async with house(tmp_path) as (gate, _):
        events = events_of((await chat(gate, stream=True, stream_options={"include_usage": True})).content)
        assert events[-1] == "[DONE]" and events[-2]["usage"]["total_tokens"] == 15
        choices = [choice for event in events[:-1] for choice in event["choices"]]
        assert "".join(choice["delta"].get("content") or "" for choice in choices) == TEXT
        assert all(event["choices"] for event in events[:-2])
        (row,) = await gate.usage()
        assert (row["prompt_tokens"], row["completion_tokens"]) == (10, 5)


@pytest.mark.anyio
async def test_a_filtered_prompt_and_a_limit_are_classed(tmp_path: Path) -> None:
    async with house(tmp_path) as (gate, upstream):
        upstream.script(Step("filtered", lambda _: iter([azure.filtered()])), faults.status(429, retry_after_ms=1500))
        refused = await chat(gate)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "content_filter")
        limited = await chat(gate)
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")


@pytest.mark.anyio
async def test_texts_are_embedded(tmp_path: Path) -> None:
    async with house(tmp_path) as (gate, upstream):
        reply = await gate.http.post("/v1/embeddings", json={"model": "chat-prod", "input": "Hi"})
        assert len(reply.json()["data"][0]["embedding"]) == 8
        assert upstream.requests[0].path == "/openai/deployments/chat-prod/embeddings?api-version=2024-10-21"
