"""Gemini's face and Gemini's provider through a running gate: each with itself, and each with OpenAI's."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.upstream import FakeUpstream, Reply, faults, gemini
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio

HELLO = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
CHAT = {"messages": [{"role": "user", "content": "Hello"}]}
TOOL = {"name": "find", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}
USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 6, "cachedContentTokenCount": 3}
USED = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
SAID = "Hello from the fake upstream."


@pytest.fixture
async def google() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def gate(google: FakeUpstream, tmp_path: Path) -> AsyncIterator[RunningGate]:
    base = f"http://127.0.0.1:{google.port}/v1beta"
    tables = {
        "google": {"kind": "gemini", "base_url": base, "api_key": "env:LAB_KEY"},
        "lab": lab(google.url, models=["gpt-4.1", "text-embedding-3-small"]),
    }
    async with running_gate(tmp_path, providers=tables) as running:
        google.requests.clear()
        yield running


def response(*parts: dict[str, Any], finish: str | None = "STOP", usage: dict[str, int] | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    said = {"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-upstream"}
    return {**said, "usageMetadata": usage} if usage else said


def events(text: str) -> list[dict[str, Any]]:
    """The objects of a stream of bare `data:` frames; anything else in it would break Google's clients."""
    frames = text.split("\r\n\r\n")
    assert frames.pop() == "" and all(frame.startswith("data: {") and "\n" not in frame for frame in frames)
    return [json.loads(frame[6:]) for frame in frames]


def chunks(text: str) -> list[dict[str, Any]]:
    """The chunks of an OpenAI stream."""
    frames = text.strip().split("\n\n")
    assert frames.pop() == "data: [DONE]"
    return [json.loads(frame[6:]) for frame in frames]


def text_of(responses: list[dict[str, Any]]) -> str:
    parts = [part for each in responses for part in each["candidates"][0]["content"]["parts"]]
    return "".join(part["text"] for part in parts)


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
async def test_bytes_pass_through_to_google(gate: RunningGate, google: FakeUpstream, version: str) -> None:
    body = json.dumps({**HELLO, "generation_config": {"thinking_config": {"thinking_level": "LOW"}}}, indent=1)
    headers = {"content-type": "application/json"}
    reply = await gate.http.post(f"/{version}/models/google/gemini-3.8-flash:generateContent", content=body, headers=headers)
    assert reply.status_code == 200, reply.text
    assert text_of([reply.json()]) == SAID and reply.json()["modelVersion"] == "gemini-upstream"
    sent = google.requests[0]
    assert sent.path == "/v1beta/models/gemini-3.8-flash:generateContent"
    assert sent.body == body.encode() and (sent.header("x-goog-api-key") or "").startswith("sk-lab-")
    assert sent.header("authorization") is None
    [row] = await gate.usage()
    assert (row["prompt_tokens"], row["completion_tokens"]) == (10, 5)


async def test_streams_pass_through_in_both_cuts(gate: RunningGate, google: FakeUpstream) -> None:
    path = "/v1beta/models/google/gemini-3.8-flash:streamGenerateContent"
    reply = await gate.http.post(path, params={"alt": "sse"}, json=HELLO)
    said = events(reply.text)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert text_of(said) == SAID and said[-1]["usageMetadata"] == USED
    reply = await gate.http.post(path, json=HELLO)
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == said
    assert {sent.path.rpartition(":")[2] for sent in google.requests} == {"streamGenerateContent?alt=sse"}


@pytest.mark.parametrize("fault", [faults.keep_alive_comments(), faults.named_events(), faults.events_joined()])
async def test_what_would_break_googles_clients_is_left_out(gate: RunningGate, google: FakeUpstream, fault: Any) -> None:
    google.script(fault)
    reply = await gate.http.post("/v1beta/models/google/g:streamGenerateContent?alt=sse", json=HELLO)
    assert text_of(events(reply.text)) == SAID


