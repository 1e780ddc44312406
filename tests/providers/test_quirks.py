"""What the rows say of each provider, applied to callers' own bytes and to translated requests alike."""

import json
from types import MappingProxyType
from typing import Any

import pytest

from aldgate.config.settings import Upstream
from aldgate.core.conversation import Conversation, Message, Text, ToolCall
from aldgate.core.routes import Deployment
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.providers.section import Surroundings, build_provider

HELLO = [{"role": "user", "content": "Hi"}]


def dialect(kind: str, **table: Any) -> Any:
    surroundings = Surroundings(Upstream(), 1_000, MappingProxyType({"KEY": "k"}))
    return build_provider("lab", {"kind": kind, "api_key": "env:KEY", **table}, "file", surroundings).dialects["openai"]


def passed(kind: str, model: str, body: dict[str, Any], **table: Any) -> tuple[dict[str, Any], list[str]]:
    """What reaches the provider, without model and messages, and what the caller is told."""
    warnings: list[str] = []
    peek = OPENAI.peek("chat", json.dumps({"model": model, "messages": HELLO, **body}).encode())
    deployment = Deployment(f"lab/{model}", "lab", model, None, "file")
    sent = json.loads(dialect(kind, **table).outgoing("chat", peek, deployment, cap=None, warnings=warnings))
    return {key: value for key, value in sent.items() if key not in ("model", "messages")}, warnings


@pytest.mark.parametrize(
    ("kind", "model", "body", "sent", "warned"),
    [
        ("openai", "gpt-5-mini", {"max_tokens": 9, "temperature": 0.1}, {"max_completion_tokens": 9}, ["temperature"]),
        ("openai", "o3-2025-04-16", {"top_p": 0.5, "presence_penalty": 0}, {"presence_penalty": 0}, ["top_p"]),
        ("openai", "gpt-5.4", {"max_tokens": 9, "temperature": 0.1}, {"max_completion_tokens": 9, "temperature": 0.1}, []),
        ("openai", "gpt-5-chat-latest", {"temperature": 0.1}, {"temperature": 0.1}, []),
        ("openai", "gpt-4.1", {"max_tokens": 9, "temperature": 0.1}, {"max_tokens": 9, "temperature": 0.1}, []),
        ("groq", "llama-3.3-70b-versatile", {"logit_bias": {"1": 1}, "seed": 1}, {"seed": 1}, ["logit_bias"]),
        (
            "xai",
            "grok-4.5",
            {"frequency_penalty": 1, "reasoning_effort": "low"},
            {"reasoning_effort": "low"},
            ["frequency_penalty"],
        ),
        ("xai", "grok-4", {"reasoning_effort": "low"}, {}, ["reasoning_effort"]),
        ("xai", "grok-4-fast-non-reasoning", {"presence_penalty": 1}, {"presence_penalty": 1}, []),
        ("xai", "grok-3", {"presence_penalty": 1}, {"presence_penalty": 1}, []),
        (
            "mistral",
            "mistral-large-latest",
            {"seed": 1, "max_completion_tokens": 9, "user": "u", "stream": True, "stream_options": {"include_usage": True}},
            {"random_seed": 1, "max_tokens": 9, "stream": True},
            ["user"],
        ),
        ("deepseek", "deepseek-v4-pro", {"max_completion_tokens": 9}, {"max_tokens": 9}, []),
        ("together", "org/m", {"max_completion_tokens": 9}, {"max_tokens": 9}, []),
        ("cerebras", "llama3.1-8b", {"presence_penalty": 1, "top_p": 1}, {"top_p": 1}, ["presence_penalty"]),
        ("lmstudio", "m", {"max_completion_tokens": 9}, {"max_tokens": 9}, []),
        ("vllm", "m", {"max_completion_tokens": 9, "logit_bias": {}}, {"max_completion_tokens": 9, "logit_bias": {}}, []),
    ],
)
def test_e1_a_field_that_a_provider_would_refuse_is_mended(
    kind: str, model: str, body: dict[str, Any], sent: dict[str, Any], warned: list[str]
) -> None:
    """What OpenAI's reference allows is no error because of where it goes (litellm 13381)."""
    local = {"base_url": "http://127.0.0.1:1/v1"} if kind in ("lmstudio", "vllm") else {}
    assert passed(kind, model, body, **local) == (sent, warned)


def test_whoever_serves_under_openais_name_gets_the_bytes_as_they_came() -> None:
    body = {"max_tokens": 9, "temperature": 0.1}
    assert passed("openai", "gpt-5-mini", body, base_url="https://proxy.example/v1") == (body, [])


def test_a_translated_request_is_mended_alike() -> None:
    warnings: list[str] = []
    messages = [Message("user", [Text("Hi")]), Message("assistant", [ToolCall("toolu_1", "go", "{}")])]
    asked = Conversation("anthropic", messages, seed=7, user="u", max_output_tokens=9)
    deployment = Deployment("lab/m", "lab", "mistral-large-latest", None, "file")
    sent = json.loads(dialect("mistral").build(asked, deployment, stream=True, warnings=warnings))
    assert (sent["random_seed"], sent["max_tokens"]) == (7, 9) and not {"seed", "user", "stream_options"} & set(sent)
    assert len(sent["messages"][1]["tool_calls"][0]["id"]) == 9 and warnings == ["user"]


def test_the_bytes_of_a_request_without_quirks_are_the_callers() -> None:
    body = json.dumps({"model": "grok-4.5", "messages": HELLO, "temperature": 0.5}).encode()
    deployment = Deployment("lab/grok-4.5", "lab", "grok-4.5", None, "file")
    peek = OPENAI.peek("chat", body)
    assert dialect("xai").outgoing("chat", peek, deployment, cap=None, warnings=[]) is peek.body
