"""What policies say of parameters, tools, models and retention, seen by the provider and by the caller."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aldgate.core.policies import Policy
from aldgate.testing.upstream import FakeUpstream
from tests.policies import key_with
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio
USER = [{"role": "user", "content": "hello"}]
SHAPE = Policy(
    parameter_caps={"temperature": 0.5, "n": 2, "top_k": 40},
    parameter_defaults={"top_p": 0.25, "dimensions": 8},
    forced_parameters={"seed": 7},
)


@pytest.fixture(scope="module")
async def gate(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGate]:
    data: Path = tmp_path_factory.mktemp("shaped")
    providers = {
        "lab": lab(upstream.url, models=["gpt-4.1", "gpt-5"]),
        "claude": {"kind": "anthropic", "base_url": upstream.url, "api_key": "env:LAB_KEY", "models": ["claude-sonnet-4-5"]},
        "google": {"kind": "gemini", "base_url": upstream.url, "api_key": "env:LAB_KEY", "models": ["gemini-2.5-flash"]},
        "llama": {"kind": "ollama", "base_url": upstream.url, "models": ["qwen3"]},
    }
    async with running_gate(data, providers=providers, config='[aliases]\nfast = "gpt-4.1"\n') as gate:
        yield gate


async def sent(gate: RunningGate, upstream: FakeUpstream, key: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What reached the provider."""
    reply = await gate.http.post(path, json=body, headers={"authorization": f"Bearer {key}"})
    assert reply.status_code == 200, reply.text
    return json.loads(upstream.requests[-1].body)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["lab/gpt-4.1", "claude/claude-sonnet-4-5"])
async def test_openai_requests_are_shaped(gate: RunningGate, upstream: FakeUpstream, model: str, stream: bool) -> None:
    key = await key_with(gate, SHAPE)
    body = {"model": model, "messages": USER, "temperature": 1.5, "seed": 1, "stream": stream}
    found = await sent(gate, upstream, key, "/v1/chat/completions", body)
    assert found["temperature"] == 0.5
    assert model.startswith("claude") or (found["top_p"], found["seed"]) == (0.25, 7)  # this Claude takes one of the two
    assert "dimensions" not in found
    found = await sent(gate, upstream, key, "/v1/chat/completions", {**body, "temperature": 0.1, "top_p": 1})
    assert found["temperature"] == 0.1


async def test_each_dialect_has_its_own_places(gate: RunningGate, upstream: FakeUpstream) -> None:
    key = await key_with(gate, SHAPE)
    hot = {"temperature": 1.5, "top_k": 99}
    found = await sent(
        gate, upstream, key, "/v1/messages", {"model": "claude/claude-sonnet-4-5", "max_tokens": 9, "messages": USER, **hot}
    )
    assert (found["temperature"], found["top_k"], found["top_p"]) == (0.5, 40, 0.25) and "seed" not in found
    contents = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    for config in (
        {"generationConfig": {"temperature": 1.5, "top_k": "99"}},
        {"generation_config": {"temperature": 2, "topK": 99}},
    ):
        found = await sent(gate, upstream, key, "/v1beta/models/google/gemini-2.5-flash:generateContent", {**contents, **config})
        (kept,) = (found[name] for name in found if name.lower().startswith("generation"))
        assert (kept["temperature"], kept.get("topK", kept.get("top_k")), kept["topP"], kept["seed"]) == (0.5, 40, 0.25, 7)
    found = await sent(gate, upstream, key, "/v1beta/models/google/gemini-2.5-flash:generateContent", contents)
    assert found["generationConfig"] == {"topP": 0.25, "seed": 7}
    found = await sent(gate, upstream, key, "/api/chat", {"model": "llama/qwen3", "messages": USER, "options": hot})
    assert found["options"] == {"temperature": 0.5, "top_k": 40, "top_p": 0.25, "seed": 7}
    found = await sent(gate, upstream, key, "/v1/responses", {"model": "lab/gpt-4.1", "input": "hello", "temperature": 1.5})
    assert (found["temperature"], found["top_p"]) == (0.5, 0.25)
    found = await sent(gate, upstream, key, "/v1/embeddings", {"model": "lab/gpt-4.1", "input": "hello"})
    assert (found["dimensions"], "top_p" in found, "seed" in found) == (8, False, False)