@pytest.mark.parametrize("model", ["lab/gpt-4.1", "builtin/echo", "models/builtin/echo"])
async def test_geminis_clients_call_every_backend(gate: RunningGate, model: str) -> None:
    text = SAID if "lab" in model else "Hello"
    whole = await gate.http.post(f"/v1/models/{model}:generateContent", json=HELLO)
    assert whole.status_code == 200, whole.text
    [candidate] = whole.json()["candidates"]
    assert candidate == {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, "finishReason": "STOP"}
    assert whole.json()["modelVersion"] == model.removeprefix("models/")
    stream = await gate.http.post(f"/v1/models/{model}:streamGenerateContent?alt=sse", json=HELLO)
    said = events(stream.text)
    assert text_of(said) == text and said[-1]["candidates"][0]["finishReason"] == "STOP"
    assert said[-1]["usageMetadata"] == whole.json()["usageMetadata"]


async def test_models_may_be_left_out_before_a_name_with_a_slash(gate: RunningGate, google: FakeUpstream) -> None:
    """The Vercel AI SDK asks so for every name that has a slash."""
    reply = await gate.http.post("/v1beta/google/gemini-3.8-flash:generateContent", json=HELLO)
    assert text_of([reply.json()]) == SAID
    assert google.requests[-1].path == "/v1beta/models/gemini-3.8-flash:generateContent"
    embedded = await gate.http.post("/v1beta/builtin/embed:embedContent", json={"content": HELLO["contents"][0]})
    assert len(embedded.json()["embedding"]["values"]) == 256
    assert (await gate.http.post("/v1beta/corpora", json={})).status_code == 404


async def test_openais_clients_call_google(gate: RunningGate, google: FakeUpstream) -> None:
    body = {"model": "google/gemini-3.8-flash", **CHAT, "max_tokens": 50, "seed": 3, "logit_bias": {"1": 2}}
    whole = await gate.http.post("/v1/chat/completions", json=body)
    assert whole.status_code == 200, whole.text
    assert whole.json()["choices"][0]["message"]["content"] == SAID
    assert whole.json()["model"] == "google/gemini-3.8-flash"
    assert "logit_bias" in whole.headers["x-aldgate-warnings"]
    assert google.requests[0].json() == {**HELLO, "generationConfig": {"maxOutputTokens": 50, "seed": 3}}
    stream = await gate.http.post(
        "/v1/chat/completions", json={**body, "stream": True, "stream_options": {"include_usage": True}}
    )
    said = chunks(stream.text)
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in said[:-1]) == SAID
    assert said[-1]["usage"]["prompt_tokens"] == 10 and said[-1]["usage"]["completion_tokens"] == 5


