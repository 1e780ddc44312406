"""Bugs reported of other gateways with what they send on, and with the limits and refusals that they tell of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from tests.regressions.house import FACES, WIRES, House, asking, chat_body, chat_frames, frames, running_house, streaming, whole

from aldgate.config.settings import Upstream
from aldgate.core.routes import Deployment
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.providers.section import Surroundings, build_provider
from aldgate.testing.upstream import faults
from aldgate.testing.upstream.replies import error_body

pytestmark = pytest.mark.anyio

FUNCTION = {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"sea"}'}}
THOUGHT = "Hm, the sea."


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_house(tmp_path, deepseek={"kind": "deepseek"}) as house:
        yield house


async def test_a9_one_call_at_a_time_is_asked_for_only_beside_tools(house: House) -> None:
    """`disable_parallel_tool_use` becomes `parallel_tool_calls: false` with tools; without any, none of it is sent."""
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    await house.ask("messages", "lab/m", tool_choice=choice, tools=[{"name": "look", "input_schema": {"type": "object"}}])
    assert house.sent()["parallel_tool_calls"] is False and len(house.sent()["tools"]) == 1
    await house.ask("messages", "lab/m", tool_choice=choice)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(house.sent())


@pytest.mark.parametrize("face", ["chat", "messages", "responses"])
async def test_c9_deepseeks_thoughts_come_back_to_it_with_their_call(house: House, face: str) -> None:
    """A turn with calls goes back with its `reasoning_content`, whichever dialect the client keeps its history in."""
    house.upstream.script(whole(chat_body({"reasoning_content": THOUGHT, "tool_calls": [TOOL_CALL]}, "tool_calls")))
    path, body = asking(face, "deepseek/m", stream=False)
    body |= {"thinking": {"type": "adaptive"}} if face == "messages" else {}
    answer = (await house.gate.http.post(path, json=body)).json()
    match face:
        case "chat":
            result = {"role": "tool", "tool_call_id": "call_1", "content": "A cat"}
            body["messages"] += [answer["choices"][0]["message"], result]
        case "messages":
            assert answer["content"][0]["thinking"] == THOUGHT
            result = {"type": "tool_result", "tool_use_id": "call_1", "content": "A cat"}
            body["messages"] += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [result]}]
        case _:
            output = {"type": "function_call_output", "call_id": "call_1", "output": "A cat"}
            body["input"] = [{"role": "user", "content": "Hello"}, *answer["output"], output]
    assert (await house.gate.http.post(path, json=body)).status_code == 200
    (turn,) = [message for message in house.sent()["messages"] if message["role"] == "assistant"]
    assert turn["reasoning_content"] == THOUGHT and turn["tool_calls"][0]["function"]["name"] == "look"


async def test_c9_a_turn_whose_thoughts_the_client_lost_is_not_refused(house: House) -> None:
    """DeepSeek answers 400 to a turn with calls and no thoughts, so a word stands in their place."""
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}]
    turns.append({"role": "tool", "tool_call_id": "call_1", "content": "A cat"})
    assert (await house.ask("chat", "deepseek/m", messages=turns)).status_code == 200
    assert house.sent()["messages"][1]["reasoning_content"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"max_tokens": 9, "temperature": 0.1}, {"max_completion_tokens": 9}),
        ({"max_completion_tokens": 9, "temperature": 1}, {"max_completion_tokens": 9, "temperature": 1}),
    ],
)
def test_e1_a_thinking_model_gets_no_field_that_it_refuses(given: dict[str, Any], sent: dict[str, Any]) -> None:
    """`max_tokens` is renamed and a temperature left out and named, for OpenAI's own gpt-5."""
    surroundings = Surroundings(Upstream(), 1_000, MappingProxyType({"OPENAI_API_KEY": "k"}))
    openai = build_provider("openai", {}, "file", surroundings).dialects["openai"]
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}], **given}
    deployment = Deployment("openai/gpt-5", "openai", "gpt-5", None, "file")
    warnings: list[str] = []
    peek = OPENAI.peek("chat", json.dumps(body).encode())
    went = json.loads(openai.outgoing("chat", peek, deployment, cap=None, warnings=warnings))
    assert {name: value for name, value in went.items() if name not in ("model", "messages")} == sent
    assert warnings == [name for name in given if name == "temperature" and name not in sent]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("status", [400, 422])
