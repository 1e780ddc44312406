"""Whatever JSON stands in a request, of whatever shape: reading it, and writing it for any provider, succeeds or refuses it.

Nothing else may be raised: the gate takes that for a fault of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aldgate.core.calls import Named, Peek
from aldgate.core.conversation import Answer, Conversation, Text, ToolCall
from aldgate.core.errors import InvalidRequest
from aldgate.core.events import Started, TextDelta
from aldgate.core.lossy import refuse_losses
from aldgate.core.operations import EmbedRequest
from aldgate.core.routes import Deployment
from aldgate.core.usage import Usage
from aldgate.dialects.anthropic.carried import carried
from aldgate.dialects.anthropic.dialect import ANTHROPIC
from aldgate.dialects.cohere.dialect import Cohere
from aldgate.dialects.converse.dialect import Converse
from aldgate.dialects.gemini.dialect import GEMINI
from aldgate.dialects.gemini.signatures import written
from aldgate.dialects.ollama.dialect import EMBEDDINGS, GENERATE, OLLAMA
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.dialects.rerank.dialect import RERANK, RERANK_V2
from aldgate.dialects.responses.dialect import RESPONSES

PNG = "iVBORw0KGgo="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": ["string", "null"], "enum": ["a"]}, "days": {"type": "array", "items": {"type": "integer"}}},
    "required": ["city"],
    "$defs": {"x": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/x"}]}},
    "additionalProperties": False,
}
FOUND = {"type": "text", "text": "x"}
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "x"}
CACHE = {"type": "ephemeral", "ttl": "1h"}
OPENAI_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city":"Rome"}'}}
REQUESTS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "openai": (
        OPENAI,
        "chat",
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief", "name": "n"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "look", "cache_control": CACHE},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
                        {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
                        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}", "filename": "a.pdf"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "x"}, {"type": "refusal", "refusal": "no"}],
                    "reasoning_content": "hm",
                    "thinking_blocks": [{"thinking": "hm", "signature": "s", "data": None, "origin": "gemini"}],
                    "images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
                    "refusal": "no",
                    "tool_calls": [
                        {**OPENAI_CALL, "extra_content": {"google": {"thought_signature": "s"}}},
                        {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "free"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "done"}]},
                {"role": "function", "name": "f", "content": "done"},
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            ],
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
                    "cache_control": CACHE,
                },
                {"type": "custom", "custom": {"name": "g", "description": "d", "format": {"type": "text"}}},
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": True,
            "max_completion_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.5,
            "top_k": 3,
            "seed": 1,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.1,
            "stop": ["x"],
            "n": 1,
            "logprobs": True,
            "top_logprobs": 2,
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}},
            "reasoning_effort": "low",
            "verbosity": "low",
            "service_tier": "auto",
            "prompt_cache_key": "k",
            "safety_identifier": "u",
            "metadata": {"a": "b"},
            "logit_bias": {"1": 2},
        },
    ),
    "anthropic": (
        ANTHROPIC,
        "chat",
        {
            "model": "m",
            "max_tokens": 9,
            "system": [{"type": "text", "text": "be brief", "cache_control": CACHE}],
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "look", "cache_control": CACHE, "citations": []},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                        {
                            "type": "document",
                            "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                            "title": "t",
                            "context": "c",
                            "citations": {"enabled": True},
                        },
                        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
                        {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
                        {"type": "search_result", "title": "t", "source": "s", "content": [{"type": "text", "text": "x"}]},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": carried("gemini", "s")},
                        {"type": "redacted_thinking", "data": "d"},
                        {"type": "text", "text": "x"},
                        {"type": "tool_use", "id": "c1", "name": "f", "input": {"city": "Rome"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "c1",
                            "is_error": False,
                            "content": [
                                {"type": "text", "text": "done"},
                                {"type": "search_result", "title": "t", "source": "s", "content": [FOUND]},
                                {"type": "tool_reference", "tool_name": "f"},
                                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                            ],
                        }
                    ],
                },
            ],
            "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True, "cache_control": CACHE}],
            "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
            "stop_sequences": ["x"],
            "temperature": 0.5,
            "top_p": 0.5,
            "top_k": 3,
            "metadata": {"user_id": "u"},
            "service_tier": "auto",
            "cache_control": CACHE,
        },
    ),
    "gemini": (
        GEMINI,
        "chat",
        {
            "systemInstruction": {"role": "system", "parts": [{"text": "be brief"}]},
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {"text": "look"},
                        {"inlineData": {"mimeType": "image/png", "data": PNG, "displayName": "n"}},
                        {"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.png", "displayName": "n"}},
                    ],
                },
                {
                    "role": "model",
                    "parts": [
                        {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
                        {"functionCall": {"id": "c1", "name": "f", "args": {"city": "Rome"}}, "thoughtSignature": "c2ln"},
                        {"thoughtSignature": written("s", None, "anthropic")},
                    ],
                },
                {
                    "role": "user",
                    "parts": [
                        {
                            "functionResponse": {
                                "id": "c1",
                                "name": "f",
                                "response": {"output": "done"},
                                "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}],
                            }
                        }
                    ],
                },
            ],
            "tools": [
                {"functionDeclarations": [{"name": "f", "description": "d", "parameters": {"type": "OBJECT", "properties": {}}}]},
                {"functionDeclarations": [{"name": "g", "parametersJsonSchema": SCHEMA}]},
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
            "generationConfig": {
                "temperature": 0.5,
                "topP": 0.5,
                "topK": 3,
                "candidateCount": 1,
                "maxOutputTokens": 9,
                "stopSequences": ["x"],
                "seed": 1,
                "presencePenalty": 0.1,
                "frequencyPenalty": 0.1,
                "responseMimeType": "application/json",
                "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}},
                "responseModalities": ["TEXT"],
                "responseLogprobs": True,
                "logprobs": 2,
                "thinkingConfig": {"thinkingLevel": "low", "thinkingBudget": 100, "includeThoughts": True},
            },
            "labels": {"a": "b"},
            "safetySettings": [{"category": "c", "threshold": "t"}],
            "serviceTier": "flex",
        },
    ),
    "ollama": (
        OLLAMA,
        "chat",
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "look", "images": [PNG]},
                {
                    "role": "assistant",
                    "content": "x",
                    "thinking": "hm",
                    "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"city": "Rome"}}}],
                },
                {"role": "tool", "content": "done", "tool_name": "f", "tool_call_id": "c1"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}],
            "options": {"num_predict": 9, "temperature": 0.5, "top_k": 3, "stop": ["x"], "num_ctx": 100, "seed": 1},
            "format": SCHEMA,
            "think": "low",
            "keep_alive": "5m",
            "logprobs": True,
            "top_logprobs": 2,
        },
    ),
    "ollama-generate": (
        GENERATE,
        "chat",
        {"model": "m", "prompt": "x", "system": "s", "images": [PNG], "format": "json", "think": True, "options": {"num_ctx": 1}},
    ),
    "responses": (
        RESPONSES,
        "chat",
        {
            "model": "m",
            "instructions": "be brief",
            "input": [
                {"role": "developer", "content": "x"},
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "look"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
                        {"type": "input_file", "file_data": f"data:application/pdf;base64,{PNG}", "filename": "a.pdf"},
                    ],
                },
                {
                    "type": "reasoning",
                    "id": "r",
                    "summary": [{"type": "summary_text", "text": "hm"}],
                    "content": [{"type": "reasoning_text", "text": "hm"}],
                    "encrypted_content": "x",
                },
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": []}]},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "namespace": "n"},
                {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "done"}]},
                {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "free"},
                {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
                {"type": "additional_tools", "tools": [{"type": "function", "name": "h", "parameters": SCHEMA}]},
            ],
            "tools": [
                {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
                {"type": "custom", "name": "g", "description": "d", "format": GRAMMAR},
                {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "i", "parameters": {}}]},
            ],
            "tool_choice": {"type": "function", "name": "f"},
            "parallel_tool_calls": True,
            "max_output_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.5,
            "text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA, "strict": True}, "verbosity": "low"},
            "reasoning": {"effort": "low", "summary": "auto"},
            "service_tier": "auto",
            "prompt_cache_key": "k",
            "safety_identifier": "u",
            "metadata": {"a": "b"},
            "include": ["reasoning.encrypted_content"],
        },
    ),
    "openai-embed": (OPENAI, "embed", {"model": "m", "input": ["a", "b"], "dimensions": 3, "encoding_format": "base64"}),
    "gemini-embed": (
        GEMINI,
        "embed",
        {
            "requests": [
                {"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 3, "model": "m"},
            ]
        },
    ),
    "ollama-embed": (OLLAMA, "embed", {"model": "m", "input": ["a"], "dimensions": 3}),
    "ollama-embeddings": (EMBEDDINGS, "embed", {"model": "m", "prompt": "a"}),
    "rerank": (RERANK, "rerank", {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1}),
    "rerank-v2": (RERANK_V2, "rerank", {"model": "m", "query": "q", "documents": ["a"], "top_n": 1, "max_tokens_per_doc": 9}),
}
PROVIDERS: dict[str, tuple[Any, str]] = {
    "openai": (OPENAI, "gpt-5"),
    "anthropic": (ANTHROPIC, "claude-opus-4-5"),
    "gemini": (GEMINI, "gemini-3-pro"),
    "older gemini": (GEMINI, "gemini-1.5-pro"),
    "older claude": (ANTHROPIC, "claude-3-5-haiku"),
    "ollama": (OLLAMA, "qwen3:8b"),
    "responses": (RESPONSES, "gpt-5"),
    "cohere": (Cohere(), "command-a"),
    "converse": (Converse(), "anthropic.claude-sonnet-4-5"),
    "nova": (Converse(), "amazon.nova-pro-v1:0"),
}
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.sampled_from(["type", "text", "name", "x", ""])
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all that stands in `tree`."""
    if path:
        yield path
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from places(value, (*path, key))


