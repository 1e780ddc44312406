"""Bugs reported of other gateways that concern Responses; each shows here that it is not ours."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import running_gate
from tests.surfaces.responses.lab import MODELS, ResponsesLab, call_delta, chat_stream, response_stream, responses_lab, texts

from aldgate.core.calls import Peek
from aldgate.core.conversation import Answer, Conversation, Message, Reasoning, Text, Thinking, ToolCall, ToolResult
from aldgate.core.routes import Deployment
from aldgate.dialects.anthropic.dialect import ANTHROPIC
from aldgate.dialects.gemini.dialect import GEMINI
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.testing.upstream import Act, Reply, Step, wire
from aldgate.testing.upstream.replies import STREAM_HEAD
from aldgate.testing.upstream.responses import framed

CALL = "req-0123456789abcdef01234567"
HELLO = [{"role": "user", "content": "Hi"}]
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}
DEPLOYMENT = Deployment("p/m", "p", "m", None, "file")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[ResponsesLab]:
    async with responses_lab(tmp_path) as lab:
        yield lab


def written(*parts: Any) -> list[dict[str, Any]]:
    """The output items of an answer."""
    peek = Peek(b'{"model":"m","input":"Hi"}', "m")
    return json.loads(RESPONSES.write(CALL, peek, Conversation("responses", []), Answer(list(parts))))["output"]


def sent_back(output: list[dict[str, Any]], *more: dict[str, Any]) -> Conversation:
    """The conversation that a caller goes on with."""
    body = json.dumps({"model": "m", "input": [*HELLO, *output, *more], "tools": [LOOK]}).encode()
    asked = RESPONSES.parse("chat", RESPONSES.peek("chat", body))
    assert isinstance(asked, Conversation)
    return asked


async def test_a1_parallel_calls_are_items_of_their_own(here: ResponsesLab) -> None:
    """Calls whose arguments come interleaved each get an output index and all of their own arguments."""
    here.upstream.script(
        chat_stream(
            call_delta(0, "c1", "look"),
            call_delta(1, "c2", "look"),
            call_delta(0, arguments='{"at":'),
            call_delta(1, arguments='{"at":2}'),
            call_delta(0, arguments="1}"),
            finish="tool_calls",
        )
    )
    told = await here.stream("lab/gpt-4.1", "Hi", tools=[LOOK])
    done = [event for event in told if event["type"] == "response.output_item.done"]
    assert [(event["output_index"], event["item"]["call_id"], event["item"]["arguments"]) for event in done] == [
        (0, "c1", '{"at":1}'),
        (1, "c2", '{"at":2}'),
    ]
    by_index: dict[int, str] = {}
    for event in told:
        if event["type"] == "response.function_call_arguments.delta":
            by_index[event["output_index"]] = by_index.get(event["output_index"], "") + event["delta"]
    assert by_index == {0: '{"at":1}', 1: '{"at":2}'}


async def test_a10_pictures_in_tool_results_go_on(here: ResponsesLab) -> None:
    """A picture that a tool returned reaches a chat model, whose tool messages hold text alone."""
    output = [{"type": "input_image", "image_url": "https://example.com/cat.png"}]
    call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
    await here.make("lab/gpt-4.1", [*HELLO, call, {"type": "function_call_output", "call_id": "c1", "output": output}])
    assert "https://example.com/cat.png" in json.dumps(here.sent()["messages"])


@pytest.mark.parametrize("model", MODELS[1:3])
async def test_b3_an_error_event_becomes_response_failed(here: ResponsesLab, model: str) -> None:
    """A bare `error` in the provider's stream reaches the caller as `response.failed`, and ends the stream."""
    begun = {"type": "response.created", "sequence_number": 0, "response": {"id": "r", "model": "m", "status": "in_progress"}}
    delta = {"type": "response.output_text.delta", "sequence_number": 1, "output_index": 0, "delta": "Hal"}
    error = {"type": "error", "sequence_number": 2, "code": "server_error", "message": "It broke", "param": None}
    here.upstream.script(response_stream(begun, delta, error))
    told = await here.stream(model, "Hi")
    assert texts(told) == "Hal"
    assert [event["type"] for event in told if event["type"] in ("error", "response.failed")] == ["response.failed"]


