"""Callers of OpenAI's API, a running gate, and Bedrock as a fake that refuses what the real one refuses."""

import base64
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.upstream import FakeUpstream, Step, converse, faults, wire
from aldgate.testing.upstream.replies import Asked
from tests.faults.lab import events_of
from tests.support import RunningGate, running_gate

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
MODELS = [CLAUDE, "amazon.titan-embed-text-v2:0", "cohere.embed-english-v3"]
PRICES = f'[prices."lab/{CLAUDE}"]\ninput = 2\noutput = 8\ncached_input = 1\n'
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
PNG = "data:image/png;base64,iVBORw0KGgo="
TEXT = "Hello from the fake upstream."


@asynccontextmanager
async def house(data: Path) -> AsyncIterator[tuple[RunningGate, FakeUpstream]]:
    async with FakeUpstream() as upstream:
        table = {"kind": "bedrock", "base_url": upstream.url, "region": "eu-west-1", "api_key": "env:LAB_KEY", "models": MODELS}
        async with running_gate(data, providers={"lab": table}, config=PRICES) as gate:
            yield gate, upstream


async def chat(gate: RunningGate, *messages: dict[str, Any], **fields: Any) -> Any:
    asked = {"model": CLAUDE, "messages": list(messages) or [{"role": "user", "content": "Hi"}], **fields}
    return await gate.http.post("/v1/chat/completions", json=asked)


def script(play: Any, moment: Any = "request") -> Step:
    return Step("scripted", play, moment)


@pytest.mark.anyio
async def test_a_whole_answer_is_openais_and_is_billed(tmp_path: Path) -> None:
    async with house(tmp_path) as (gate, upstream):
        key = await gate.key(budget="1.00/month")
        reply = await gate.http.post(
            "/v1/chat/completions",
            headers={"authorization": f"Bearer {key}"},
            json={"model": CLAUDE, "messages": [{"role": "user", "content": "Hi"}], "seed": 7, "max_completion_tokens": 50},
        )
        assert reply.status_code == 200, reply.text
        answer = reply.json()
        assert answer["choices"][0]["message"]["content"] == TEXT and answer["choices"][0]["finish_reason"] == "stop"
        assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (10, 5)
        assert "seed" in reply.headers["x-aldgate-warnings"]
        sent = upstream.requests[0].json()
        assert sent["inferenceConfig"] == {"maxTokens": 50} and "stream" not in sent
        (row,) = await gate.usage(key)
        assert row["cost_microusd"] == 10 * 2 + 5 * 8


@pytest.mark.anyio
async def test_a_stream_is_openais_and_is_billed(tmp_path: Path) -> None:
    async with house(tmp_path) as (gate, _):
        reply = await chat(gate, stream=True, stream_options={"include_usage": True})
        events = events_of(reply.content)
        said = "".join(choice["delta"].get("content") or "" for event in events[:-1] for choice in event["choices"])
        assert reply.headers["content-type"].startswith("text/event-stream") and said == TEXT and events[-1] == "[DONE]"
        assert events[-3]["choices"][0]["finish_reason"] == "stop"
        assert events[-2]["usage"]["total_tokens"] == 15
        (row,) = await gate.usage()
        assert (row["prompt_tokens"], row["completion_tokens"]) == (10, 5)


