"""Neutral conversations written as Responses requests."""

from typing import Any

import pytest

from aldgate.core.conversation import (
    Conversation,
    Media,
    Message,
    Opaque,
    OutputFormat,
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
from aldgate.dialects.responses.build import build

HI = Message("user", [Text("Hi")])


def built(*messages: Message, origin: str = "openai", stream: bool = False, **more: Any) -> tuple[dict[str, Any], list[str]]:
    warnings: list[str] = []
    body = build(Conversation(origin, list(messages) or [HI], **more), "m", stream=stream, warnings=warnings)
    return body, warnings


def test_leading_system_messages_are_instructions_and_nothing_is_stored():
    body, warnings = built(Message("system", [Text("A")]), Message("system", [Text("B")]), HI, Message("system", [Text("C")]))
    assert (body["instructions"], body["store"], warnings) == ("A\n\nB", False, [])
    assert [(item["role"], item["content"]) for item in body["input"]] == [
        ("user", [{"type": "input_text", "text": "Hi"}]),
        ("system", [{"type": "input_text", "text": "C"}]),
    ]


def test_a_turn_is_written_item_by_item():
    said = [
        Reasoning("Hm", "gAAA", origin="responses"),
        Reasoning("Foreign", "sig", origin="anthropic"),
        Text("I"),
        Refusal("No"),
        ToolCall("c1", "look", ""),
        ToolCall("c2", "patch", "*** Begin", is_custom=True),
        Opaque("responses", "x", {"type": "x"}),
    ]
    results = Message(
        "tool", [ToolResult("c1", [Text("A cat")]), ToolResult("c2", [Text("x"), Media("image", url="https://a/b")])]
    )
    body, _ = built(HI, Message("assistant", said), results)
    assert body["input"][1:] == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "gAAA"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I"}, {"type": "refusal", "refusal": "No"}],
        },
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
        {"type": "x"},
        {"type": "function_call_output", "call_id": "c1", "output": "A cat"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "detail": "auto", "image_url": "https://a/b"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("piece", "part"),
    [
        (Media("image", "image/png", "AAAA", detail="low"), {"detail": "low", "image_url": "data:image/png;base64,AAAA"}),
        (Media("image", file_id="file-1"), {"detail": "auto", "file_id": "file-1"}),
        (Media("document", data="AAAA"), {"filename": "document.pdf", "file_data": "data:application/pdf;base64,AAAA"}),
        (Media("document", url="https://a/b.pdf"), {"file_url": "https://a/b.pdf"}),
        (Media("document", file_id="file-1"), {"file_id": "file-1"}),
        (Media("audio", "audio/mpeg", "AAAA"), {"input_audio": {"data": "AAAA", "format": "mp3"}}),
    ],
)
def test_media(piece: Media, part: dict[str, Any]):
    body, _ = built(Message("user", [piece]))
    kind = {"image": "input_image", "document": "input_file", "audio": "input_audio"}[piece.kind]
    assert body["input"][0]["content"] == [{"type": kind, **part}]


def test_tools_are_not_strict_unless_they_say_so():
    tools = [Tool("look", "Look", {"type": "object"}), Tool("find", strict=True), Tool("patch", is_custom=True)]
    body, _ = built(tools=tools, tool_choice=ToolChoice("one", ("patch",)), parallel_tool_calls=False)
    assert body["tools"] == [
        {"type": "function", "name": "look", "description": "Look", "parameters": {"type": "object"}, "strict": False},
        {"type": "function", "name": "find", "parameters": {"type": "object", "properties": {}}, "strict": True},
        {"type": "custom", "name": "patch"},
    ]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ({"type": "custom", "name": "patch"}, False)
    assert "parallel_tool_calls" not in built(parallel_tool_calls=False)[0]


@pytest.mark.parametrize(
    ("thinking", "reasoning"),
    [
        (Thinking("low", is_shown=True), {"effort": "low", "summary": "auto"}),
        (Thinking(budget_tokens=1_024), {"effort": "low"}),
        (Thinking(budget_tokens=8_000), {"effort": "medium"}),
        (Thinking(budget_tokens=30_000), {"effort": "high"}),
        (Thinking(), None),
        (None, None),
    ],
)
def test_effort(thinking: Thinking | None, reasoning: Any):
    assert built(thinking=thinking)[0].get("reasoning") == reasoning


def test_formats():
    assert built(output_format=OutputFormat())[0]["text"] == {"format": {"type": "json_object"}}
    body, _ = built(output_format=OutputFormat({"type": "object"}, "cat", strict=True), verbosity="low")
    assert body["text"] == {
        "verbosity": "low",
        "format": {"type": "json_schema", "name": "cat", "schema": {"type": "object"}, "strict": True},
    }


def test_what_does_no_harm_is_named():
    _, warnings = built(seed=1, top_k=2, presence_penalty=0.1, metadata={"a": "b"}, others={"logit_bias": {}})
    assert warnings == ["top_k", "seed", "presence_penalty", "metadata", "logit_bias"]
    assert built(origin="anthropic", service_tier="auto")[1] == ["service_tier"]
    assert built(Message("user", [Text("Hi")], name="Tom"))[1] == ["messages.name"]
    assert built(Message("tool", [ToolResult("c", [Text("x")], is_error=True)]))[1] == ["is_error"]


@pytest.mark.parametrize(
    ("message", "more", "param"),
    [
        (HI, {"stop": ["x"]}, "stop"),
        (HI, {"choices": 2}, "n"),
        (HI, {"top_logprobs": 1}, "logprobs"),
        (Message("user", [Media("video", url="https://a/b")]), {}, "messages"),
        (Message("user", [Media("image", file_id="f")]), {"origin": "anthropic"}, "messages"),
        (Message("user", [Opaque("anthropic", "x", {})]), {}, "messages"),
        (Message("assistant", [Media("image", url="https://a/b")]), {}, "messages"),
    ],
)
def test_what_would_be_another_request_is_refused(message: Message, more: dict[str, Any], param: str):
    with pytest.raises(InvalidRequest) as refused:
        built(message, **more)
    assert refused.value.param == param