async def test_c4_a_thought_shown_only_in_responses_reaches_a_chat_caller(here: ResponsesLab) -> None:
    """Where a model thinks aloud only in Responses, a chat caller reads its thoughts too."""
    thought = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}
    whole = {
        "id": "r",
        "model": "m",
        "status": "completed",
        "output": [thought],
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
    here.upstream.script(
        response_stream(
            {"type": "response.created", "response": {"id": "r", "model": "m", "status": "in_progress", "output": []}},
            {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Hm"},
            {"type": "response.output_item.done", "output_index": 0, "item": thought},
            {"type": "response.completed", "response": whole},
        )
    )
    asked = {"model": "only/gpt-4.1", "messages": HELLO, "stream": True, "reasoning_effort": "low"}
    reply = await here.gate.http.post("/v1/chat/completions", json=asked)
    assert '"reasoning_content":"Hm"' in reply.text
    assert here.sent()["reasoning"] == {"effort": "low"}


def test_c5_other_providers_proofs_survive_the_round_trip() -> None:
    """A thought signed by Anthropic and a call signed by Gemini come back to each, and go to nobody else."""
    thought = Reasoning("Hm", "sig-a", origin="anthropic")
    hidden = Reasoning("", None, "blob", origin="anthropic")
    call = ToolCall("c1", "look", "{}", signature="sig-g", origin="gemini")
    output = {"type": "function_call_output", "call_id": "c1", "output": "A cat"}
    back = sent_back(written(thought, hidden, call), output)
    assert back.messages[1:] == [
        Message("assistant", [thought, hidden, call]),
        Message("tool", [ToolResult("c1", [Text("A cat")], name="look")]),
    ]
    anthropic = ANTHROPIC.build(back, DEPLOYMENT, stream=False, warnings=[]).decode()
    assert '"sig-a"' in anthropic and '"blob"' in anthropic and "sig-g" not in anthropic
    gemini = GEMINI.build(back, DEPLOYMENT, stream=False, warnings=[]).decode()
    assert '"sig-g"' in gemini and "sig-a" not in gemini


async def test_c5_other_providers_proofs_do_not_go_to_openai(here: ResponsesLab) -> None:
    """OpenAI refuses encrypted content that it did not write."""
    foreign = written(Reasoning("Hm", "sig-a", origin="anthropic"))
    own = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAA"}
    await here.make("native/gpt-4.1", [*HELLO, *foreign, own])
    assert here.sent()["input"] == [*HELLO, own]


async def test_c6_encrypted_reasoning_goes_back_as_it_came_and_nothing_that_must_be_looked_up(here: ResponsesLab) -> None:
    """Without storage a provider has no items: what is sent is complete, or left out."""
    own = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAAA"}
    await here.make("native/gpt-4.1", [*HELLO, own], store=False, include=["reasoning.encrypted_content"])
    assert here.sent()["input"] == [*HELLO, own]
    bare = {"id": "rs_2", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}
    message = {"id": "msg_2", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes"}]}
    whole = {"id": "resp_c6", "model": "m", "status": "completed", "output": [bare, own, message], "usage": None}
    here.upstream.script(Step("whole", lambda asked: iter([wire.whole(json.dumps(whole).encode())])))
    await here.make("native/gpt-4.1", "Hi")
    await here.make("native/gpt-4.1", [{"type": "message", "role": "user", "content": "And?"}], previous_response_id="resp_c6")
    assert [item["type"] for item in here.sent()["input"]] == ["message", "reasoning", "message", "message"]
    kept = here.sent()["input"][1:-1]
    assert [item.get("encrypted_content") for item in kept] == ["gAAAAA", None]
    assert not any("id" in item for item in kept)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("given", ["Hi", HELLO, [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]])
async def test_d8_a_streams_usage_does_not_depend_on_the_form_of_the_input(here: ResponsesLab, model: str, given: Any) -> None:
    """The terminal event tells of tokens whichever way the input was written."""
    usage = (await here.stream(model, given))[-1]["response"]["usage"]
    assert usage["input_tokens"] > 0 and usage["output_tokens"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_d9_a_stream_tells_what_was_cached(here: ResponsesLab) -> None:
    """Cached and reasoning tokens of a chat provider's stream reach the caller and the ledger."""
    here.upstream.script(
        chat_stream(
            {"content": "Hi"},
            usage={
                "prompt_tokens": 50,
                "completion_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 40},
                "completion_tokens_details": {"reasoning_tokens": 6},
            },
        )
    )
    key = await here.gate.key()
    usage = (await here.stream("lab/gpt-4.1", "Hi", key=key))[-1]["response"]["usage"]
    assert usage["input_tokens_details"]["cached_tokens"] == 40
    assert usage["output_tokens_details"]["reasoning_tokens"] == 6
    (row,) = await here.gate.usage(key)
    assert row["cached_tokens"] == 40
    here.upstream.reply = Reply(prompt_tokens=50)
    passed = (await here.stream("native/gpt-4.1", "Hi"))[-1]["response"]["usage"]
    assert passed["input_tokens_details"]["cached_tokens"] == 5


@pytest.mark.parametrize("stream", [False, True])
async def test_e6_a_model_of_responses_alone_answers_chat_callers(here: ResponsesLab, stream: bool) -> None:
    """Tools and effort together, which some models refuse on chat, go to `/v1/responses`, flat and not strict."""
    function = {"name": "look", "parameters": {"type": "object"}}
    asked: dict[str, Any] = {"model": "only/gpt-4.1", "messages": HELLO, "reasoning_effort": "low", "stream": stream}
    reply = await here.gate.http.post(
        "/v1/chat/completions", json={**asked, "tools": [{"type": "function", "function": function}]}
    )
    assert reply.status_code == 200, reply.text
    assert "fake" in reply.text
    assert here.upstream.requests[-1].path == "/v1/responses"
    sent = here.sent()
    assert sent["tools"] == [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}]
    assert (sent["store"], sent["reasoning"]) == (False, {"effort": "low"})


def test_e7_encrypted_reasoning_is_asked_for_only_of_models_that_think() -> None:
    """A model that does not think refuses the `include`, so only a caller who asks for thought gets it."""
    messages = [Message("user", [Text("Hi")])]

    def included(thinking: Thinking | None) -> Any:
        asked = Conversation("openai", messages, thinking=thinking)
        return json.loads(RESPONSES.build(asked, DEPLOYMENT, stream=False, warnings=[])).get("include")

    assert included(None) is None
    assert included(Thinking("none")) is None
    assert included(Thinking("low")) == ["reasoning.encrypted_content"]


async def test_i2_a_caller_who_leaves_after_a_call_is_billed_for_it(here: ResponsesLab) -> None:
    """Codex hangs up once it has a function call: the call is settled and recorded all the same."""
    item = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}", "status": "completed"}
    told = [
        {"type": "response.created", "response": {"id": "r", "model": "m", "status": "in_progress"}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]
    frames = [STREAM_HEAD, *(wire.chunk(framed(event)) for event in told), Act.HANG]
    here.upstream.script(Step("call_then_silence", lambda asked: iter(frames)))
    key = await here.gate.key()
    asked = {"model": "native/gpt-4.1", "input": "Hi", "stream": True}
    headers = {"authorization": f"Bearer {key}"}
    async with here.gate.http.stream("POST", "/v1/responses", json=asked, headers=headers) as reply:
        async for line in reply.aiter_lines():
            if "response.output_item.done" in line:
                break
    async with asyncio.timeout(5):
        await here.upstream.saw_close()
        while here.gate.app.gate.under_way:
            await asyncio.sleep(0)
    (row,) = await here.gate.usage(key)
    assert (row["calls"], row["errors"]) == (1, 1)
    assert row["prompt_tokens"] > 0 and row["completion_tokens"] > 0


@pytest.mark.parametrize("first", MODELS)
@pytest.mark.parametrize("then", MODELS)
async def test_j1_any_deployment_continues_what_any_other_began(here: ResponsesLab, first: str, then: str) -> None:
    """`previous_response_id` ties a conversation to no deployment: the next one gets all of it."""
    begun = await here.make(first, "One")
    continued = await here.make(then, "Two", previous_response_id=begun["id"])
    assert continued["previous_response_id"] == begun["id"]
    items = (await here.gate.http.get(f"/v1/responses/{continued['id']}/input_items")).json()["data"]
    assert len(items) == 3


async def test_j2_a_response_needs_no_model_to_be_found(tmp_path: Path) -> None:
    """Fetching and deleting work though the provider is gone and the gate was started anew."""
    async with responses_lab(tmp_path) as lab:
        made = await lab.make("lab/gpt-4.1", "Hi")
    path = f"/v1/responses/{made['id']}"
    async with running_gate(tmp_path) as gate:
        assert (await gate.http.get(path)).json() == made
        assert (await gate.http.delete(path)).json()["deleted"] is True
        assert (await gate.http.get(path)).status_code == 404
