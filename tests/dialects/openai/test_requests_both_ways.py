"""A neutral conversation written as OpenAI's and read again is the same, and what cannot be said is never dropped in silence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aldgate.core.conversation import (
    Conversation,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from aldgate.core.errors import InvalidRequest
from aldgate.core.operations import EmbedRequest
from aldgate.dialects.openai.build import build_chat, build_embedding
from aldgate.dialects.openai.parse import parse_chat, parse_embedding

SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}


def built(asked: Conversation, *, stream: bool = False) -> tuple[dict[str, Any], list[str]]:
    warnings: list[str] = []
    return build_chat(asked, "m", stream=stream, cap_field="max_tokens", warnings=warnings), warnings


def parsed(body: dict[str, Any]) -> Conversation:
    return parse_chat(msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}))


FULL = Conversation(
    origin="openai",
    messages=[
        Message("system", [Text("be brief")]),
        Message(
            "user",
            [Text("look"), Media("image", "image/png", "aGk=", detail="low"), Media("image", url="https://a/b.png")],
            "ann",
        ),
        Message("user", [Media("audio", "audio/wav", "aGk="), Media("document", "application/pdf", "aGk=", name="a.pdf")]),
        Message(
            "assistant",
            [
                Reasoning("hm"),
                Text("well"),
                ToolCall("c1", "look", '{"q":"x"}'),
                ToolCall("c2", "find", "{}", signature="s", origin="gemini"),
            ],
        ),
        Message("tool", [ToolResult("c1", [Text("found")], name="look")]),
        Message("tool", [ToolResult("c2", [Text("lost")], name="find")]),
        Message("assistant", [Refusal("no")]),
    ],
    tools=[
        Tool("look", "looks", SCHEMA, True),
        Tool("find", None, SCHEMA),
        Tool("run", "runs", is_custom=True, grammar={"type": "text"}),
    ],
    tool_choice=ToolChoice("one", ("look",)),
    parallel_tool_calls=False,
    max_output_tokens=7,
    temperature=0.5,
    top_p=0.9,
    seed=4,
    presence_penalty=0.1,
    frequency_penalty=0.2,
    stop=["a", "b"],
    choices=2,
    top_logprobs=3,
    output_format=OutputFormat(SCHEMA, "shape", "a shape", True),
    thinking=Thinking("high"),
    verbosity="low",
    cache_key="k",
    user="u",
)


def test_a_full_conversation_survives_the_wire() -> None:
    body, warnings = built(FULL)
    assert parse_chat(msgspec.json.encode(body)) == FULL and warnings == []


@pytest.mark.parametrize(
    "choice", [ToolChoice("auto"), ToolChoice("none"), ToolChoice("required"), ToolChoice("auto", ("look", "find")), None]
)
def test_every_tool_choice_survives(choice: ToolChoice | None) -> None:
    FULL_WITH = msgspec.structs.replace(FULL, tool_choice=choice)
    assert parse_chat(msgspec.json.encode(built(FULL_WITH)[0])).tool_choice == choice


def test_old_functions_are_tools() -> None:
    asked = parsed({"functions": [{"name": "look", "parameters": SCHEMA}], "function_call": {"name": "look"}})
    assert asked.tools == [Tool("look", None, SCHEMA)] and asked.tool_choice == ToolChoice("one", ("look",))


def test_cache_marks_of_either_kind_are_read() -> None:
    parts = [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit"}},
    ]
    asked = parsed({"messages": [{"role": "user", "content": parts}]})
    assert asked.messages == [Message("user", [Text("a", "1h"), Text("b", "5m")])]


def test_signed_thoughts_come_back_as_they_went() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s", "origin": "anthropic"},
        {"type": "redacted_thinking", "data": "d"},
    ]
    asked = parsed(
        {"messages": [{"role": "assistant", "content": "x", "thinking_blocks": blocks}, {"role": "user", "content": "y"}]}
    )
    assert asked.messages[0].parts[:2] == [Reasoning("hm", "s", None, "anthropic"), Reasoning("", None, "d", "anthropic")]


def test_what_has_no_place_is_kept_under_its_name_and_warned_of() -> None:
    asked = parsed(
        {
            "logit_bias": {"5": 1},
            "audio": {"voice": "x"},
            "web_search_options": {},
            "service_tier": "flex",
            "metadata": {"a": "b"},
        }
    )
    assert set(asked.others) == {"logit_bias", "audio", "web_search_options"}
    _, warnings = built(msgspec.structs.replace(asked, top_k=3, stop=list("abcde"), max_output_tokens=0))
    assert set(warnings) == {
        "logit_bias",
        "audio",
        "web_search_options",
        "service_tier",
        "metadata",
        "top_k",
        "stop[4:]",
        "max_tokens",
    }


def test_images_of_a_tool_reach_the_model_as_the_users() -> None:
    result = ToolResult("c1", [Media("image", "image/png", "aGk=")], is_error=True)
    body, warnings = built(Conversation("anthropic", [Message("tool", [result])]))
    tool, user = body["messages"]
    assert tool["role"] == "tool" and tool["content"].startswith("Error: ")
    assert user["role"] == "user" and user["content"][1]["image_url"]["url"] == "data:image/png;base64,aGk="
    assert warnings == ["is_error"]


@pytest.mark.parametrize(
    ("role", "part"),
    [
        ("user", Media("video", "video/mp4", "aGk=")),
        ("user", Media("document", file_id="file_1")),
        ("user", Media("image", file_id="file_1")),
        ("user", Media("document", url="https://a/b.pdf")),
        ("user", Media("audio", "audio/flac", "aGk=")),
        ("user", Opaque("anthropic", "search_result", {})),
        ("assistant", Media("image", "image/png", "aGk=")),
    ],
)
def test_what_changes_the_meaning_is_refused(role: Any, part: Part) -> None:
    with pytest.raises(InvalidRequest) as raised:
        built(Conversation("anthropic", [Message(role, [part])]))
    assert raised.value.param == "messages"


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        (None, None),
        (Thinking(), None),
        (Thinking("none"), "none"),
        (Thinking(budget_tokens=1024), "low"),
        (Thinking(budget_tokens=8192), "medium"),
        (Thinking(budget_tokens=50_000), "high"),
    ],
)
def test_a_budget_of_thought_becomes_an_effort(thinking: Thinking | None, effort: str | None) -> None:
    body, _ = built(Conversation("anthropic", [Message("user", [Text("x")])], thinking=thinking))
    assert body.get("reasoning_effort") == effort


def test_a_stream_asks_for_its_usage() -> None:
    body, _ = built(Conversation("anthropic", [Message("user", [Text("x")])]), stream=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert "tool_choice" not in body and "parallel_tool_calls" not in body


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [{"type": "hologram"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:text/plain,x"}}]}]},
        {"reasoning_effort": "heroic"},
        {"tools": [{"type": "function"}]},
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parsed(body)
    assert raised.value.param


@pytest.mark.parametrize(
    ("given", "inputs"), [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2]], [[1], [2]])]
)
def test_every_form_of_embedding_input(given: Any, inputs: Any) -> None:
    asked = parse_embedding(msgspec.json.encode({"model": "m", "input": given, "encoding_format": "base64", "dimensions": 8}))
    assert asked == EmbedRequest("openai", inputs, 8, True)
    assert build_embedding(asked, "m", []) == {"model": "m", "input": inputs, "dimensions": 8}


def test_mixed_embedding_input_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="mixes"):
        parse_embedding(b'{"model":"m","input":["a",[1]]}')