async def test_thoughts_tools_and_usage_reach_openais_clients(gate: RunningGate, google: FakeUpstream) -> None:
    said = response(
        {"text": "Hm.", "thought": True},
        {"text": "Let me see."},
        {"functionCall": {"name": "find", "args": {"q": "a"}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "own", "name": "find", "args": {"q": "b"}}},
        usage={**USAGE, "toolUsePromptTokenCount": 1},
    )
    google.script(gemini.saying(said))
    body = {"model": "google/gemini-3.8-flash", **CHAT, "tools": [{"type": "function", "function": TOOL}]}
    whole = (await gate.http.post("/v1/chat/completions", json=body)).json()
    message, usage = whole["choices"][0]["message"], whole["usage"]
    assert (message["reasoning_content"], message["content"]) == ("Hm.", "Let me see.")
    one, other = message["tool_calls"]
    assert one["function"] == {"name": "find", "arguments": '{"q":"a"}'} and one["id"].startswith("call_")
    assert one["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert other["id"] == "own" and whole["choices"][0]["finish_reason"] == "tool_calls"
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (10, 10)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 3
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 6
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "found"} for call in message["tool_calls"]]
    follow = {**body, "messages": [*CHAT["messages"], message, *results]}
    assert (await gate.http.post("/v1/chat/completions", json=follow)).status_code == 200
    assert google.requests[1].json()["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "Let me see."},
                {
                    "functionCall": {"id": one["id"], "name": "find", "args": {"q": "a"}},
                    "thoughtSignature": "c2ln",
                },
                {"functionCall": {"id": "own", "name": "find", "args": {"q": "b"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": call_id, "name": "find", "response": {"output": "found"}}}
                for call_id in (one["id"], "own")
            ],
        },
    ]


async def test_streamed_tools_reach_openais_clients(gate: RunningGate, google: FakeUpstream) -> None:
    google.script(
        gemini.saying(
            response({"functionCall": {"name": "find", "args": {"q": "a"}}, "thoughtSignature": "c2ln"}, finish=None),
            response({"functionCall": {"name": "find", "args": {"q": "b"}}}, finish=None, usage=USAGE),
            response({"text": ""}, usage=USAGE),
        )
    )
    body = {"model": "google/g", **CHAT, "stream": True, "tools": [{"type": "function", "function": TOOL}]}
    said = chunks((await gate.http.post("/v1/chat/completions", json=body)).text)
    calls = [call for each in said for call in each["choices"][0]["delta"].get("tool_calls", [])]
    started = [call for call in calls if "id" in call]
    assert [call["index"] for call in started] == [0, 1] and len({call["id"] for call in started}) == 2
    assert started[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert "".join(call["function"]["arguments"] for call in calls) == '{"q":"a"}{"q":"b"}'
    assert said[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_tools_images_and_schemas_reach_openais_providers(gate: RunningGate, google: FakeUpstream) -> None:
    body = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Look"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "find", "args": {"q": "a"}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "find", "response": {"result": "found"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "find", "parametersJsonSchema": TOOL["parameters"]}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}},
    }
    reply = await gate.http.post("/v1beta/models/lab/gpt-4.1:generateContent", json=body)
    assert reply.status_code == 200, reply.text
    sent = google.requests[0].json()
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][1]["content"] == [{"type": "text", "text": "Look"}, image]
    assert sent["messages"][2]["tool_calls"][0]["id"] == sent["messages"][3]["tool_call_id"]
    assert sent["tools"] == [{"type": "function", "function": TOOL}] and sent["tool_choice"] == "required"
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize("model", ["google/gemini-embedding-001", "lab/text-embedding-3-small", "builtin/embed"])
async def test_embeddings_one_by_one_and_in_batches(gate: RunningGate, model: str) -> None:
    content = {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 4}
    one = await gate.http.post(f"/v1beta/models/{model}:embedContent", json=content)
    many = await gate.http.post(f"/v1beta/models/{model}:batchEmbedContents", json={"requests": [content, content]})
    assert len(one.json()["embedding"]["values"]) == 4, one.text
    first, second = (each["values"] for each in many.json()["embeddings"])
    assert first == one.json()["embedding"]["values"] and len(second) == 4


async def test_openais_embeddings_come_from_google(gate: RunningGate, google: FakeUpstream) -> None:
    body = {"model": "google/gemini-embedding-001", "input": ["a", "b"], "dimensions": 3}
    reply = await gate.http.post("/v1/embeddings", json=body)
    assert [len(each["embedding"]) for each in reply.json()["data"]] == [3, 3], reply.text
    assert google.requests[0].path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"


async def test_googles_models_are_found_page_by_page(gate: RunningGate) -> None:
    models = {model.id: model for model in gate.app.gate.catalogue.models if model.backend == "google"}
    assert sorted(models) == ["google/gemini-3.8-flash", "google/gemini-embedding-001"]
    flash = models["google/gemini-3.8-flash"]
    assert flash.operations == {"chat"} and flash.facts.max_output == 65_536 and flash.facts.can == {"reasoning"}
    assert models["google/gemini-embedding-001"].operations == {"embed"}


async def test_models_are_listed_in_googles_shape_to_googles_clients(gate: RunningGate) -> None:
    key = await gate.key()
    gate.http.headers.pop("authorization")
    for reply in (
        await gate.http.get("/v1/models", headers={"x-goog-api-key": key}),
        await gate.http.get("/v1/models", params={"key": key}),
        await gate.http.get("/v1beta/models", headers={"authorization": f"Bearer {key}"}),
    ):
        names = [model["name"] for model in reply.json()["models"]]
        assert "models/google/gemini-3.8-flash" in names and "models/builtin/echo" in names
    page = await gate.http.get("/v1beta/models", params={"key": key, "pageSize": 2})
    assert len(page.json()["models"]) == 2 and page.json()["nextPageToken"] == "2"
    one = await gate.http.get("/v1beta/models/google/gemini-3.8-flash", headers={"x-goog-api-key": key})
    assert one.json()["outputTokenLimit"] == 65_536
    assert one.json()["supportedGenerationMethods"] == ["generateContent", "streamGenerateContent", "countTokens"]
    embeds = await gate.http.get("/v1beta/models/lab/text-embedding-3-small", headers={"x-goog-api-key": key})
    assert embeds.json()["supportedGenerationMethods"] == ["embedContent", "batchEmbedContents"]
    assert (await gate.http.get("/v1/models", headers={"authorization": f"Bearer {key}"})).json()["object"] == "list"
    assert (await gate.http.get("/v1beta/models/none", headers={"x-goog-api-key": key})).status_code == 404
    assert (await gate.http.get("/v1beta/models?pageSize=x", headers={"x-goog-api-key": key})).status_code == 400


async def test_tokens_are_counted_here(gate: RunningGate) -> None:
    request = {**HELLO, "tools": [{"functionDeclarations": [TOOL]}]}
    for body in (HELLO, {"generateContentRequest": request}):
        reply = await gate.http.post("/v1beta/models/google/g:countTokens", json=body)
        assert reply.status_code == 200 and reply.json()["totalTokens"] >= 2


@pytest.mark.parametrize(
    ("step", "status", "word", "reason"),
    [
        (gemini.fault(400, "INVALID_ARGUMENT", "Unknown name `x`."), 400, "INVALID_ARGUMENT", "upstream_rejected"),
        (
            gemini.fault(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum."),
            400,
            "INVALID_ARGUMENT",
            "context_length_exceeded",
        ),
        (gemini.fault(403, "PERMISSION_DENIED"), 502, "UNAVAILABLE", "upstream_auth"),
        (gemini.fault(402, "RESOURCE_EXHAUSTED"), 429, "RESOURCE_EXHAUSTED", "upstream_rate_limited"),
        (gemini.fault(429, "RESOURCE_EXHAUSTED"), 429, "RESOURCE_EXHAUSTED", "upstream_rate_limited"),
        (gemini.fault(503, "UNAVAILABLE", is_list=True), 503, "UNAVAILABLE", "upstream_overloaded"),
        (gemini.fault(504, "DEADLINE_EXCEEDED"), 504, "DEADLINE_EXCEEDED", "upstream_timeout"),
        (faults.error_page(), 502, "UNAVAILABLE", "upstream_error"),
    ],
)
@pytest.mark.parametrize("verb", ["generateContent", "streamGenerateContent?alt=sse", "streamGenerateContent"])
async def test_errors_keep_their_meaning(
    gate: RunningGate, google: FakeUpstream, step: Any, status: int, word: str, reason: str, verb: str
) -> None:
    google.script(step)
    reply = await gate.http.post(f"/v1beta/models/google/g:{verb}", json=HELLO)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["status"]) == (status, status, word)
    assert error["details"][0]["reason"] == reason and reply.headers["x-request-id"].startswith("req-")


async def test_googles_advice_to_wait_is_passed_on(gate: RunningGate, google: FakeUpstream) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "33.07s"}
    google.script(*[gemini.fault(429, "RESOURCE_EXHAUSTED", "Quota.", info)] * 2)
    reply = await gate.http.post("/v1beta/models/google/g:generateContent", json=HELLO)
    assert reply.headers["retry-after"] == "34"
    assert reply.json()["error"]["details"][1]["retryDelay"] == "34s"
    reply = await gate.http.post("/v1/chat/completions", json={"model": "google/g", **CHAT})
    assert reply.status_code == 429 and reply.headers["retry-after"] == "34"


