"""Ollama's face and Ollama's provider through a running gate: each with itself, and each with others."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.upstream import FakeUpstream, faults, ollama
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio

CHAT = {"messages": [{"role": "user", "content": "Hello"}]}
SAID = "Hello from the fake upstream."
FUNCTION = {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOL = {"type": "function", "function": FUNCTION}
IMAGE = "iVBORw0KGgo="
EVERYONE = ["ollama/qwen3:8b", "lab/gpt-4.1", "builtin/echo"]


@pytest.fixture
async def server() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def gate(server: FakeUpstream, tmp_path: Path) -> AsyncIterator[RunningGate]:
    tables = {
        "ollama": {"base_url": f"http://127.0.0.1:{server.port}/v1", "num_ctx": 8192},
        "lab": lab(server.url, models=["gpt-4.1", "text-embedding-3-small"]),
    }
    async with running_gate(tmp_path, providers=tables, config='[aliases]\nfast = "ollama/qwen3:8b"\n') as running:
        server.requests.clear()
        yield running


async def asked(gate: RunningGate, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    reply = await gate.http.post(path, json={"stream": False, **body})
    assert reply.status_code == status, reply.text
    return reply.json()


async def streamed(gate: RunningGate, path: str, **body: Any) -> list[dict[str, Any]]:
    reply = await gate.http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in reply.text.splitlines()]


def chunks(text: str) -> list[dict[str, Any]]:
    frames = text.strip().split("\n\n")
    assert frames.pop() == "data: [DONE]"
    return [json.loads(frame[6:]) for frame in frames]


@pytest.mark.parametrize("model", EVERYONE)
async def test_ollamas_callers_reach_every_model(gate: RunningGate, model: str) -> None:
    said = "Hello" if model.startswith("builtin") else SAID
    for name in (model, f"{model}:latest") if ":" not in model else (model,):
        whole = await asked(gate, "/api/chat", model=name, **CHAT)
        assert whole["message"]["content"] == said
        assert (whole["done"], whole["done_reason"]) == (True, "stop")
        assert whole["prompt_eval_count"] > 0 and whole["eval_count"] > 0 and "total_duration" in whole
        lines = await streamed(gate, "/api/chat", model=name, **CHAT)
        assert "".join(line["message"]["content"] for line in lines) == said
        assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
        assert lines[-1]["eval_count"] == whole["eval_count"]


@pytest.mark.parametrize("model", EVERYONE)
async def test_a_prompt_alone_is_answered_by_every_model(gate: RunningGate, model: str) -> None:
    said = "Hello" if model.startswith("builtin") else SAID
    whole = await asked(gate, "/api/generate", model=model, prompt="Hello")
    assert whole["response"] == said
    lines = await streamed(gate, "/api/generate", model=model, prompt="Hello")
    assert "".join(line["response"] for line in lines) == said
    assert lines[-1]["done"] is True
    refused = await asked(gate, "/api/generate", 400, model=model, prompt="Hello", suffix="}")
    assert "suffix" in refused["error"]


@pytest.mark.parametrize("model", ["ollama/nomic-embed-text", "lab/text-embedding-3-small", "builtin/embed"])
async def test_embeddings_in_both_forms(gate: RunningGate, model: str) -> None:
    many = await asked(gate, "/api/embed", model=model, input=["a", "b"])
    assert len(many["embeddings"]) == 2 and many["prompt_eval_count"] > 0
    one = await asked(gate, "/api/embeddings", model=model, prompt="a")
    assert len(one["embedding"]) == len(many["embeddings"][0])


async def test_bytes_pass_through_to_ollama(gate: RunningGate, server: FakeUpstream) -> None:
    body = {**CHAT, "model": "qwen3:8b", "options": {"mirostat": 1, "num_predict": 9}, "keep_alive": "5m", "think": "low"}
    await gate.http.post("/api/chat", json=body)
    (request,) = server.requests
    assert (request.path, request.json()) == ("/api/chat", body)
    assert request.header("authorization") is None


async def test_callers_of_openais_reach_ollamas_openai_form_with_their_own_bytes(gate: RunningGate, server: FakeUpstream) -> None:
    body = {**CHAT, "model": "ollama/qwen3:8b", "n": 1, "x_own": True}
    reply = await gate.http.post("/v1/chat/completions", json=body)
    assert reply.json()["choices"][0]["message"]["content"] == SAID
    (request,) = server.requests
    assert (request.path, request.json()) == ("/v1/chat/completions", {**body, "model": "qwen3:8b"})


async def test_callers_of_anthropics_and_geminis_reach_ollama(gate: RunningGate, server: FakeUpstream) -> None:
    contents = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], "generationConfig": {"maxOutputTokens": 3}}
    reply = await gate.http.post("/v1beta/models/ollama/qwen3:8b:generateContent", json=contents)
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert answer["candidates"][0]["content"]["parts"][0]["text"] == "Hello from the "
    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"
    (request,) = server.requests
    assert request.path == "/api/chat"
    assert request.json()["options"] == {"num_ctx": 8192, "num_predict": 3}
    assert request.json()["truncate"] is False


async def test_tools_and_thoughts_of_ollama(gate: RunningGate, server: FakeUpstream) -> None:
    thought = {"thinking": "hm"}
    calls = [{"function": {"index": 0, "name": "look", "arguments": {"city": city}}} for city in ("Rome", "Oslo")]
    server.script(ollama.saying({**thought, "tool_calls": calls}), ollama.saying(thought, *({"tool_calls": [c]} for c in calls)))
    contents = {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "tools": [{"functionDeclarations": [{"name": "look", "parameters": FUNCTION["parameters"]}]}],
    }
    path = "/v1beta/models/ollama/qwen3:8b:"
    whole = (await gate.http.post(f"{path}generateContent", json=contents)).json()
    frames = (await gate.http.post(f"{path}streamGenerateContent?alt=sse", json=contents)).text.split("\r\n\r\n")[:-1]
    parts = [part for frame in frames for part in json.loads(frame[6:])["candidates"][0]["content"]["parts"]]
    for said in (whole["candidates"][0]["content"]["parts"], parts):
        called = [part["functionCall"] for part in said if "functionCall" in part]
        assert [call["args"] for call in called] == [{"city": "Rome"}, {"city": "Oslo"}]
    assert server.requests[-1].json()["tools"][0]["function"]["name"] == "look"


async def test_tools_of_openais_models_for_ollamas_callers(gate: RunningGate, server: FakeUpstream) -> None:
    history = [
        {"role": "user", "content": "look", "images": [IMAGE]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "look", "arguments": {"city": "Rome"}}}]},
        {"role": "tool", "content": "sunny", "tool_name": "look"},
    ]
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    await asked(gate, "/api/chat", model="lab/gpt-4.1", messages=history, tools=[TOOL], format=schema, options={"num_predict": 4})
    sent = server.requests[-1].json()
    user, assistant, result = sent["messages"]
    assert user["content"][1]["image_url"]["url"] == f"data:image/png;base64,{IMAGE}"
    call = assistant["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"city": "Rome"}
    assert (result["role"], result["tool_call_id"]) == ("tool", call["id"])
    assert sent["response_format"]["json_schema"]["schema"] == schema
    assert sent["tools"][0]["function"]["name"] == "look"
    assert 4 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))


async def test_a_tool_call_of_the_echo_has_its_arguments_as_an_object(gate: RunningGate) -> None:
    said = {"model": "builtin/echo", "messages": [{"role": "user", "content": "Hello"}], "tools": [TOOL]}
    reply = await gate.http.post("/v1/chat/completions", json={**said, "tool_choice": "required"})
    assert reply.json()["choices"][0]["message"]["tool_calls"]
    whole = await asked(gate, "/api/chat", **said)
    assert whole["done_reason"] == "stop"


@pytest.mark.parametrize("model", ["ollama/qwen3:8b", "lab/gpt-4.1"])
async def test_a_cut_answer_says_length(gate: RunningGate, model: str) -> None:
    whole = await asked(gate, "/api/chat", model=model, **CHAT, options={"num_predict": 2})
    assert (whole["done_reason"], whole["message"]["content"]) == ("length", "Hello from ")
    lines = await streamed(gate, "/api/chat", model=model, **CHAT, options={"num_predict": 2})
    assert lines[-1]["done_reason"] == "length"


@pytest.mark.parametrize("stream", [None, False])
async def test_loading_a_model_that_needs_none_is_answered_and_free(
    gate: RunningGate, server: FakeUpstream, stream: bool | None
) -> None:
    headers = {"authorization": f"Bearer {await gate.key('loader', budget='1.00/month')}"}
    for path, more, why in (
        ("/api/chat", {"messages": []}, "load"),
        ("/api/chat", {"keep_alive": 0}, "unload"),
        ("/api/generate", {}, "load"),
        ("/api/generate", {"prompt": "", "keep_alive": 0}, "unload"),
    ):
        body = {"model": "lab/gpt-4.1", **more} | ({} if stream is None else {"stream": stream})
        reply = await gate.http.post(path, json=body, headers=headers)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
        told = reply.json()
        assert (told["model"], told["done"], told["done_reason"]) == ("lab/gpt-4.1", True, why)
        assert told.get("response", told.get("message", {}).get("content")) == ""
    assert server.requests == []
    reply = await gate.http.post("/api/chat", json={"model": "nobody"}, headers=headers)
    assert reply.status_code == 404


async def test_errors_have_ollamas_shape(gate: RunningGate, server: FakeUpstream) -> None:
    assert "does not exist" in (await asked(gate, "/api/chat", 404, model="nobody", **CHAT))["error"]
    assert (await asked(gate, "/api/chat", 400, model=1))["error"]
    reply = await gate.http.post("/api/chat", json={"model": "fast", **CHAT}, headers={"authorization": "Bearer wrong"})
    assert reply.status_code == 401 and isinstance(reply.json()["error"], str)
    assert (await gate.http.get("/api/chat")).status_code == 405
    server.script(ollama.fault(400, '"qwen3:8b" does not support thinking'))
    assert "support thinking" in (await asked(gate, "/api/chat", 400, model="fast", **CHAT))["error"]
    server.script(ollama.fault(503, "server busy, please try again"))
    reply = await gate.http.post("/v1beta/models/fast:generateContent", json={"contents": [{"parts": [{"text": "x"}]}]})
    assert reply.status_code == 503
    server.script(faults.status(429, retry_after_s=7))
    limited = await gate.http.post("/api/chat", json={"model": "lab/gpt-4.1", **CHAT})
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")


async def test_a_failure_in_the_middle_is_the_last_line(gate: RunningGate, server: FakeUpstream) -> None:
    server.script(ollama.fault_in_stream("model runner has stopped"), faults.error_in_stream(), faults.truncated_stream(after=3))
    for model in ("ollama/qwen3:8b", "lab/gpt-4.1", "lab/gpt-4.1"):
        lines = await streamed(gate, "/api/chat", model=model, **CHAT)
        assert list(lines[-1]) == ["error"] and "message" in lines[0]
        assert not any(line.get("done") for line in lines)
    server.script(ollama.fault_in_stream("model runner has stopped", after=0))
    assert "stopped" in (await asked(gate, "/api/chat", 502, model="fast", stream=True, **CHAT))["error"]


async def test_a_failure_of_ollama_in_the_middle_reaches_other_callers(gate: RunningGate, server: FakeUpstream) -> None:
    server.script(ollama.fault_in_stream("model runner has stopped"))
    body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    reply = await gate.http.post("/v1beta/models/fast:streamGenerateContent?alt=sse", json=body)
    assert reply.status_code == 200
    assert "error" in json.loads(reply.text.strip().split("\r\n\r\n")[-1][6:])


async def test_what_is_used_is_in_the_ledger(gate: RunningGate) -> None:
    key = await gate.key("ledger")
    for stream in (True, False):
        body = {"model": "fast", "stream": stream, **CHAT}
        await gate.http.post("/api/chat", json=body, headers={"authorization": f"Bearer {key}"})
    await gate.http.post("/api/generate", json={"model": "fast", "prompt": "x"}, headers={"authorization": f"Bearer {key}"})
    (row,) = await gate.usage(key)
    assert (row["calls"], row["prompt_tokens"], row["completion_tokens"], row["cost_microusd"]) == (3, 30, 15, 0)


async def test_the_catalogue_as_ollama_lists_it(gate: RunningGate) -> None:
    assert (await gate.http.get("/api/version")).json()["version"]
    assert (await gate.http.get("/api/ps")).json() == {"models": []}
    listed = (await gate.http.get("/api/tags")).json()["models"]
    names = [model["name"] for model in listed]
    assert {"ollama/qwen3:8b", "ollama/llava:latest", "lab/gpt-4.1", "builtin/echo", "fast"} <= set(names)
    assert not [name for name in names if name.endswith(":latest") and not name.startswith("ollama/")]
    assert all(model["digest"] and model["modified_at"] and model["model"] == model["name"] for model in listed)
    key = await gate.key(scopes=["chat"])
    for path in ("/api/tags", "/api/ps"):
        assert (await gate.http.get(path, headers={"authorization": f"Bearer {key}"})).status_code == 403


@pytest.mark.parametrize(
    ("model", "capabilities"),
    [
        ("ollama/qwen3:8b", {"completion", "embedding", "tools", "thinking"}),
        ("llava", {"completion", "embedding", "vision"}),
        ("ollama/nomic-embed-text", {"embedding"}),
        ("builtin/echo:latest", {"completion"}),
        ("builtin/embed", {"embedding"}),
    ],
)
async def test_a_model_is_shown_with_what_it_can_do(gate: RunningGate, model: str, capabilities: set[str]) -> None:
    shown = await asked(gate, "/api/show", model=model)
    assert set(shown["capabilities"]) == capabilities
    assert {"details", "model_info", "template"} <= set(shown)
    if model == "ollama/qwen3:8b":
        assert shown["model_info"]["ollama.context_length"] == 40_960


async def test_what_is_not_there_is_not_shown(gate: RunningGate) -> None:
    assert (await asked(gate, "/api/show", 404, model="nobody"))["error"]
    for body in (b"[", b"{}", b'{"model":""}'):
        assert (await gate.http.post("/api/show", content=body)).status_code == 400


async def test_a_model_that_only_embeds_is_not_asked_to_chat(gate: RunningGate, server: FakeUpstream) -> None:
    assert "cannot chat" in (await asked(gate, "/api/chat", 400, model="nomic-embed-text", **CHAT))["error"]
    assert not server.requests


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/pull"), ("POST", "/api/push"), ("POST", "/api/create"), ("POST", "/api/copy"), ("DELETE", "/api/delete")],
)
async def test_what_manages_models_is_refused_in_words_that_clients_read(gate: RunningGate, method: str, path: str) -> None:
    reply = await gate.http.request(method, path, json={"model": "qwen3:8b"})
    assert (reply.status_code, reply.json()) == (404, {"error": f"There is nothing at `{path}`."})
