from typing import Any

import pytest

from aldgate.core.conversation import Text, Tool, ToolCall, ToolChoice, ToolResult
from aldgate.core.errors import InvalidRequest
from tests.dialects.converse.asking import CLAUDE, NOVA, body, say

LOOK, GO = Tool("look", "Look around", {"type": "object", "properties": {"at": {"type": "string"}}}, strict=True), Tool("go")
HISTORY = [
    say("user", "Look"),
    say("assistant", "Well.", ToolCall("c1", "look", '{"at":"sea"}')),
    say("tool", ToolResult("c1", [Text("A boat")]), ToolResult("c2", [Text("Fog")], is_error=True)),
]


def test_tools_go_with_schemas_that_are_objects() -> None:
    said = body(tools=[LOOK, GO, Tool("stay", parameters={"properties": {}})], tool_choice=ToolChoice("auto"))["toolConfig"]
    assert said["tools"] == [
        {
            "toolSpec": {
                "name": "look",
                "description": "Look around",
                "inputSchema": {"json": {"type": "object", "properties": {"at": {"type": "string"}}}},
                "strict": True,
            }
        },
        {"toolSpec": {"name": "go", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
        {"toolSpec": {"name": "stay", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
    ]
    assert said["toolChoice"] == {"auto": {}}


@pytest.mark.parametrize(
    ("choice", "said", "names"),
    [
        (None, None, ["look", "go"]),
        (ToolChoice("required"), {"any": {}}, ["look", "go"]),
        (ToolChoice("one", ("go",)), {"tool": {"name": "go"}}, ["look", "go"]),
        (ToolChoice("required", ("go",)), {"any": {}}, ["go"]),
        (ToolChoice("auto", ("go",)), {"auto": {}}, ["go"]),
    ],
)
def test_the_choice_is_said_as_far_as_converse_can(choice: ToolChoice | None, said: Any, names: list[str]) -> None:
    config = body(tools=[LOOK, GO], tool_choice=choice)["toolConfig"]
    assert config.get("toolChoice") == said
    assert [tool["toolSpec"]["name"] for tool in config["tools"]] == names


def test_one_call_at_a_time_is_said_to_claude_alone_and_in_one_place_only() -> None:
    said = body(tools=[GO], parallel_tool_calls=False, tool_choice=ToolChoice("one", ("go",)), model=CLAUDE)
    assert said["additionalModelRequestFields"] == {
        "tool_choice": {"type": "tool", "name": "go", "disable_parallel_tool_use": True}
    }
    assert "toolChoice" not in said["toolConfig"]
    other = body(tools=[GO], parallel_tool_calls=False, model=NOVA, warned=["parallel_tool_calls"])
    assert "additionalModelRequestFields" not in other
    assert "toolConfig" not in body(parallel_tool_calls=False)


def test_past_calls_need_tools_now() -> None:
    said = body(*HISTORY, tools=[LOOK])
    assert said["toolConfig"]["tools"] and "toolUse" in said["messages"][1]["content"][1]


@pytest.mark.parametrize("fields", [{}, {"tools": [LOOK], "tool_choice": ToolChoice("none")}])
def test_past_calls_are_told_where_none_may_be_made_now(fields: dict[str, Any]) -> None:
    said = body(*HISTORY, **fields)
    assert "toolConfig" not in said
    assert said["messages"][1:] == [
        {"role": "assistant", "content": [{"text": "Well."}, {"text": '[Called the tool look (c1) with {"at":"sea"}]'}]},
        {
            "role": "user",
            "content": [
                {"text": "[The call c1 returned:]"},
                {"text": "A boat"},
                {"text": "[The call c2 failed with:]"},
                {"text": "Fog"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("arguments", "is_custom", "said"),
    [
        ("", False, {}),
        ('{"a":{"b":[1]}}', False, {"a": {"b": [1]}}),
        ('{"a":', False, {"arguments": '{"a":'}),
        ("[1]", False, {"arguments": [1]}),
        ("[" * 100_000, False, {"arguments": "[" * 100_000}),
        ("SELECT 1", True, {"input": "SELECT 1"}),
    ],
)
def test_arguments_are_an_object_whatever_the_model_wrote(arguments: str, is_custom: bool, said: dict[str, Any]) -> None:
    call = ToolCall("c1", "look", arguments, is_custom)
    content = body(say("user", "Hi"), say("assistant", call), say("tool", ToolResult("c1", [])), tools=[LOOK])["messages"][1]
    assert content["content"][0]["toolUse"]["input"] == said


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [([Tool("sql", is_custom=True)], None, "tools"), ([GO], ToolChoice("auto", ("look",)), "tool_choice")],
)
def test_what_it_cannot_offer_is_refused(tools: list[Tool], choice: ToolChoice | None, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        body(tools=tools, tool_choice=choice)
    assert raised.value.param == param