async def test_e1_a_refused_parameter_is_the_callers_400_and_no_500(house: House, face: str, status: int) -> None:
    """What the provider says of it reaches the caller in its own dialect."""
    refusal = error_body("Unsupported value: 'temperature' does not support 0.1.", "unsupported_value", param="temperature")
    house.upstream.script(whole(refusal, status=status))
    reply = await house.ask(face, "lab/m")
    assert reply.status_code == 400 and "does not support 0.1" in reply.text


@pytest.mark.parametrize("provider", WIRES)
async def test_e2_stop_sequences_of_messages_reach_every_provider(house: House, provider: str) -> None:
    """Each gets them under the name that it has for them."""
    assert (await house.ask("messages", f"{provider}/m", stop_sequences=["END"])).status_code == 200
    sent = house.sent()
    places = {
        "lab": lambda: sent["stop"],
        "claude": lambda: sent["stop_sequences"],
        "google": lambda: sent["generationConfig"]["stopSequences"],
        "ollama": lambda: sent["options"]["stop"],
    }
    assert places[provider]() == ["END"]


async def test_f4_the_callers_bytes_reach_the_provider_but_for_the_models_name(house: House) -> None:
    """Keys keep their order and numbers their spelling, so that a provider finds the prompt in its cache."""
    tools = b'"tools":[{"type":"function","function":{"name":"z","parameters":{"b":1.0,"a":2e0}}}]'
    given = b'{"n":1, "model":"lab/m",%b,"messages":[{"role":"user","content":"Hi \\u00e9"}]}' % tools
    for _ in range(2):
        await house.gate.http.post("/v1/chat/completions", content=given, headers={"content-type": "application/json"})
    first, second = (request.body for request in house.upstream.requests)
    assert first == second == given.replace(b'"lab/m"', b'"m"')


# Limits and refusals.


@pytest.mark.parametrize("face", ["chat", "messages", "responses", "gemini"])
async def test_g1_a_providers_wait_is_told_under_its_bare_name(house: House, face: str) -> None:
    """SDKs obey `retry-after`, and no other spelling of it."""
    house.upstream.script(faults.status(429, retry_after_s=7))
    reply = await house.ask(face, "lab/m")
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize("face", FACES)
async def test_g2_our_own_429_says_when_to_come_back(house: House, face: str) -> None:
    """A limit of the gate's own has a `retry-after` of at least a second."""
    key = await house.gate.key(rpm=1)
    first, second = [await house.ask(face, "lab/m", key=key) for _ in range(2)]
    assert (first.status_code, second.status_code) == (200, 429)
    assert 1 <= int(second.headers["retry-after"]) <= 60


@pytest.mark.parametrize(("face", "status"), [("chat", 503), ("messages", 529), ("responses", 503), ("gemini", 503)])
@pytest.mark.parametrize("provider", ["lab", "claude"])
async def test_g3_529_is_an_overload_and_never_a_limit_of_the_callers(
    house: House, provider: str, face: str, status: int
) -> None:
    """Callers of OpenAI's and Google's read 503, those of Anthropic's 529."""
    house.upstream.script(faults.status(529))
    assert (await house.ask(face, f"{provider}/m")).status_code == status


@pytest.mark.parametrize("face", ["messages", "chat"])
async def test_g6_every_answer_and_refusal_says_what_is_left(house: House, face: str) -> None:
    """Claude Code waits by Anthropic's headers, OpenAI's clients by theirs; without them they try for ever."""
    key = await house.gate.key(rpm=1)
    for status in (200, 429):
        reply = await house.ask(face, "lab/m", key=key)
        own = "anthropic-ratelimit-requests-remaining" if face == "messages" else "x-ratelimit-remaining-requests"
        assert (reply.status_code, reply.headers[own]) == (status, "0")


