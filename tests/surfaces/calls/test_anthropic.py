"""Anthropic's paths through a running gate: to Anthropic itself, to a provider of OpenAI's wire, to the echo, and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.testing.upstream import FakeUpstream, Reply, Step, Valve, anthropic, faults, wire
from aldgate.testing.upstream.replies import sse
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio

PRICES = """
[prices."claude/claude-opus-5"]
input = 5
output = 25
cached_input = 0.5
cache_write = 6.25
cache_write_1h = 10
[prices."lab/gpt-4.1"]
input = 2
output = 8
"""
CLAUDE, GPT, ECHO = "claude/claude-opus-5", "lab/gpt-4.1", "builtin/echo"
TOOLS = [{"name": name, "description": "d", "input_schema": {"type": "object", "properties": {}}} for name in ("look", "find")]
MARK = {"cache_control": {"type": "ephemeral"}}


@dataclass
class House:
    """A gate before an Anthropic and an OpenAI provider."""

    gate: RunningGate
    claude: FakeUpstream
    gpt: FakeUpstream

    async def messages(self, model: str, headers: dict[str, str] | None = None, **more: Any) -> httpx2.Response:
        body = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}], **more}
        lines = {"anthropic-version": "2023-06-01", **(headers or {})}
        return await self.gate.http.post("/v1/messages?beta=true", json=body, headers=lines)

    async def stream(self, model: str, **more: Any) -> list[dict[str, Any]]:
        reply = await self.messages(model, stream=True, **more)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "text/event-stream; charset=utf-8"), reply.text
        return told(reply.text)

    async def chat(self, model: str, **more: Any) -> httpx2.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}
        return await self.gate.http.post("/v1/chat/completions", json=body)


def told(text: str) -> list[dict[str, Any]]:
    """The events of a stream, each of which says its name twice."""
    frames = [frame.split("\n") for frame in text.split("\n\n") if frame]
    events = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in frames]
    assert all(name == data["type"] for name, data in events)
    return [data for _, data in events]


def raw(*pieces: bytes) -> Step:
    """Answer with exactly these bytes."""
    return Step("raw", lambda asked: iter(pieces))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with (
        FakeUpstream(reply=Reply(models=("claude-opus-5", "claude-haiku-4-5", "claude-old"))) as claude,
        FakeUpstream() as gpt,
    ):
        providers = {
            "claude": {"kind": "anthropic", "base_url": claude.url.removesuffix("/v1"), "api_key": "env:LAB_KEY"},
            "lab": lab(gpt.url),
        }
        async with running_gate(tmp_path, providers=providers, config=PRICES) as gate:
            yield House(gate, claude, gpt)


KINDS = ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """The order of kinds, repeated ones once, pings left out."""
    seen = [event["type"] for event in events if event["type"] != "ping"]
    return [kind for place, kind in enumerate(seen) if place == 0 or seen[place - 1] != kind]


# Anthropic's caller, Anthropic's provider: bytes pass through.


async def test_a_message_passes_through_with_the_gates_credential(house: House) -> None:
    reply = await house.messages(CLAUDE, {"anthropic-beta": "a-1,b-2"}, system=[{"type": "text", "text": "Be kind.", **MARK}])
    assert reply.status_code == 200
    answer = reply.json()
    assert (answer["content"], answer["stop_reason"]) == ([{"type": "text", "text": "Hello from the fake upstream."}], "end_turn")
    assert reply.headers["request-id"] == reply.headers["x-request-id"]
    (seen,) = [request for request in house.claude.requests if request.method == "POST"]
    assert seen.path == "/v1/messages" and seen.json()["model"] == "claude-opus-5"
    assert (
        seen.header(
            "x-api-key",
        ).startswith("sk-lab-")
        and seen.header("authorization") is None
    )  # type: ignore[union-attr]
    assert (seen.header("anthropic-version"), seen.header("anthropic-beta")) == ("2023-06-01", "a-1,b-2")


async def test_both_versions_go_on_and_who_names_none_gets_the_first(house: House) -> None:
    await house.messages(CLAUDE, {"anthropic-version": "2026-10-21"})
    body = {"model": CLAUDE, "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
    await house.gate.http.post("/v1/messages", json=body)
    versions = [request.header("anthropic-version") for request in house.claude.requests if request.method == "POST"]
    assert versions == ["2026-10-21", "2023-06-01"]


@pytest.mark.parametrize("stream", [False, True])
async def test_f1_what_is_cached_is_billed_once_whole_and_streamed(house: House, stream: bool) -> None:
    """Read, written for five minutes and for an hour: each at its own price."""
    key = await house.gate.key()
    headers = {"x-api-key": key, "authorization": f"Bearer {key}"}
    reply = await house.messages(CLAUDE, headers, stream=stream, system=[{"type": "text", "text": "S", **MARK}])
    assert reply.status_code == 200
    (row,) = await house.gate.usage(key)
    assert (row["prompt_tokens"], row["completion_tokens"], row["cached_tokens"]) == (10 + 7 + 5 + 3, 5, 7)
    assert row["cost_microusd"] == -(-(10 * 5 * 100 + 7 * 50 + 5 * 625 + 3 * 1000 + 5 * 25 * 100) // 100)


async def test_a_stream_passes_through_whole(house: House) -> None:
    events = await house.stream(CLAUDE, tools=TOOLS, tool_choice={"type": "any"}, thinking={"type": "adaptive"})
    assert kinds(events)[0] == "message_start" and kinds(events)[-2:] == ["message_delta", "message_stop"]
    begun = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert begun == ["thinking", "tool_use", "tool_use"]


async def test_a_cache_can_be_warmed_for_nothing_said(house: House) -> None:
    reply = await house.messages(CLAUDE, max_tokens=0)
    assert (reply.status_code, reply.json()["content"]) == (200, [])


async def test_a_failure_in_the_middle_ends_with_an_error_event_and_is_billed(house: House) -> None:
    events = [
        anthropic.event("message_start", {"message": {"id": "m", "usage": {"input_tokens": 9, "output_tokens": 1}}}),
        anthropic.event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        anthropic.event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
        anthropic.event("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ]
    house.claude.script(raw(anthropic.stream(*events)))
    key = await house.gate.key()
    seen = await house.stream(CLAUDE, headers={"authorization": f"Bearer {key}"})
    assert [event["type"] for event in seen][-2:] == ["content_block_delta", "error"]
    assert seen[-1]["error"]["type"] == "overloaded_error" and seen[-1]["request_id"].startswith("req-")
    (row,) = await house.gate.usage(key)
    assert (row["prompt_tokens"], row["errors"]) == (9, 1) and row["completion_tokens"] > 0


async def test_b5_a_failure_before_anything_is_said_is_a_plain_error(house: House) -> None:
    """The caller gets a status to act on, not a stream that begins and fails."""
    begin = anthropic.event("message_start", {"message": {"id": "m", "usage": {"input_tokens": 9}}})
    error = anthropic.event("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}})
    house.claude.script(raw(anthropic.stream(begin, error)))
    reply = await house.messages(CLAUDE, stream=True)
    assert (reply.status_code, reply.json()["error"]["type"]) == (529, "overloaded_error")


@pytest.mark.parametrize("fault", [faults.die_mid_stream(after=4), faults.truncated_stream(after=4)])
async def test_b4_a_stream_that_breaks_off_ends_with_an_error_event(house: House, fault: Step) -> None:
    """Never with `message_stop`, and never with `[DONE]`."""
    house.claude.script(fault)
    events = await house.stream(CLAUDE)
    assert events[-1]["type"] == "error" and events[-1]["error"]["details"]["error_code"] == "upstream_broken"


@pytest.mark.parametrize(
    "fault", [faults.keep_alive_comments(), faults.crlf_events(), faults.events_joined(), faults.split_every(7)]
)
async def test_however_the_wire_cuts_the_stream_it_is_understood(house: House, fault: Step) -> None:
    house.claude.script(fault)
    reply = await house.chat(CLAUDE, stream=True, stream_options={"include_usage": True})
    chunks = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    assert (
        "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
        == "Hello from the fake upstream."
    )
    assert chunks[-1]["usage"]["prompt_tokens"] == 10


async def test_a_caller_who_leaves_closes_the_provider_too_and_pays_for_what_came(house: House) -> None:
    valve = Valve()
    head = wire.head([wire.EVENTS, wire.CHUNKED])
    start = anthropic.event("message_start", {"message": {"id": "m", "usage": {"input_tokens": 9, "output_tokens": 1}}})
    begin = anthropic.event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    house.claude.script(raw(head, wire.chunk(start), wire.chunk(begin), valve))  # type: ignore[arg-type]
    key = await house.gate.key()
    body = {"model": CLAUDE, "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "x"}]}
    async with house.gate.http.stream("POST", "/v1/messages", json=body, headers={"authorization": f"Bearer {key}"}) as reply:
        async for piece in reply.aiter_text():
            assert "message_start" in piece
            break
    async with asyncio.timeout(5):
        await house.claude.saw_close()
        while house.gate.app.gate.under_way:
            await asyncio.sleep(0)
    (row,) = await house.gate.usage(key)
    assert (row["calls"], row["errors"], row["prompt_tokens"]) == (1, 1, 9)


# Anthropic's caller, other providers: translated.


@pytest.mark.parametrize(("model", "said"), [(GPT, "Hello from the fake upstream."), (ECHO, "Hello")])
async def test_other_models_answer_in_messages(house: House, model: str, said: str) -> None:
    whole = (await house.messages(model)).json()
    assert (whole["type"], whole["role"], whole["stop_reason"], whole["stop_sequence"]) == (
        "message",
        "assistant",
        "end_turn",
        None,
    )
    assert [block["text"] for block in whole["content"]] == [said]
    assert whole["usage"]["input_tokens"] > 0 and whole["usage"]["output_tokens"] > 0
    events = await house.stream(model)
    assert kinds(events) == KINDS
    assert "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta") == said
    assert events[0]["message"]["usage"]["input_tokens"] > 0
    assert events[-2]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


@pytest.mark.parametrize("model", [GPT, ECHO, CLAUDE])
async def test_what_claude_code_sends_is_taken_by_every_model(house: House, model: str) -> None:
    asked: dict[str, Any] = {
        "system": [{"type": "text", "text": "You are a coder.", **MARK}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Fix it", **MARK}]},
            {"role": "system", "content": [{"type": "text", "text": "Plan mode."}]},
        ],
        "tools": [{"name": f"Tool{number}", "description": "d", "input_schema": {"type": "object"}} for number in range(24)],
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": "user_x"},
    }
    reply = await house.messages(model, **asked)
    assert reply.status_code == 200, reply.text
    warnings = reply.headers.get("x-aldgate-warnings", "")
    assert ("context_management" in warnings) == (model == GPT or model == ECHO)
    assert (await house.stream(model, **asked))[-1]["type"] == "message_stop"


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return wire.chunk(sse(json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}).encode()))


def call(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **more, "function": {"arguments": arguments, **({"name": "look"} if more else {})}}]}


async def test_a3_parallel_calls_of_another_provider_stream_into_blocks_of_their_own(house: House) -> None:
    """Their arguments come interleaved, and the turn ends with `tool_use`."""
    deltas = [call(0, "", id="a"), call(1, "", id="b"), call(1, '{"x":'), call(0, '{"y":'), call(1, "2}"), call(0, "1}")]
    head = wire.head([wire.EVENTS, wire.CHUNKED])
    pieces = [chunk({"role": "assistant", "content": "I look."}), *map(chunk, deltas), chunk({}, "tool_calls")]
    house.gpt.script(raw(head, *pieces, wire.chunk(sse(b"[DONE]")), wire.LAST_CHUNK))
    events = await house.stream(GPT, tools=TOOLS)
    begun = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [(block["type"], block.get("id")) for block in begun] == [("text", None), ("tool_use", "a"), ("tool_use", "b")]
    arguments = {1: "", 2: ""}
    for event in events:
        if event["type"] == "content_block_delta" and event["index"]:
            arguments[event["index"]] += event["delta"]["partial_json"]
    assert arguments == {1: '{"y":1}', 2: '{"x":2}'}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


async def test_a_conversation_with_tools_thoughts_and_images_reaches_another_provider(house: House) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "Look"}, image]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
                {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "a sea"}]},
    ]
    reply = await house.messages(GPT, messages=turns, tools=TOOLS, system="Be kind.", stop_sequences=["END"])
    assert reply.status_code == 200, reply.text
    sent = house.gpt.requests[-1].json()
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][1]["content"][1]["image_url"]["url"] == "data:image/png;base64,AA=="
    assert sent["messages"][2]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"a":1}'}
    assert (sent["stop"], [tool["function"]["name"] for tool in sent["tools"]]) == (["END"], ["look", "find"])


async def test_a_bound_that_another_provider_reaches_is_max_tokens(house: House) -> None:
    reply = await house.messages(GPT, max_tokens=2)
    assert reply.json()["stop_reason"] == "max_tokens"


# OpenAI's caller, Anthropic's provider.


async def test_claude_answers_chat_completions(house: House) -> None:
    whole = (await house.chat(CLAUDE, reasoning_effort="high")).json()
    message = whole["choices"][0]["message"]
    assert (message["content"], whole["choices"][0]["finish_reason"]) == ("Hello from the fake upstream.", "stop")
    assert message["reasoning_content"] == "Let me think."
    assert (whole["usage"]["prompt_tokens"], whole["usage"]["completion_tokens"]) == (10, 5)
    sent = house.claude.requests[-1].json()
    assert (sent["max_tokens"], sent["output_config"]) == (64_000, {"effort": "high"})
    assert house.claude.requests[-1].header("anthropic-version") == "2023-06-01"


async def test_claude_calls_tools_for_chat_completions_whole_and_streamed(house: House) -> None:
    tools = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("look", "find")]
    whole = (await house.chat(CLAUDE, tools=tools, tool_choice="required")).json()["choices"][0]
    calls = [(each["function"]["name"], each["function"]["arguments"]) for each in whole["message"]["tool_calls"]]
    assert (calls, whole["finish_reason"]) == ([("look", '{"at":"sea"}'), ("find", '{"at":"sea"}')], "tool_calls")
    reply = await house.chat(CLAUDE, tools=tools, tool_choice="required", stream=True, parallel_tool_calls=True)
    pieces: dict[int, str] = {}
    for line in reply.text.splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                for each in choice["delta"].get("tool_calls", ()):
                    pieces[each["index"]] = pieces.get(each["index"], "") + each["function"].get("arguments", "")
    assert pieces == {0: '{"at":"sea"}', 1: '{"at":"sea"}'}
    assert reply.text.endswith("data: [DONE]\n\n")


async def test_what_claude_cannot_be_told_is_named_or_refused(house: House) -> None:
    reply = await house.chat(CLAUDE, temperature=0.5, seed=7)
    assert reply.status_code == 200 and reply.headers["x-aldgate-warnings"] == "left out: temperature, seed"
    reply = await house.chat(CLAUDE, n=2)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "n")


async def test_a_budget_binds_a_translated_call_that_names_no_bound(house: House) -> None:
    key = await house.gate.key(budget="1.00/day")
    body = {"model": CLAUDE, "messages": [{"role": "user", "content": "Hello"}]}
    reply = await house.gate.http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
    assert reply.status_code == 200
    assert house.claude.requests[-1].json()["max_tokens"] == 4096 < 64_000


# Errors.


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        (anthropic.refusal(400, "invalid_request_error", "messages: bad"), 400, "invalid_request_error"),
        (
            anthropic.refusal(400, "invalid_request_error", "prompt is too long: 3 tokens > 2 maximum"),
            400,
            "invalid_request_error",
        ),
        (anthropic.refusal(401, "authentication_error", "invalid x-api-key"), 502, "api_error"),
        (anthropic.refusal(402, "billing_error", "Pay."), 429, "rate_limit_error"),
        (anthropic.refusal(404, "not_found_error", "model: x"), 404, "not_found_error"),
        (anthropic.refusal(413, "request_too_large", "Too large"), 413, "request_too_large"),
        (anthropic.refusal(429, "rate_limit_error", "Slow down", retry_after="7"), 429, "rate_limit_error"),
        (anthropic.refusal(500, "api_error", "Internal"), 502, "api_error"),
        (anthropic.refusal(504, "timeout_error", "Slow"), 504, "timeout_error"),
        (anthropic.refusal(529, "overloaded_error", "Overloaded"), 529, "overloaded_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_providers_errors_in_its_callers_words(house: House, answer: bytes, status: int, kind: str, stream: bool) -> None:
    house.claude.script(raw(answer))
    reply = await house.messages(CLAUDE, stream=stream)
    error = reply.json()
    assert (reply.status_code, error["type"], error["error"]["type"]) == (status, "error", kind)
    assert error["request_id"] == reply.headers["request-id"] == reply.headers["x-request-id"]
    if b"retry-after" in answer:
        assert reply.headers["retry-after"] == "7"


async def test_g4_a_spent_account_is_not_retried(house: House) -> None:
    """Anthropic says so with 400 or with 429 and no `retry-after`; SDKs would try again."""
    house.claude.script(raw(anthropic.refusal(429, "rate_limit_error", "Spent", "enforced_spend_limit_reached")))
    reply = await house.messages(CLAUDE)
    assert (reply.status_code, reply.headers["x-should-retry"]) == (429, "false") and "retry-after" not in reply.headers


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "kind"),
    [
        ("/v1/messages", {"authorization": "Bearer nobody"}, {}, 401, "authentication_error"),
        ("/v1/messages", {"authorization": "Basic x"}, {}, 401, "authentication_error"),
        ("/v1/messages", {}, {}, 400, "invalid_request_error"),
        ("/v1/messages", {"content-type": "text/plain"}, {}, 415, "invalid_request_error"),
        ("/v1/messages/count_tokens", {"authorization": "Bearer nobody"}, {}, 401, "authentication_error"),
        ("/v1/messages/count_tokens", {}, {"model": "gone", "messages": [{"role": "user"}]}, 404, "not_found_error"),
        ("/v1/messages/nothing", {}, {}, 404, "not_found_error"),
    ],
)
async def test_the_gates_own_errors_are_anthropics_on_its_paths(
    house: House, path: str, headers: dict[str, str], body: Any, status: int, kind: str
) -> None:
    reply = await house.gate.http.post(path, json=body, headers=headers)
    assert (reply.status_code, reply.json()["type"], reply.json()["error"]["type"]) == (status, "error", kind)


async def test_g6_limits_are_told_in_anthropics_headers(house: House) -> None:
    """With every answer and with every refusal; Claude Code waits by them."""
    key = await house.gate.key(rpm=1, tpm=100_000)
    headers = {"authorization": f"Bearer {key}"}
    first, second = await house.messages(CLAUDE, headers), await house.messages(CLAUDE, headers)
    assert (first.status_code, second.status_code) == (200, 429)
    for reply in (first, second):
        assert reply.headers["anthropic-ratelimit-requests-limit"] == "1"
        assert reply.headers["anthropic-ratelimit-requests-remaining"] == "0"
        assert reply.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
        assert reply.headers["anthropic-ratelimit-tokens-limit"] == "100000"
        assert "x-ratelimit-limit-requests" not in reply.headers
    assert int(second.headers["retry-after"]) > 0


# Counting, models, and whoever asks whether somebody is there.


async def test_tokens_are_counted_by_the_provider_or_by_us_and_cost_nothing(house: House) -> None:
    key = await house.gate.key(rpm=1)
    headers = {"authorization": f"Bearer {key}", "anthropic-beta": "x-1"}

    def counts(model: str) -> Any:
        return house.gate.http.post(
            "/v1/messages/count_tokens?beta=true",
            json={"model": model, "messages": [{"role": "user", "content": "12345678"}]},
            headers=headers,
        )

    exact, own, again = await counts(CLAUDE), await counts(GPT), await counts(ECHO)
    assert (exact.json(), house.claude.requests[-1].path) == ({"input_tokens": 10}, "/v1/messages/count_tokens")
    assert house.claude.requests[-1].header("anthropic-beta") == "x-1"
    assert own.json() == again.json() and 2 <= own.json()["input_tokens"] <= 20
    assert house.gpt.requests == []
    assert await house.gate.usage(key) == []
    assert (await house.messages(CLAUDE, headers)).status_code == 200


async def test_a_count_needs_a_key_that_may_chat(house: House) -> None:
    key = await house.gate.key(scopes=["embed"])
    asked = {"model": CLAUDE, "messages": [{"role": "user", "content": "x"}]}
    reply = await house.gate.http.post(
        "/v1/messages/count_tokens", json=asked, headers={"x-api-key": key, "authorization": f"Bearer {key}"}
    )
    assert (reply.status_code, reply.json()["error"]["type"]) == (403, "permission_error")


async def test_models_are_discovered_page_by_page_and_listed_in_anthropics_shape(house: House) -> None:
    version = {"anthropic-version": "2023-06-01"}
    asked = [request.path for request in house.claude.requests if request.method == "GET"]
    assert asked == ["/v1/models?limit=1000", "/v1/models?limit=1000&after_id=claude-haiku-4-5"]
    listed = (await house.gate.http.get("/v1/models", headers=version)).json()
    assert [model["id"] for model in listed["data"]][:3] == [CLAUDE, "claude/claude-haiku-4-5", "claude/claude-old"]
    assert (listed["data"][0]["type"], listed["data"][0]["max_tokens"], listed["has_more"]) == ("model", 64_000, False)
    assert (listed["first_id"], listed["last_id"]) == (CLAUDE, listed["data"][-1]["id"])
    page = (await house.gate.http.get(f"/v1/models?limit=1&after_id={CLAUDE}", headers=version)).json()
    assert ([model["id"] for model in page["data"]], page["has_more"]) == (["claude/claude-haiku-4-5"], True)
    before = (await house.gate.http.get("/v1/models?limit=1&before_id=claude/claude-old", headers=version)).json()
    assert ([model["id"] for model in before["data"]], before["has_more"]) == (["claude/claude-haiku-4-5"], True)
    one = (await house.gate.http.get(f"/v1/models/{CLAUDE}", headers=version)).json()
    assert (one["id"], one["type"]) == (CLAUDE, "model")


@pytest.mark.parametrize(("query", "status"), [("limit=0", 400), ("limit=x", 400), ("after_id=gone", 400)])
async def test_a_page_that_cannot_be_is_refused_in_anthropics_words(house: House, query: str, status: int) -> None:
    reply = await house.gate.http.get(f"/v1/models?{query}", headers={"anthropic-version": "2023-06-01"})
    assert (reply.status_code, reply.json()["error"]["type"]) == (status, "invalid_request_error")


async def test_whoever_asks_whether_somebody_is_there_is_told(house: House) -> None:
    assert (await house.gate.http.head("/")).status_code == 200


async def test_c1_thoughts_of_another_model_come_back_and_do_not_reach_claude(house: House) -> None:
    """A caller keeps what it got and sends it to whichever model answers next; none refuses the turn."""
    head = wire.head([wire.EVENTS, wire.CHUNKED])
    pieces = [chunk({"role": "assistant", "reasoning_content": "Hm"}), chunk({"content": "Yes"}), chunk({}, "stop")]
    house.gpt.script(raw(head, *pieces, wire.chunk(sse(b"[DONE]")), wire.LAST_CHUNK))
    events = await house.stream(GPT, thinking={"type": "adaptive"})
    proof = next(event["delta"]["signature"] for event in events if event.get("delta", {}).get("type") == "signature_delta")
    said = [{"type": "thinking", "thinking": "Hm", "signature": proof}, {"type": "text", "text": "Yes"}]
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": said}, {"role": "user", "content": "y"}]
    for model in (GPT, CLAUDE):
        reply = await house.messages(model, messages=turns)
        assert reply.status_code == 200, reply.text