@pytest.mark.parametrize(
    "spelt",
    ['"Temperature":2', '"TEMPERATURE":2,"temperature":0.1', '"t\\u0065mperature":2', '"temperature":2,"temperature":0.1'],
)
async def test_no_spelling_passes_by(gate: RunningGate, upstream: FakeUpstream, spelt: str) -> None:
    key = await key_with(gate, SHAPE)
    body = '{"model":"gpt-4.1",' + spelt + ',"messages":[{"role":"user","content":"hello"}]}'
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    reply = await gate.http.post("/v1/chat/completions", content=body, headers=headers)
    if reply.status_code == 200:
        assert upstream.requests[-1].body.count(b"emperature") == 1
        assert json.loads(upstream.requests[-1].body)["temperature"] <= 0.5
    else:
        assert reply.status_code == 400 and reply.json()["error"]["param"] == "temperature"


async def test_what_is_governed_is_read_again(gate: RunningGate, upstream: FakeUpstream) -> None:
    key = await key_with(gate, SHAPE)
    found = await sent(gate, upstream, key, "/v1/chat/completions", {"model": "gpt-4.1", "messages": USER, "n": 100})
    assert found["n"] == 2
    private = await key_with(gate, Policy(forced_parameters={"store": False, "model": "gpt-5", "stream": True}))
    reply = await gate.http.post(
        "/v1/responses", json={"model": "lab/gpt-4.1", "input": "hello"}, headers={"authorization": f"Bearer {private}"}
    )
    assert reply.status_code == 200 and reply.json()["model"].endswith("gpt-4.1")
    again = await gate.http.get(f"/v1/responses/{reply.json()['id']}", headers={"authorization": f"Bearer {private}"})
    assert again.status_code == 404


def function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


FLAT = {"type": "function", "name": "shell", "parameters": {"type": "object", "properties": {}}}
BRINGING: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"model": "gpt-4.1", "messages": USER, "tools": [function("search"), function("shell")]}),
    ("/v1/chat/completions", {"model": "gpt-4.1", "messages": USER, "functions": [{"name": "shell"}]}),
    ("/v1/chat/completions", {"model": "gpt-4.1", "messages": USER, "stream": True, "tools": [function("shell")]}),
    ("/v1/responses", {"model": "gpt-4.1", "input": "hello", "tools": [FLAT]}),
    ("/v1/responses", {"model": "gpt-4.1", "input": "hello", "tools": [{**FLAT, "function": {"name": "search"}}]}),
    ("/v1/responses", {"model": "gpt-4.1", "input": "hello", "tools": [{"type": "shell", "name": "search"}]}),
    ("/v1/messages", {"model": "gpt-4.1", "max_tokens": 9, "messages": USER, "tools": [{"name": "shell", "input_schema": {}}]}),
    (
        "/v1/messages",
        {"model": "gpt-4.1", "max_tokens": 9, "messages": USER, "tools": [{"name": "search", "type": "shell_20250101"}]},
    ),
    (
        "/v1beta/models/gpt-4.1:generateContent",
        {"contents": [{"parts": [{"text": "hello"}]}], "tools": [{"function_declarations": [{"name": "shell"}]}]},
    ),
    ("/v1beta/models/gpt-4.1:generateContent", {"contents": [{"parts": [{"text": "hello"}]}], "tools": [{"shell": {}}]}),
    ("/api/chat", {"model": "gpt-4.1", "messages": USER, "tools": [function("shell")]}),
]