@st.composite
def twisted(draw: st.DrawFn, request: dict[str, Any]) -> dict[str, Any]:
    """The request with one to three things in it that are of any shape, doubled, or gone."""
    tree = deepcopy(request)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places(tree)) or [("x",)]))
        holder = tree
        for key in way:
            holder = holder[key]
        if isinstance(holder, dict) and draw(st.integers(0, 4)) == 0:
            holder.pop(last, None)
        else:
            holder[last] = draw(ANYTHING)
    return tree


def carried_through(name: str, body: dict[str, Any], stream: bool) -> None:
    """Read the body as its face does, and write it for every provider. Raises what the gate would log as its own fault."""
    face, operation, _ = REQUESTS[name]
    named = Named("m", stream) if name.startswith("gemini") else None
    try:
        peek = face.peek(operation, json.dumps(body).encode(), named)
        for upstream, model in PROVIDERS.values():
            if upstream.name == face.name:
                passed_on(upstream, operation, peek, model)
        asked = face.parse(operation, peek)
        if isinstance(asked, Conversation):
            refuse_losses(asked, peek.model)
    except InvalidRequest:
        return
    if isinstance(asked, Conversation):
        assert face.write("id", peek, asked, Answer([Text("x"), ToolCall("c", "f", "{}")], usage=Usage()))
        face.encoder("id", peek, asked).feed([Started(), TextDelta("x")])
    for upstream, model in PROVIDERS.values():
        if operation not in upstream.operations or (operation == "embed") != isinstance(asked, EmbedRequest):
            continue
        deployment = Deployment(f"x/{model}", "x", model, None, "file")
        try:
            built = upstream.build(deepcopy(asked), deployment, stream=stream, warnings=[])
        except InvalidRequest:
            continue
        assert isinstance(json.loads(built), dict)


def passed_on(upstream: Any, operation: str, peek: Peek, model: str) -> None:
    """The same for a provider of the caller's own dialect."""
    for cap in (None, 5):
        with suppress(InvalidRequest):
            deployment = Deployment(f"x/{model}", "x", model, None, "file")
            assert json.loads(upstream.outgoing(operation, peek, deployment, cap=cap, warnings=[]))


@pytest.mark.parametrize("name", REQUESTS)
def test_the_whole_of_it_is_understood(name: str) -> None:
    face, operation, body = REQUESTS[name]
    named = Named("m") if name.startswith("gemini") else None
    assert face.parse(operation, face.peek(operation, json.dumps(body).encode(), named))


@pytest.mark.parametrize("name", REQUESTS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(data=st.data())
def test_whatever_stands_in_it_is_taken_or_refused(name: str, data: st.DataObject) -> None:
    carried_through(name, data.draw(twisted(REQUESTS[name][2])), data.draw(st.booleans()))