@pytest.mark.parametrize("stream", [False, True])
async def test_i3_the_provider_sees_the_close_when_the_caller_leaves(house: House, stream: bool) -> None:
    """A call that nobody waits for is stopped where it runs, translated as well as passed through."""
    for face in ("chat", "messages"):
        left, asked = house.upstream.closed_early, len(house.upstream.requests)
        house.upstream.script(faults.hang_before_head())
        call = asyncio.create_task(house.ask(face, "lab/m", stream=stream))
        async with asyncio.timeout(5):
            await house.upstream.saw_requests(asked + 1)
            call.cancel()
            await house.upstream.saw_close(left + 1)
        assert len(house.upstream.requests) == asked + 1


# What we had wrong ourselves.


@pytest.mark.parametrize("query", ["?apikey=1", "?page_key=1", "?monkey=&x=key=1", ""])
async def test_only_a_parameter_called_key_selects_geminis_list(house: House, query: str) -> None:
    """Any other query leaves OpenAI's callers their own shape."""
    assert (await house.gate.http.get(f"/v1/models{query}")).json()["object"] == "list"
    assert "models" in (await house.gate.http.get("/v1/models?key=1")).json()


async def test_e3_betas_of_a_header_reach_a_bedrock_request_as_far_as_it_knows_them(house: House) -> None:
    """`anthropic-beta` is read into the conversation; Anthropic itself gets the header and no member of the body."""
    _, body = asking("messages", "claude/m", stream=False)
    headers = {"anthropic-beta": "context-1m-2025-08-07, made-up-2030-01-01"}
    assert (await house.gate.http.post("/v1/messages", json=body, headers=headers)).status_code == 200
    assert "anthropic_beta" not in house.sent()
    assert house.upstream.requests[-1].header("anthropic-beta") == headers["anthropic-beta"]
    reply = await house.gate.http.post("/v1/messages", json=body | {"model": "lab/m"}, headers=headers)
    assert "anthropic_beta" in reply.headers["x-aldgate-warnings"] and "anthropic_beta" not in house.sent()


ODD = [
    (chat_body({"content": "Hi"}, "eos"), "stop", "Hi", None),
    (chat_body({"content": "Hi"}, "model_length"), "length", "Hi", None),
    (
        chat_body(
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Hi"}]}
        ),
        "stop",
        "Hi",
        "Hm",
    ),
]


@pytest.mark.parametrize("kind", ["mistral", "together"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("answer", "finish", "text", "thoughts"), ODD)
async def test_a_providers_own_words_become_openais(
    tmp_path: Path, kind: str, stream: bool, answer: dict[str, Any], finish: str, text: str, thoughts: str | None
) -> None:
    """Together's and Mistral's reasons for an end, and Mistral's lists, reach a caller of OpenAI's as OpenAI would say them."""

    (choice,) = answer["choices"]
    async with running_house(tmp_path, odd={"kind": kind}) as house:
        said = {"role": "assistant", "content": choice["message"]["content"]}
        house.upstream.script(streaming(*chat_frames(said, finish=choice["finish_reason"])) if stream else whole(answer))
        reply = await house.ask("chat", "odd/m", stream=stream)
        if stream:
            chunks = [event["choices"][0] for event in frames(reply.text)[:-1]]
            got, end = chunks[0]["delta"], chunks[-1]["finish_reason"]
        else:
            got, end = reply.json()["choices"][0]["message"], reply.json()["choices"][0]["finish_reason"]
        assert (end, got["content"], got.get("reasoning_content")) == (finish, text, thoughts)


@pytest.mark.parametrize(("kind", "reason"), [("mistral", "error"), ("deepseek", "insufficient_system_resource")])
@pytest.mark.parametrize("stream", [False, True])
async def test_b1_an_answer_that_its_provider_gave_up_is_an_error(tmp_path: Path, kind: str, reason: str, stream: bool) -> None:
    """A finish reason that means failure is told as one, whole and streamed."""

    async with running_house(tmp_path, odd={"kind": kind}) as house:
        cut = streaming(*chat_frames({"role": "assistant", "content": "Hi"}, finish=reason))
        house.upstream.script(cut if stream else whole(chat_body({"content": ""}, reason)))
        reply = await house.ask("chat", "odd/m", stream=stream)
        told = frames(reply.text)[-1] if reply.status_code == 200 else reply.json()
        assert told["error"]["code"] == "upstream_error"
        (row,) = await house.rows()
        assert row["error_code"] == "upstream_error"