@pytest.mark.parametrize("model", ["google/g", "lab/gpt-4.1"])
async def test_a_stream_that_breaks_ends_with_an_error_in_front(gate: RunningGate, google: FakeUpstream, model: str) -> None:
    google.script(faults.truncated_stream(after=2), faults.truncated_stream(after=2))
    path = f"/v1beta/models/{model}:streamGenerateContent"
    *said, last = events((await gate.http.post(path, params={"alt": "sse"}, json=HELLO)).text)
    assert said and next(iter(last)) == "error" and last["error"]["code"] == 502
    *said, last = (await gate.http.post(path, json=HELLO)).json()
    assert said and last["error"]["status"] == "UNAVAILABLE"


async def test_an_error_within_googles_stream_reaches_everybody(gate: RunningGate, google: FakeUpstream) -> None:
    overloaded = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
    step = gemini.saying(response({"text": "He"}, finish=None), overloaded)
    google.script(step, step, gemini.saying(overloaded), gemini.saying(overloaded))
    *said, last = events((await gate.http.post("/v1/models/google/g:streamGenerateContent?alt=sse", json=HELLO)).text)
    assert text_of(said) == "He" and last["error"]["code"] == 503
    chat = {"model": "google/g", **CHAT, "stream": True}
    reply = await gate.http.post("/v1/chat/completions", json=chat)
    assert '"error"' in reply.text.strip().split("\n\n")[-1] and "[DONE]" not in reply.text
    reply = await gate.http.post("/v1/models/google/g:streamGenerateContent?alt=sse", json=HELLO)
    assert reply.status_code == 503
    assert (await gate.http.post("/v1/chat/completions", json=chat)).status_code == 503


