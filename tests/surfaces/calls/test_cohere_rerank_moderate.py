"""Cohere's provider, rerank and moderations through a running gate."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai.types import ModerationCreateResponse

from aldgate.engines.builtin.moderate import CATEGORIES
from aldgate.testing.upstream import FakeUpstream, cohere, faults
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio

CHAT = {"messages": [{"role": "user", "content": "Hello"}]}
SAID = "Hello from the fake upstream."
DOCUMENTS = ["opening hours", "reset your password"]
PRICES = """
[prices."cohere/rerank-v4.0"]
request = 0.002
[prices."cohere/embed-v4.0"]
input = 100
[prices."cohere/command-a"]
input = 1
output = 10
"""


@pytest.fixture
async def server() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def gate(server: FakeUpstream, tmp_path: Path) -> AsyncIterator[RunningGate]:
    tables = {
        "cohere": {"base_url": f"http://127.0.0.1:{server.port}", "api_key": "env:LAB_KEY"},
        "lab": lab(server.url, models=["gpt-4.1", "bge-reranker", "omni-moderation-latest"]),
    }
    async with running_gate(tmp_path, providers=tables, config=PRICES) as running:
        server.requests.clear()
        yield running


async def asked(gate: RunningGate, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    reply = await gate.http.post(path, json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


def chunks(text: str) -> list[dict[str, Any]]:
    frames = text.strip().split("\n\n")
    assert frames.pop() == "data: [DONE]"
    return [json.loads(frame[6:]) for frame in frames]


async def test_models_are_listed_with_what_they_are_for(gate: RunningGate) -> None:
    listed = [each["id"] for each in (await gate.http.get("/v1/models")).json()["data"] if each["owned_by"] == "cohere"]
    assert listed == ["cohere/command-a", "cohere/embed-v4.0", "cohere/rerank-v4.0"]
    assert "cannot chat" in (await asked(gate, "/v1/chat/completions", 400, model="rerank-v4.0", **CHAT))["error"]["message"]


async def test_callers_of_openais_chat_with_cohere(gate: RunningGate, server: FakeUpstream) -> None:
    whole = await asked(gate, "/v1/chat/completions", model="command-a", **CHAT, temperature=0.5)
    assert whole["choices"][0]["message"]["content"] == SAID
    assert (whole["choices"][0]["finish_reason"], whole["usage"]["total_tokens"]) == ("stop", 15)
    reply = await gate.http.post("/v1/chat/completions", json={"model": "command-a", "stream": True, "max_tokens": 2, **CHAT})
    said = chunks(reply.text)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in said) == "Hello from "
    assert said[-1]["choices"][0]["finish_reason"] == "length"
    first, second = (request.json() for request in server.requests)
    assert first == {"model": "command-a", "stream": False, "temperature": 0.5, **CHAT}
    assert (second["stream"], second["max_tokens"]) == (True, 2)
    assert (server.requests[0].header("authorization") or "").startswith("Bearer sk-lab-")


async def test_callers_of_ollamas_chat_with_cohere(gate: RunningGate) -> None:
    reply = await gate.http.post("/api/chat", json={"model": "command-a", **CHAT})
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert "".join(line["message"]["content"] for line in lines) == SAID
    assert (lines[-1]["done_reason"], lines[-1]["prompt_eval_count"], lines[-1]["eval_count"]) == ("stop", 10, 5)


async def test_tool_calls_of_cohere(gate: RunningGate, server: FakeUpstream) -> None:
    calls = [{"id": f"c{place}", "type": "function", "function": {"name": "look", "arguments": "{}"}} for place in (0, 1)]
    message = {"role": "assistant", "tool_plan": "I will look.", "tool_calls": calls}
    starts = [cohere.event("tool-call-start", {"message": {"tool_calls": call}}, index=place) for place, call in enumerate(calls)]
    plan = cohere.event("tool-plan-delta", {"message": {"tool_plan": "I will look."}})
    end = cohere.event("message-end", {"finish_reason": "TOOL_CALL"})
    body = {"id": "m", "finish_reason": "TOOL_CALL", "message": message}
    server.script(*(cohere.saying(body, plan, *starts, end) for _ in range(2)))
    request = {
        "model": "command-a",
        **CHAT,
        "tools": [{"type": "function", "function": {"name": "look"}}],
        "tool_choice": "required",
    }
    whole = (await asked(gate, "/v1/chat/completions", **request))["choices"][0]
    assert whole["finish_reason"] == "tool_calls"
    assert [call["id"] for call in whole["message"]["tool_calls"]] == ["c0", "c1"]
    assert whole["message"]["reasoning_content"] == "I will look."
    said = chunks((await gate.http.post("/v1/chat/completions", json={**request, "stream": True})).text)
    started = [call for chunk in said for call in chunk["choices"][0]["delta"].get("tool_calls", ()) if "id" in call]
    assert [(call["index"], call["id"]) for call in started] == [(0, "c0"), (1, "c1")]
    assert server.requests[0].json()["tool_choice"] == "REQUIRED"


async def test_errors_of_cohere(gate: RunningGate, server: FakeUpstream) -> None:
    server.script(cohere.fault(400, "too many tokens: size limit exceeded"), cohere.fault(498, "invalid token"))
    assert (await asked(gate, "/v1/chat/completions", 400, model="command-a", **CHAT))["error"][
        "code"
    ] == "context_length_exceeded"
    assert (await asked(gate, "/v1/chat/completions", 502, model="command-a", **CHAT))["error"]["code"] == "upstream_auth"
    failed = cohere.event("message-end", {"finish_reason": "ERROR", "error": "out of luck"})
    text = cohere.event("content-delta", {"message": {"content": {"text": "Hel"}}}, index=0)
    server.script(cohere.saying({}, text, failed), cohere.saying({}, text))
    for _ in range(2):
        reply = await gate.http.post("/v1/chat/completions", json={"model": "command-a", "stream": True, **CHAT})
        assert "error" in json.loads(reply.text.strip().split("\n\n")[-1][6:])


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v2/rerank"])
@pytest.mark.parametrize("model", ["cohere/rerank-v4.0", "lab/bge-reranker", "builtin/rerank"])
async def test_documents_are_ranked_by_everyone_on_every_path(gate: RunningGate, model: str, path: str) -> None:
    ranked = await asked(gate, path, model=model, query="password", documents=DOCUMENTS, top_n=1)
    assert ranked["results"] == ranked["data"]
    (best,) = ranked["results"]
    assert best["index"] == 1
    assert best.get("document") == (None if path == "/v2/rerank" else {"text": DOCUMENTS[1]})
    shown = await asked(
        gate, path, model=model, query="password", documents=[{"text": each} for each in DOCUMENTS], return_documents=True
    )
    assert [item["document"]["text"] for item in shown["data"]] == DOCUMENTS[::-1]


async def test_a_ranking_without_a_model(gate: RunningGate, tmp_path: Path) -> None:
    ranked = await asked(gate, "/v1/rerank", query="password", documents=DOCUMENTS)
    assert ranked["model"]
    async with running_gate(tmp_path / "bare") as bare:
        assert (await asked(bare, "/v1/rerank", query="password", documents=DOCUMENTS))["results"][0]["index"] == 1


async def test_errors_of_rankings(gate: RunningGate, server: FakeUpstream) -> None:
    assert (await asked(gate, "/v1/rerank", 400, query="x", documents=[]))["message"]
    assert (await asked(gate, "/v2/rerank", 404, model="nobody", query="x", documents=["a"]))["error"][
        "code"
    ] == "model_not_found"
    server.script(faults.status(429, retry_after_s=3), faults.not_json())
    assert (await asked(gate, "/v1/rerank", 429, model="lab/bge-reranker", query="x", documents=["a"]))["message"]
    assert (await asked(gate, "/v1/rerank", 502, model="lab/bge-reranker", query="x", documents=["a"]))["message"]


async def test_search_units_and_embeddings_cost_what_they_cost(gate: RunningGate) -> None:
    """Embedding models and rerankers are not free (F6)."""
    key = await gate.key("payer", budget="10.00/month")
    headers = {"authorization": f"Bearer {key}"}
    ranked = await gate.http.post("/v2/rerank", json={"model": "rerank-v4.0", "query": "x", "documents": ["a"]}, headers=headers)
    assert ranked.status_code == 200, ranked.text
    embedded = await gate.http.post("/v1/embeddings", json={"model": "embed-v4.0", "input": ["a", "b"]}, headers=headers)
    assert len(embedded.json()["data"]) == 2
    costs = {row["model"]: row["cost_microusd"] for row in await gate.usage(key, group_by="model")}
    assert costs == {"cohere/rerank-v4.0": 2_000, "cohere/embed-v4.0": 1_000}


async def test_a_budget_bounds_translated_chats_too(gate: RunningGate, server: FakeUpstream) -> None:
    key = await gate.key("bounded", budget="1.00/month")
    headers = {"authorization": f"Bearer {key}"}
    reply = await gate.http.post("/v1/chat/completions", json={"model": "command-a", **CHAT}, headers=headers)
    assert reply.status_code == 200, reply.text
    assert server.requests[-1].json()["max_tokens"] > 0


@pytest.mark.parametrize("model", [None, "builtin/moderate"])
async def test_texts_are_judged(tmp_path: Path, model: str | None) -> None:
    async with running_gate(tmp_path) as gate:
        body = {"input": ["hello", "I will kill"], **({"model": model} if model else {})}
        judged = await asked(gate, "/v1/moderations", **body)
        ModerationCreateResponse.model_validate(judged)
        assert judged["model"] == "builtin/moderate"
        assert [result["flagged"] for result in judged["results"]] == [False, True]
        assert all(set(result["categories"]) == set(CATEGORIES) for result in judged["results"])


async def test_judgements_pass_through_to_openais_wire(server: FakeUpstream, tmp_path: Path) -> None:
    tables = {"lab": lab(server.url, models=["omni-moderation-latest"])}
    async with running_gate(tmp_path, providers=tables, config='[aliases]\nmoderation = "lab/omni-moderation-latest"\n') as gate:
        server.requests.clear()
        judged = await asked(gate, "/v1/moderations", input="hello", x_own=1)
        assert judged["results"] == [{"flagged": False, "categories": {}}]
        (request,) = server.requests
        assert (request.path, request.json()) == (
            "/v1/moderations",
            {"input": "hello", "x_own": 1, "model": "omni-moderation-latest"},
        )
        assert (await asked(gate, "/v1/moderations", 400, input=None))["error"]["param"] == "input"


async def test_scopes_hold(gate: RunningGate) -> None:
    headers = {"authorization": f"Bearer {await gate.key(scopes=['chat'])}"}
    body = {"query": "x", "documents": ["a"], "input": "x"}
    for path in ("/v1/rerank", "/v1/moderations", "/api/embed"):
        reply = await gate.http.post(path, json={"model": "builtin/embed", **body}, headers=headers)
        assert reply.status_code == 403
