"""Answers by a schema from models that take none: what is asked for, and what is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.conversation import OutputFormat, Text, Thinking, Tool, ToolCall, ToolChoice
from aldgate.core.events import fold
from aldgate.dialects.anthropic.answer_tool import NAME
from aldgate.dialects.anthropic.answers import read
from aldgate.dialects.anthropic.decoder import MessagesDecoder
from aldgate.testing.upstream import FakeUpstream
from tests.dialects.anthropic.test_build import built, refused
from tests.dialects.anthropic.test_streams import START, STOP, block, ended, wire
from tests.support import running_gate

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


@pytest.mark.anyio
async def test_callers_of_openais_api_get_it_as_text_and_pay_what_it_cost(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream:
        table = {"kind": "anthropic", "base_url": upstream.url, "api_key": "env:LAB_KEY", "models": [OLD]}
        prices = f'[prices."lab/{OLD}"]\ninput = 2\noutput = 8\n'
        async with running_gate(tmp_path, providers={"lab": table}, config=prices) as gate:
            schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
            asked = {"model": OLD, "messages": [{"role": "user", "content": "Hi"}], "response_format": schema}
            whole = (await gate.http.post("/v1/chat/completions", json=asked)).json()
            (choice,) = whole["choices"]
            assert json.loads(choice["message"]["content"]) == {"at": "sea"} and "tool_calls" not in choice["message"]
            assert choice["finish_reason"] == "stop"
            lines = (await gate.http.post("/v1/chat/completions", json={**asked, "stream": True})).text.split("\n\n")
            events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
            deltas = [event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"]]
            assert json.loads("".join(deltas)) == {"at": "sea"}
            (row,) = await gate.usage()
            assert (row["calls"], row["cost_microusd"]) == (2, 2 * (10 * 2 + 5 * 8))