async def test_what_is_refused_is_refused_in_googles_words(gate: RunningGate, google: FakeUpstream) -> None:
    gate.http.headers.pop("authorization")
    path = "/v1beta/models/google/g:generateContent"
    reply = await gate.http.post(path, json=HELLO)
    assert reply.status_code == 401 and reply.json()["error"]["status"] == "UNAUTHENTICATED"
    key = {"x-goog-api-key": "agk-nobody"}
    assert (await gate.http.post(path, json=HELLO, headers=key)).status_code == 401
    reply = await gate.http.post("/v1beta/models/google/g:paint", json=HELLO, headers=key)
    assert reply.status_code == 404 and google.requests == []
    reply = await gate.http.post("/v1beta/nothing", json=HELLO)
    assert reply.status_code == 404 and reply.json()["error"]["status"] == "NOT_FOUND"


async def test_a_key_in_the_query_counts_here_and_nowhere_else(gate: RunningGate, google: FakeUpstream) -> None:
    key = await gate.key()
    gate.http.headers.pop("authorization")
    reply = await gate.http.post("/v1beta/models/google/g:generateContent", params={"key": key}, json=HELLO)
    assert reply.status_code == 200 and key not in google.requests[0].path
    wrong = {"x-goog-api-key": "agk-nobody"}
    reply = await gate.http.post("/v1beta/models/google/g:generateContent", params={"key": key}, json=HELLO, headers=wrong)
    assert reply.status_code == 401
    chat = {"model": "google/g", **CHAT}
    assert (await gate.http.post("/v1/chat/completions", params={"key": key}, json=chat)).status_code == 401