@pytest.mark.parametrize("size", [1, 5, 64])
@pytest.mark.anyio
async def test_a_stream_may_be_cut_anywhere(tmp_path: Path, size: int) -> None:
    async with house(tmp_path) as (gate, upstream):
        upstream.script(faults.split_every(size))
        events = events_of((await chat(gate, stream=True)).content)
        assert "".join(choice["delta"].get("content") or "" for event in events[:-1] for choice in event["choices"]) == TEXT


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.anyio
async def test_tools_go_there_and_back_with_thoughts_and_images(tmp_path: Path, stream: bool) -> None:
    async with house(tmp_path) as (gate, upstream):
        question = {
            "role": "user",
            "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PNG}}],
        }
        asked = {"tools": [LOOK], "tool_choice": "required", "parallel_tool_calls": False, "stream": stream}
        reply = await chat(gate, question, **asked)
        message = _message(events_of(reply.content)) if stream else reply.json()["choices"][0]["message"]
        (call,) = message["tool_calls"]
        assert call["function"]["name"] == "look" and json.loads(call["function"]["arguments"]) == {"at": "sea"}
        sent = upstream.requests[0].json()
        assert sent["messages"][0]["content"][1] == {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}
        assert sent["additionalModelRequestFields"]["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
        result = {"role": "tool", "tool_call_id": call["id"], "content": [{"type": "text", "text": "A boat"}]}
        again = await chat(gate, question, message, result, tools=[LOOK])
        assert again.status_code == 200, again.text
        past = upstream.requests[1].json()["messages"]
        assert past[1]["content"][-1]["toolUse"]["toolUseId"] == past[2]["content"][0]["toolResult"]["toolUseId"] == call["id"]
        untooled = await chat(gate, question, message, result)
        assert untooled.status_code == 200, "Bedrock refuses past calls without tools"


def _message(events: list[Any]) -> dict[str, Any]:
    """The message that a stream tells."""
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    calls: dict[int, Any] = {}
    for choice in (choice for event in events if isinstance(event, dict) for choice in event["choices"]):
        message["content"] += choice["delta"].get("content") or ""
        for piece in choice["delta"].get("tool_calls") or ():
            call = calls.setdefault(piece["index"], {"type": "function", "function": {"name": "", "arguments": ""}})
            call["id"] = piece.get("id") or call["id"]
            call["function"]["name"] += piece["function"].get("name") or ""
            call["function"]["arguments"] += piece["function"]["arguments"]
    return {**message, "tool_calls": [calls[index] for index in sorted(calls)]}


@pytest.mark.anyio
async def test_thoughts_come_signed_and_go_back_signed(tmp_path: Path) -> None:
    async with house(tmp_path) as (gate, upstream):
        first = (await chat(gate, reasoning_effort="low")).json()["choices"][0]["message"]
        assert first["reasoning_content"] == "Let me think." and first["content"] == TEXT
        follow_up = await chat(gate, {"role": "user", "content": "Hi"}, first, {"role": "user", "content": "Go on"})
        assert follow_up.status_code == 200
        thought = upstream.requests[1].json()["messages"][1]["content"][0]["reasoningContent"]["reasoningText"]
        assert thought == {"text": "Let me think.", "signature": converse.SIGNATURE}


@pytest.mark.anyio
async def test_a_kept_prompt_costs_less(tmp_path: Path) -> None:
    async with house(tmp_path) as (gate, _):
        part = {"type": "text", "text": "Long.", "prompt_cache_breakpoint": {"mode": "explicit"}}
        usage = (await chat(gate, {"role": "user", "content": [part]})).json()["usage"]
        assert usage["prompt_tokens"] == 17 and usage["prompt_tokens_details"]["cached_tokens"] == 7
        (row,) = await gate.usage()
        assert row["cost_microusd"] == 10 * 2 + 7 * 1 + 5 * 8


@pytest.mark.parametrize(
    ("play", "status", "code"),
    [
        (converse.refusal(429, "ThrottlingException", "Too many tokens"), 429, "upstream_rate_limited"),
        (converse.refusal(429, "ModelNotReadyException", "Wait"), 503, "upstream_overloaded"),
        (converse.refusal(403, "ExpiredTokenException", "Expired"), 502, "upstream_auth"),
        (converse.refusal(400, "ServiceQuotaExceededException", "No more"), 429, "upstream_rate_limited"),
        (converse.refusal(400, "ValidationException", "Input is too long for requested model."), 400, "context_length_exceeded"),
        (wire.whole(b"{}", headers=[("Content-Type", "text/html")]), 502, "upstream_invalid"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.anyio
async def test_refusals_are_classed(tmp_path: Path, play: bytes, status: int, code: str, stream: bool) -> None:
    async with house(tmp_path) as (gate, upstream):
        upstream.script(script(lambda _: iter([play])))
        reply = await chat(gate, stream=stream)
        assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def _failing(asked: Asked, after: int, last: bytes) -> Any:
    yield asked.rendered.head
    yield b"".join(asked.rendered.frames[:after])
    yield wire.chunk(last) + wire.LAST_CHUNK


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (converse.exception("throttlingException", "Slow down"), "upstream_rate_limited"),
        (converse.exception("modelStreamErrorException", "Oops"), "upstream_error"),
        (converse.event("contentBlockDelta", {"delta": {"text": "x"}})[:-1] + b"!", "upstream_invalid"),
        (b"", "upstream_broken"),
    ],
)
@pytest.mark.anyio
async def test_a_stream_that_fails_ends_with_its_error_and_without_done(tmp_path: Path, last: bytes, code: str) -> None:
    async with house(tmp_path) as (gate, upstream):
        upstream.script(script(lambda asked: _failing(asked, 3, last)), script(lambda asked: _failing(asked, 0, last)))
        events = events_of((await chat(gate, stream=True)).content)
        assert events[-1]["error"]["code"] == code and "[DONE]" not in events
        early = await chat(gate, stream=True)
        assert early.status_code != 200 and early.json()["error"]["code"] == code


@pytest.mark.parametrize("fault", [faults.die_mid_stream(), faults.die_mid_event(), faults.reset_mid_body()])
@pytest.mark.anyio
async def test_a_connection_that_dies_breaks_the_answer(tmp_path: Path, fault: Step) -> None:
    async with house(tmp_path) as (gate, upstream):
        upstream.script(fault)
        events = events_of((await chat(gate, stream=True)).content)
        assert events[-1]["error"]["code"] == "upstream_broken" and "[DONE]" not in events


@pytest.mark.parametrize("model", MODELS[1:])
@pytest.mark.anyio
async def test_texts_are_embedded(tmp_path: Path, model: str) -> None:
    async with house(tmp_path) as (gate, upstream):
        reply = await gate.http.post("/v1/embeddings", json={"model": model, "input": "Hi", "encoding_format": "base64"})
        assert reply.status_code == 200, reply.text
        packed = base64.b64decode(reply.json()["data"][0]["embedding"])
        assert struct.unpack("<8f", packed)[1] == 0.125 and reply.json()["usage"]["prompt_tokens"] == 10
        assert upstream.requests[0].json() in (
            {"inputText": "Hi"},
            {"texts": ["Hi"], "input_type": "search_document", "embedding_types": ["float"]},
        )


@pytest.mark.anyio
async def test_callers_of_anthropics_api_keep_their_thoughts_and_their_betas_do_no_harm(tmp_path: Path) -> None:
    async with house(tmp_path) as (gate, upstream):
        asked = {
            "model": CLAUDE,
            "max_tokens": 4096,
            "thinking": {"type": "enabled", "budget_tokens": 2048},
            "tools": [{"name": "look", "input_schema": {"type": "object"}}],
            "messages": [{"role": "user", "content": "Hi"}],
        }
        headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "mcp-servers-2025-12-04,claude-code-20250219"}
        first = await gate.http.post("/v1/messages", json=asked, headers=headers)
        assert first.status_code == 200, first.text
        thought, text = first.json()["content"]
        assert thought == {"type": "thinking", "thinking": "Let me think.", "signature": converse.SIGNATURE}
        assert text["text"] == TEXT and first.json()["stop_reason"] == "end_turn"
        answer = {"role": "assistant", "content": first.json()["content"]}
        again = {**asked, "messages": [*asked["messages"], answer, {"role": "user", "content": "Go on"}], "stream": True}
        said = (await gate.http.post("/v1/messages", json=again, headers=headers)).text
        assert "event: message_stop" in said and "signature_delta" in said
        sent = upstream.requests[1].json()
        assert sent["messages"][1]["content"][0]["reasoningContent"]["reasoningText"]["signature"] == converse.SIGNATURE
        assert sent["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2048}}
        assert all(seen.header("anthropic-beta") is None for seen in upstream.requests)
