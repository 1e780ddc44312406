"""Bugs reported of other gateways that concern requests in Anthropic's dialect; each shows here that it is not ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aldgate.core.calls import Named
from aldgate.core.conversation import (
    Conversation,
    Media,
    Message,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from aldgate.core.routes import Deployment
from aldgate.dialects.anthropic.dialect import ANTHROPIC

HELLO = [Message("user", [Text("Hi")])]
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}


def built(conversation: Conversation, model: str = "claude-opus-5") -> tuple[Any, list[str]]:
    warnings: list[str] = []
    deployment = Deployment(f"a/{model}", "a", model, None, "file")
    return json.loads(ANTHROPIC.build(conversation, deployment, stream=False, warnings=warnings)), warnings


def parsed(**changes: Any) -> Conversation:
    asked = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}], **changes}
    result = ANTHROPIC.parse("chat", ANTHROPIC.peek("chat", json.dumps(asked).encode(), Named()))
    assert isinstance(result, Conversation)
    return result


def test_a7_parameters_always_say_that_they_are_an_object() -> None:
    """A function without parameters, or whose schema names no type, still has an `input_schema` that is accepted."""
    tools = [Tool("a"), Tool("b", parameters={}), Tool("c", parameters={"properties": {"x": {}}})]
    body, _ = built(Conversation("openai", HELLO, tools=tools))
    assert [tool["input_schema"]["type"] for tool in body["tools"]] == ["object"] * 3
    assert all("parameters" not in tool and "strict" not in tool for tool in body["tools"])


def test_a9_one_call_at_a_time_is_kept_both_ways_and_asked_only_beside_tools() -> None:
    """`disable_parallel_tool_use` and `parallel_tool_calls: false` are one thing; neither is sent without tools."""
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert parsed(tools=[{"name": "a", "input_schema": {}}], tool_choice=choice).parallel_tool_calls is False
    without = parsed(tool_choice=choice)
    assert (without.parallel_tool_calls, without.tool_choice) == (None, None)
    body, _ = built(Conversation("openai", HELLO, tools=[Tool("a")], parallel_tool_calls=False))
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    body, _ = built(Conversation("openai", HELLO, parallel_tool_calls=False, tool_choice=ToolChoice("auto")))
    assert "tool_choice" not in body


def test_a10_images_in_the_results_of_tools_are_kept_both_ways() -> None:
    """A screenshot that a tool answers with reaches the model, whichever dialect it came in."""
    turns = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}]}]
    assert parsed(messages=turns).messages == [Message("tool", [ToolResult("t", [Media("image", "image/png", "AA==")])])]
    body, _ = built(Conversation("openai", parsed(messages=turns).messages))
    assert body["messages"] == turns


CALLED = Message("assistant", [ToolCall("t", "look", "{}")])
RESULT = Message("tool", [ToolResult("t", [Text("1")])])


def test_c1_a_turn_whose_thoughts_are_lost_goes_on_without_thinking() -> None:
    """Models with budgets refuse a `tool_use` without the thought before it; so thinking is left out for that turn, and named."""
    asked = Conversation("openai", [*HELLO, CALLED, RESULT], tools=[Tool("look")], thinking=Thinking("low"))
    body, warnings = built(asked, "claude-haiku-4-5")
    assert "thinking" not in body and warnings == ["reasoning_effort"]
    assert "thinking" in built(asked, "claude-opus-5")[0]
    thought = Reasoning("Hm", "c2ln", origin="anthropic")
    kept = Message("assistant", [thought, *CALLED.parts])
    body, warnings = built(Conversation("openai", [*HELLO, kept, RESULT], thinking=Thinking("low")), "claude-haiku-4-5")
    assert [block["type"] for block in body["messages"][1]["content"]] == ["thinking", "tool_use"]
    assert body["thinking"]["type"] == "enabled" and warnings == []


@pytest.mark.parametrize("display", ["summarized", "omitted"])
def test_c3_whether_thoughts_are_shown_is_kept(display: str) -> None:
    """`thinking.display` is what the caller said, not what we would choose."""
    asked = parsed(thinking={"type": "adaptive", "display": display})
    assert built(asked)[0]["thinking"] == {"type": "adaptive", "display": display}


def test_c8_redacted_thoughts_come_back_as_they_were() -> None:
    """`redacted_thinking` survives a turn through neutral words, in its place."""
    blocks = [{"type": "redacted_thinking", "data": "ZA=="}, {"type": "tool_use", "id": "t", "name": "look", "input": {}}]
    asked = parsed(messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": blocks}])
    assert built(asked)[0]["messages"][1]["content"] == blocks


def test_e2_stop_sequences_are_kept_both_ways() -> None:
    """What stops Claude stops any model."""
    assert parsed(stop_sequences=["a", "b"]).stop == ["a", "b"]
    assert built(Conversation("openai", HELLO, stop=["a", "b"]))[0]["stop_sequences"] == ["a", "b"]


def test_f3_cache_marks_are_kept_wherever_they_stand() -> None:
    """On the request, the system, tools, texts, images and results; a text as a string becomes a block that can bear one."""
    mark = {"cache_control": {"type": "ephemeral"}}
    tool = {"name": "look", "input_schema": {"type": "object", "properties": {}}, **mark}
    system = [{"type": "text", "text": "S", **mark}]
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "1"}], **mark}
    content = [result, {"type": "text", "text": "T", **mark}, {**IMAGE, **mark}]
    turns = [{"role": "user", "content": content}]
    body, warnings = built(parsed(system=system, tools=[tool], messages=turns, **mark))
    assert (body["system"], body["tools"], body["messages"], body["cache_control"]) == (
        system,
        [tool],
        turns,
        mark["cache_control"],
    )
    assert warnings == []


def test_f4_a_prompt_goes_on_the_same_to_the_byte_each_time() -> None:
    """A cache matches bytes: passed through they are the caller's own, and one request is always translated to the same."""
    tools = b'"tools":[{"name":"z","input_schema":{"b":1.0,"a":2}}]'
    given = b'{"max_tokens":9,"model" : "claude-opus-5",%b,"messages":[{"role":"user","content":"Hi \\u00e9"}]}' % tools
    deployment = Deployment("a/claude-opus-5", "a", "claude-opus-5", None, "file")
    assert ANTHROPIC.outgoing("chat", ANTHROPIC.peek("chat", given), deployment, cap=None, warnings=[]) is given
    asked = Conversation("openai", HELLO, tools=[Tool("z", parameters={"type": "object", "b": 1, "a": 2})])
    sent = [ANTHROPIC.build(asked, deployment, stream=False, warnings=[]) for _ in range(2)]
    assert sent[0] == sent[1] and b'"b":1,"a":2' in sent[0]


def test_h1_empty_texts_are_left_out_and_so_are_turns_of_nothing_else() -> None:
    """The API refuses empty text blocks, which clients send beside tool calls."""
    blocks = [{"type": "text", "text": ""}, {"type": "tool_use", "id": "t", "name": "look", "input": {}}]
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": blocks}, {"role": "user", "content": ""}]
    assert parsed(messages=turns).messages == [*HELLO, CALLED]
    said = [*HELLO, Message("assistant", [Text(""), Text(" \n"), *CALLED.parts]), Message("tool", [ToolResult("t", [Text("")])])]
    body, _ = built(Conversation("openai", said))
    assert body["messages"][1]["content"] == blocks[1:]
    assert body["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "t"}]