@pytest.mark.parametrize(("path", "body"), BRINGING)
async def test_a_tool_that_is_not_allowed_is_refused(gate: RunningGate, path: str, body: dict[str, Any]) -> None:
    key = await key_with(gate, Policy(tools=("search",)))
    refused = await gate.http.post(path, json=body, headers={"authorization": f"Bearer {key}"})
    assert refused.status_code == 403 and "`shell`" in refused.text and "key `shaped`" in refused.text
    told = await gate.http.post("/v1/explain", json={"path": path, "body": body}, headers={"authorization": f"Bearer {key}"})
    assert told.status_code == 200 and "`shell`" in told.text


async def test_allowed_tools_pass(gate: RunningGate, upstream: FakeUpstream) -> None:
    key = await key_with(gate, Policy(tools=("sea*",)))
    found = await sent(
        gate, upstream, key, "/v1/chat/completions", {"model": "gpt-4.1", "messages": USER, "tools": [function("search")]}
    )
    assert found["tools"] == [function("search")]
    body = {"model": "gpt-4.1", "messages": USER, "Tools": [function("shell")]}
    refused = await gate.http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
    assert refused.status_code == 400


@pytest.mark.parametrize("path", ["/v1/models", "/v1beta/models", "/api/tags"])
async def test_lists_show_what_may_be_called(gate: RunningGate, path: str) -> None:
    key = await key_with(gate, Policy(models=("*gpt-4.1", "fast"), denied_providers=("builtin",)))
    reply = await gate.http.get(path, headers={"authorization": f"Bearer {key}"})
    listed = reply.json().get("data") if path == "/v1/models" else reply.json()["models"]
    names = {(item.get("id") or item["name"]).removeprefix("models/") for item in listed}
    assert names == {"lab/gpt-4.1", "fast"}
    everything = await gate.http.get(path, headers={"authorization": f"Bearer {await gate.key()}"})
    assert "gpt-5" in everything.text and "gpt-5" not in reply.text


@pytest.mark.parametrize("name", ["lab/gpt-4.1", "gpt-4.1", "fast", "lab/gpt-5", "gpt-5", "claude/unheard-of", "nobody/nothing"])
async def test_one_model_is_shown_to_whom_may_call_it(gate: RunningGate, name: str) -> None:
    key = await key_with(gate, Policy(models=("*gpt-4.1", "fast"), denied_providers=("claude",)))
    headers = {"authorization": f"Bearer {key}"}
    called = await gate.http.post("/v1/chat/completions", json={"model": name, "messages": USER}, headers=headers)
    for path in (f"/v1/models/{name}", f"/v1beta/models/{name}"):
        assert (await gate.http.get(path, headers=headers)).status_code == called.status_code, path
    shown = await gate.http.post("/api/show", json={"model": name}, headers=headers)
    assert shown.status_code == called.status_code


async def test_nothing_is_kept_for_longer_than_allowed(gate: RunningGate) -> None:
    key = await key_with(gate, Policy(retention_s=60))
    headers = {"authorization": f"Bearer {key}"}
    file = {"file": ("in.jsonl", b"{}\n")}
    for purpose in ("batch", "user_data"):
        made = await gate.http.post("/v1/files", files=file, data={"purpose": purpose}, headers=headers)
        assert 55 < made.json()["expires_at"] - time.time() <= 61, made.text
    long = {"purpose": "user_data", "expires_after[anchor]": "created_at", "expires_after[seconds]": "86400"}
    made = await gate.http.post("/v1/files", files=file, data=long, headers=headers)
    assert made.json()["expires_at"] - time.time() <= 61
    kept = await gate.http.post("/v1/responses", json={"model": "lab/gpt-4.1", "input": "hello"}, headers=headers)
    principal = await gate.app.identity.identify(key.encode())
    row = await gate.app.store.find_response(principal.account, kept.json()["id"], time.time())
    assert row is not None and row.expires_at == row.created_at + 60
