"""Requests read into neutral conversations."""

import json
from typing import Any

import pytest

from aldgate.core.conversation import (
    Conversation,
    Media,
    Message,
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
from aldgate.dialects.responses.parse import parse

LOOK = {"type": "function", "name": "look", "description": "Look", "parameters": {"type": "object"}, "strict": True}


def read(**asked: Any) -> Conversation:
    return parse(json.dumps({"model": "m", "input": "Hi", **asked}).encode())


def messages(*items: Any) -> list[Message]:
    return read(input=list(items)).messages


def test_instructions_lead_and_a_string_is_the_users():
    assert read(instructions="Be brief").messages == [
        Message("system", [Text("Be brief")]),
        Message("user", [Text("Hi")]),
    ]


@pytest.mark.parametrize(
    ("role", "mine"), [("user", "user"), ("assistant", "assistant"), ("developer", "system"), ("system", "system")]
)
def test_an_easy_message_needs_no_type(role: str, mine: Any):
    assert messages({"role": role, "content": "x"}) == [Message(mine, [Text("x")])]


@pytest.mark.parametrize(
    ("part", "piece"),
    [
        ({"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}, Text("x", "30m")),
        (
            {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"},
            Media("image", url="https://a/b.png", detail="low"),
        ),
        ({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}, Media("image", "image/png", "AAAA")),
        ({"type": "input_image", "file_id": "file-1"}, Media("image", file_id="file-1")),
        ({"type": "input_file", "file_url": "https://a/b.pdf"}, Media("document", url="https://a/b.pdf")),
        (
            {"type": "input_file", "filename": "b.pdf", "file_data": "data:application/pdf;base64,AAAA"},
            Media("document", "application/pdf", "AAAA", name="b.pdf"),
        ),
        ({"type": "input_file", "file_data": "AAAA"}, Media("document", "application/pdf", "AAAA")),
        ({"type": "input_file", "file_id": "file-1"}, Media("document", file_id="file-1")),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}, Media("audio", "audio/mpeg", "AAAA")),
        ({"type": "refusal", "refusal": "No"}, Refusal("No")),
    ],
)
def test_every_part_is_read(part: dict[str, Any], piece: Any):
    assert messages({"type": "message", "role": "user", "content": [part]}) == [Message("user", [piece])]


def test_one_turn_of_several_items_is_one_message():
    turn = messages(
        {"role": "user", "content": "Hi"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look"}], "phase": "commentary"},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
        {"type": "function_call_output", "call_id": "c1", "output": "A cat"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_image", "image_url": "https://a/b.png"}]},
    )
    assert turn == [
        Message("user", [Text("Hi")]),
        Message(
            "assistant",
            [
                Reasoning("Hm", "gAAA", origin="responses"),
                Text("I look"),
                ToolCall("c1", "look", "{}"),
                ToolCall("c2", "patch", '{"input":"*** Begin"}'),
            ],
        ),
        Message(
            "tool",
            [
                ToolResult("c1", [Text("A cat")], name="look"),
                ToolResult("c2", [Media("image", url="https://a/b.png")], name="patch"),
            ],
        ),
    ]


def test_empty_texts_and_messages_are_left_out():
    assert messages({"role": "assistant", "content": ""}, {"role": "user", "content": "x"}) == [Message("user", [Text("x")])]


def test_tools_are_flat_and_what_openai_runs_is_left_out():
    asked = read(
        tools=[
            LOOK,
            {
                "type": "custom",
                "name": "patch",
                "description": "Edit",
                "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
            },
            {"type": "namespace", "name": "docs", "tools": [{"type": "function", "name": "find"}]},
            {"type": "web_search"},
        ],
        tool_choice={"type": "custom", "name": "patch"},
    )
    look, patch, find = asked.tools
    assert look == Tool("look", "Look", {"type": "object"}, True)
    assert (patch.name, patch.is_custom) == ("patch", False)
    assert "lark grammar:\nx" in (patch.description or "") and (patch.parameters or {})["required"] == ["input"]
    assert find.name == "docs__find"
    assert asked.tool_choice == ToolChoice("one", ("patch",))
    assert asked.others == {"tools.patch.format": True, "tools.web_search": True}


@pytest.mark.parametrize(
    ("given", "mine"),
    [
        (None, None),
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "look"}, ToolChoice("one", ("look",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}, {"type": "web_search"}]},
            ToolChoice("auto", ("look",)),
        ),
    ],
)
def test_a_tool_is_chosen(given: Any, mine: Any):
    assert read(tools=[LOOK], tool_choice=given).tool_choice == mine


def test_every_wish_has_its_place():
    asked = read(
        text={"format": {"type": "json_schema", "name": "cat", "schema": {"type": "object"}, "strict": True}, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        max_output_tokens=9,
        temperature=0.5,
        top_p=0.9,
        prompt_cache_key="k",
        safety_identifier="u",
        service_tier="flex",
        metadata={"a": "b"},
        truncation="disabled",
        client_metadata={"x": "y"},
        stream=True,
        store=False,
        include=["reasoning.encrypted_content"],
    )
    assert asked.output_format == OutputFormat({"type": "object"}, "cat", None, True)
    assert asked.thinking == Thinking("high", is_shown=True)
    assert (asked.max_output_tokens, asked.temperature, asked.top_p, asked.verbosity) == (9, 0.5, 0.9, "low")
    assert (asked.cache_key, asked.user, asked.service_tier, asked.metadata) == ("k", "u", "flex", {"a": "b"})
    assert asked.others == {"client_metadata": {"x": "y"}}


def test_parallel_calls_are_not_spoken_of_without_tools():
    assert read(parallel_tool_calls=False).parallel_tool_calls is None
    assert read(parallel_tool_calls=False, tools=[{"type": "web_search"}]).parallel_tool_calls is None
    assert read(parallel_tool_calls=False, tools=[LOOK]).parallel_tool_calls is False


def test_records_of_tools_that_openai_ran_are_named():
    asked = read(input=[{"type": "web_search_call", "id": "ws_1", "status": "completed"}, {"role": "user", "content": "x"}])
    assert asked.others == {"input.web_search_call": True}


@pytest.mark.parametrize("kind", ["compaction", "item_reference", "compaction_trigger"])
def test_what_stands_for_text_kept_elsewhere_is_refused(kind: str):
    with pytest.raises(InvalidRequest) as refused:
        messages({"type": kind, "id": "x", "encrypted_content": "x"})
    assert refused.value.param == "input[0]"


@pytest.mark.parametrize(
    "asked",
    [
        {"text": {"format": {"type": "xml"}}},
        {"reasoning": {"effort": "enormous"}},
        {"tools": [{"name": "x"}]},
        {"tools": [{"type": "function"}]},
        {"input": ["x"]},
        {"input": [{"role": "user", "content": [{"type": "input_video"}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
        {"input": [{"role": "user", "content": 5}]},
        {"input": [{"role": "system", "content": [{"type": "input_image", "image_url": "https://a/b.png"}]}]},
        {"input": [{"type": "reasoning", "summary": [], "encrypted_content": "aldgate-1.x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png,AAAA"}]}]},
        {"include": ["message.output_text.logprobs"]},
        {"moderation": {"model": "x"}},
    ],
)
def test_what_there_is_not_is_refused(asked: dict[str, Any]):
    with pytest.raises(InvalidRequest):
        read(**asked)


def test_tools_that_stand_in_the_input_are_offered_and_replace_their_namesakes():
    def added(*tools: Any) -> dict[str, Any]:
        return {"type": "additional_tools", "role": "developer", "tools": list(tools)}

    code = {"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}
    hello = {"role": "user", "content": "Hi"}
    asked = read(tools=[LOOK], input=[added(code), hello, added({**LOOK, "description": "Look again"})], tool_choice="required")
    assert [(tool.name, tool.description) for tool in asked.tools] == [("functions__exec", None), ("look", "Look again")]
    assert asked.tool_choice == ToolChoice("required")
    assert asked.others == {}
    with pytest.raises(InvalidRequest) as caught:
        read(input=[hello, {"type": "additional_tools", "role": "developer"}])
    assert caught.value.param == "input[1].tools"
