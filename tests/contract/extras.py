"""What only some dialects can say: fields of each face, with a mark by which they are known again at the provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.contract.cases import PNG
from tests.contract.neutral import PARAMETERS, Object

PDF = "JVBERi0xLjQKMSAwIG9iago8PD4+CmVuZG9iagp0cmFpbGVyCjw8Pj4KJSVFT0Y="
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="


@dataclass(frozen=True)
class Extra:
    """A change of the body `{"model": ..., <one user turn>}`.

    Attributes:
        marks: One of these stands in the provider's body if the field arrived.
        word: What a warning calls the field.
    """

    change: Object
    marks: tuple[str, ...]
    word: str


def _user(*parts: Object) -> Object:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "Look."}, *parts]}]}


def _tool(more: Object) -> Object:
    return {"tools": [{"type": "function", "function": {"name": "look", "parameters": PARAMETERS, **more}}]}


def _field(name: str, value: Any, *marks: str, word: str = "") -> Extra:
    return Extra({name: value}, marks, word or name)


_CALLED: list[Object] = [
    {"role": "user", "content": "Look."},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Delft"}}]},
]
_LOOK = [{"name": "look", "input_schema": PARAMETERS}]


def _result(more: Object) -> Object:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "No such place.", **more}
    return {"messages": [*_CALLED, {"role": "user", "content": [result]}], "tools": _LOOK}


def _config(name: str, value: Any, *marks: str) -> Extra:
    return Extra({"generationConfig": {name: value}}, marks, name)


_LOGPROBS = Extra({"logprobs": True, "top_logprobs": 3}, ('"top_logprobs":3', '"top_logprobs": 3', '"logprobs":3'), "logprobs")

EXTRAS: dict[str, dict[str, Extra]] = {
    "openai": {
        "seed": _field("seed", 424242, "424242"),
        "n": _field("n", 2, '"n":2', '"candidateCount":2'),
        "top_p": _field("top_p", 0.875, "0.875"),
        "top_k": _field("top_k", 37, "37"),
        "presence_penalty": _field("presence_penalty", 0.375, "0.375"),
        "frequency_penalty": _field("frequency_penalty", 0.625, "0.625"),
        "logit_bias": _field("logit_bias", {"50256": -99}, "50256"),
        "logprobs": _LOGPROBS,
        "verbosity": _field("verbosity", "low", '"verbosity":"low"', '"verbosity": "low"'),
        "service_tier": _field("service_tier", "flex", "flex"),
        "prompt_cache_key": _field("prompt_cache_key", "key-7f3", "key-7f3"),
        "user": _field("user", "caller-7f3", "caller-7f3"),
        "metadata": _field("metadata", {"team": "team-7f3"}, "team-7f3"),
        "store": _field("store", True, '"store":true', '"store": true'),
        "prediction": _field("prediction", {"type": "content", "content": "guess-7f3"}, "guess-7f3"),
        "web_search_options": _field("web_search_options", {}, "web_search_options"),
        "modalities": Extra(
            {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "mp3"}}, ("alloy",), "modalities"
        ),
        "image detail": Extra(
            _user({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}}),
            ('"detail":"low"', '"detail": "low"'),
            "detail",
        ),
        "document": Extra(
            _user({"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}),
            (PDF,),
            "file",
        ),
        "file id": Extra(_user({"type": "file", "file": {"file_id": "file-7f3"}}), ("file-7f3",), "file"),
        "sound": Extra(_user({"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}), (WAV,), "audio"),
        "name": Extra({"messages": [{"role": "user", "name": "ada", "content": "Hi"}]}, ('"ada"',), "name"),
        "strict": Extra(_tool({"strict": True}), ('"strict":true', '"strict": true', '"strict_tools":true'), "strict"),
        "description": Extra(_tool({"description": "Looks-7f3."}), ("Looks-7f3.",), "description"),
        "custom tool": Extra(
            {"tools": [{"type": "custom", "custom": {"name": "look", "format": {"type": "text"}}}]}, ('"custom"',), "tools"
        ),
        "any object": _field(
            "response_format", {"type": "json_object"}, "json_object", '"json"', "application/json", "JSON object"
        ),
    },
    "responses": {
        "top_p": _field("top_p", 0.875, "0.875"),
        "verbosity": Extra({"text": {"verbosity": "low"}}, ('"verbosity":"low"', '"verbosity": "low"'), "verbosity"),
        "service_tier": _field("service_tier", "flex", "flex"),
        "prompt_cache_key": _field("prompt_cache_key", "key-7f3", "key-7f3"),
        "safety_identifier": _field("safety_identifier", "caller-7f3", "caller-7f3"),
        "metadata": _field("metadata", {"team": "team-7f3"}, "team-7f3"),
        "truncation": _field("truncation", "auto", '"truncation":"auto"', '"truncation": "auto"'),
        "top_logprobs": _field("top_logprobs", 3, '"top_logprobs":3', '"top_logprobs": 3'),
        "web search": Extra({"tools": [{"type": "web_search"}]}, ("web_search",), "tools"),
        "max_tool_calls": _field("max_tool_calls", 77, "77"),
        "document": Extra(
            {
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                            {"type": "input_text", "text": "Read."},
                        ],
                    }
                ]
            },
            (PDF,),
            "input",
        ),
        "prompt": _field("prompt", {"id": "pmpt_7f3"}, "pmpt_7f3"),
    },
    "anthropic": {
        "top_k": _field("top_k", 37, "37"),
        "top_p": _field("top_p", 0.875, "0.875"),
        "user": _field("metadata", {"user_id": "caller-7f3"}, "caller-7f3"),
        "service_tier": _field("service_tier", "standard_only", "standard_only"),
        "container": _field("container", "container-7f3", "container-7f3"),
        "web search": Extra({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, ("web_search",), "tools"),
        "cache mark": Extra(
            _user({"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}),
            ("cache_control", "cachePoint"),
            "cache",
        ),
        "document": Extra(
            _user({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}),
            (PDF,),
            "document",
        ),
        "citations": Extra(
            _user(
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "A church."},
                    "citations": {"enabled": True},
                }
            ),
            ('"citations"',),
            "citations",
        ),
        "failed result": Extra(_result({"is_error": True}), ('"is_error":true', '"error"', '"is_error": true'), "is_error"),
        "image in a result": Extra(
            _result({"content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]}),
            (PNG,),
            "image",
        ),
        "budget": Extra(
            {"thinking": {"type": "enabled", "budget_tokens": 2048}}, ("2048", '"low"', "LOW", '"enabled"'), "thinking"
        ),
        "mcp": _field("mcp_servers", [{"type": "url", "url": "https://mcp.example.com", "name": "m"}], "mcp.example.com"),
    },
    "gemini": {
        "topK": _config("topK", 37, "37"),
        "topP": _config("topP", 0.875, "0.875"),
        "seed": _config("seed", 424242, "424242"),
        "presencePenalty": _config("presencePenalty", 0.375, "0.375"),
        "frequencyPenalty": _config("frequencyPenalty", 0.625, "0.625"),
        "candidateCount": _config("candidateCount", 2, '"candidateCount":2', '"candidateCount": 2', '"n":2'),
        "logprobs": Extra(
            {"generationConfig": {"responseLogprobs": True, "logprobs": 3}},
            ('"logprobs": 3', '"logprobs":3', '"top_logprobs":3'),
            "logprobs",
        ),
        "labels": Extra({"labels": {"team": "team-7f3"}}, ("team-7f3",), "labels"),
        "cachedContent": _field("cachedContent", "cachedContents/7f3", "cachedContents/7f3"),
        "safetySettings": _field(
            "safetySettings", [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}], "BLOCK_NONE"
        ),
        "search": Extra({"tools": [{"googleSearch": {}}]}, ("googleSearch",), "tools"),
        "images wanted": _config("responseModalities", ["TEXT", "IMAGE"], "IMAGE"),
        "media resolution": _config("mediaResolution", "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_LOW"),
        "document": Extra(
            {
                "contents": [
                    {"role": "user", "parts": [{"text": "Read."}, {"inlineData": {"mimeType": "application/pdf", "data": PDF}}]}
                ]
            },
            (PDF,),
            "contents",
        ),
        "film": Extra(
            {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "video/mp4", "data": WAV}}]}]},
            (WAV,),
            "contents",
        ),
    },
    "ollama": {
        "seed": Extra({"options": {"seed": 424242}}, ("424242",), "seed"),
        "top_k": Extra({"options": {"top_k": 37}}, ("37",), "top_k"),
        "min_p": Extra({"options": {"min_p": 0.875}}, ("0.875",), "min_p"),
        "num_ctx": Extra({"options": {"num_ctx": 9999}}, ("9999",), "num_ctx"),
        "keep_alive": _field("keep_alive", "77m", "77m"),
        "any object": _field("format", "json", "json_object", '"json"', "application/json", "JSON object"),
        "logprobs": _LOGPROBS,
    },
}