async def test_a_budget_bounds_what_google_writes(google: FakeUpstream, tmp_path: Path) -> None:
    google.reply = Reply(completion_tokens=500)
    table = {"kind": "gemini", "base_url": f"http://127.0.0.1:{google.port}/v1beta", "models": ["g", "unheard-of"]}
    prices = '[prices."google/g"]\ninput = "1"\noutput = "10"\n'
    async with running_gate(tmp_path, providers={"google": table}, config=prices) as gate:
        headers = {"authorization": f"Bearer {await gate.key(budget='0.001/day')}"}
        reply = await gate.http.post("/v1beta/models/google/g:generateContent", json=HELLO, headers=headers)
        assert reply.status_code == 200, reply.text
        cap = google.requests[0].json()["generationConfig"]["maxOutputTokens"]
        assert 0 < cap < 100 and reply.json()["candidates"][0]["finishReason"] == "MAX_TOKENS"
        headers = {"authorization": f"Bearer {await gate.key(budget='0.001/day')}"}
        reply = await gate.http.post("/v1/chat/completions", json={"model": "google/g", **CHAT}, headers=headers)
        assert reply.status_code == 200, reply.text
        translated = google.requests[1].json()["generationConfig"]["maxOutputTokens"]
        assert 0 < translated < 100 and reply.json()["choices"][0]["finish_reason"] == "length"
        reply = await gate.http.post("/v1beta/models/google/unheard-of:generateContent", json=HELLO, headers=headers)
        assert reply.status_code == 403 and reply.json()["error"]["details"][0]["reason"] == "price_unknown"


async def test_vertex_answers_everybody(google: FakeUpstream, tmp_path: Path) -> None:
    table = {
        "base_url": f"http://127.0.0.1:{google.port}/v1",
        "access_token": "env:LAB_KEY",
        "project": "p",
        "location": "eu",
        "models": ["gemini-3.8-flash", "gemini-embedding-001"],
    }
    async with running_gate(tmp_path, providers={"vertex": table}) as gate:
        whole = await gate.http.post("/v1/models/vertex/gemini-3.8-flash:generateContent", json=HELLO)
        assert text_of([whole.json()]) == SAID, whole.text
        chat = {"model": "gemini-3.8-flash", **CHAT, "stream": True}
        said = chunks((await gate.http.post("/v1/chat/completions", json=chat)).text)
        assert "".join(each["choices"][0]["delta"].get("content", "") for each in said) == SAID
        embedded = await gate.http.post("/v1/embeddings", json={"model": "vertex/gemini-embedding-001", "input": "a"})
        assert embedded.status_code == 200, embedded.text
        path = "/v1/projects/p/locations/eu/publishers/google/models/gemini-3.8-flash"
        assert [request.path for request in google.requests] == [
            f"{path}:generateContent",
            f"{path}:streamGenerateContent?alt=sse",
            f"{path.removesuffix('gemini-3.8-flash')}gemini-embedding-001:predict",
        ]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_tier_that_a_header_names_is_billed(google: FakeUpstream, tmp_path: Path, stream: bool) -> None:
    table = {"kind": "gemini", "base_url": f"http://127.0.0.1:{google.port}/v1beta", "models": ["g"]}
    tiers = {"flex": 50, "priority": 300}
    prices = '[prices."google/g"]\ninput = 100\n' + "".join(
        f'[prices."google/g".tiers.{tier}]\ninput = {dollars}\n' for tier, dollars in tiers.items()
    )
    async with running_gate(tmp_path, providers={"google": table}, config=prices) as gate:
        for tier, so_far in (("flex", 500), ("priority", 3_500), ("default", 4_500)):
            body = {**CHAT, "model": "google/g", "service_tier": tier, "stream": stream}
            reply = await gate.http.post("/v1/chat/completions", json=body)
            assert reply.status_code == 200, reply.text
            assert sum(row["cost_microusd"] for row in await gate.usage()) == so_far
