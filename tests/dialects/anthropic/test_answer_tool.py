"""Answers by a schema from models that take none: what is asked for, and what is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.conversation import OutputFormat, Text, Thinking, Tool, ToolCall, ToolChoice
from aldgate.core.events import fold
from aldgate.dialects.anthropic.answer_tool import NAME
from aldgate.dialects.anthropic.answers import read
from aldgate.dialects.anthropic.decoder import MessagesDecoder
from tests.dialects.anthropic.test_build import built, refused
from tests.dialects.anthropic.test_streams import START, STOP, block, ended, wire

OLD = "claude-3-7-sonnet-20250219"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
WANTED = OutputFormat(SCHEMA, description="A number.")
LOOK = Tool("look", None, {"type": "object", "properties": {}})


def test_the_model_is_made_to_call_a_tool_with_the_schema() -> None:
    body, warnings = built(model=OLD, output_format=WANTED, thinking=Thinking("high"))
    (tool,) = body["tools"]
    assert (tool["name"], tool["input_schema"]) == (NAME, SCHEMA) and tool["description"].endswith("A number.")
    assert body["tool_choice"] == {"type": "tool", "name": NAME, "disable_parallel_tool_use": True}
    assert "output_config" not in body and "thinking" not in body
    assert warnings == ["reasoning_effort"], "a forced tool leaves no room for a thought"
    assert "tools" not in built(output_format=WANTED)[0], "newer models take the schema itself"


def test_beside_the_callers_tools_it_may_call_either() -> None:
    body, _ = built(model=OLD, output_format=WANTED, tools=[LOOK], parallel_tool_calls=False)
    assert [tool["name"] for tool in body["tools"]] == ["look", NAME]
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    body, _ = built(model=OLD, output_format=WANTED, tools=[LOOK], tool_choice=ToolChoice("none"))
    assert body["tool_choice"]["name"] == NAME
    for choice in (ToolChoice("required"), ToolChoice("one", ("look",))):
        body, _ = built(model=OLD, output_format=WANTED, tools=[LOOK], tool_choice=choice)
        assert [tool["name"] for tool in body["tools"]] == ["look"]


def test_what_cannot_be_a_tools_input_is_refused() -> None:
    assert refused(model=OLD, output_format=OutputFormat({"type": "array", "items": {}})) == "response_format"
    assert refused(model=OLD, output_format=WANTED, origin="anthropic") == "response_format"
    assert refused(model=OLD, tools=[Tool(NAME, None, {})]) == "tools"


objects = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.booleans(), max_size=3)


@given(objects, st.integers(1, 7))
def test_its_input_is_the_answer_whole_and_streamed(answer: dict[str, Any], size: int) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": NAME, "input": answer}
    usage = {"input_tokens": 3, "output_tokens": 9}
    whole = read(json.dumps({"id": "msg_1", "content": [call], "stop_reason": "tool_use", "usage": usage}).encode())
    text = json.dumps(answer) if answer else ""
    pieces = [{"type": "input_json_delta", "partial_json": text[at : at + size]} for at in range(0, len(text), size)]
    decoder = MessagesDecoder()
    streamed = fold(decoder.feed(wire(START, *block(0, {**call, "input": {}}, *pieces), ended("tool_use"), STOP)))
    for given_answer in (whole, streamed):
        (part,) = given_answer.parts
        assert isinstance(part, Text) and json.loads(part.text) == answer
        assert given_answer.finish == "stop" and given_answer.usage is not None
        assert (given_answer.usage.input_tokens, given_answer.usage.output_tokens) == (3, 9)


@pytest.mark.parametrize(("reason", "finish"), [("tool_use", "tool_calls"), ("max_tokens", "length")])
def test_who_calls_another_tool_as_well_waits_for_that(reason: str, finish: str) -> None:
    calls = [{"type": "tool_use", "id": name, "name": name, "input": {"n": 1}} for name in ("look", NAME)]
    answer = read(json.dumps({"content": calls, "stop_reason": reason}).encode())
    assert [type(part) for part in answer.parts] == [ToolCall, Text] and answer.finish == finish
