import re

import pytest

from aldgate.core.conversation import Media, Opaque, Reasoning, Refusal, Text, Tool, ToolCall, ToolResult
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.converse.messages import call_id
from tests.dialects.converse.asking import LLAMA, body, say

LOOK = [Tool("look")]
PNG = Media("image", "image/png", "iVBORw0KGgo")
FIVE_MINUTES, ONE_HOUR = {"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default", "ttl": "1h"}}


def test_instructions_before_the_first_turn_are_the_system_and_later_ones_are_marked() -> None:
    said = body(say("system", "Be brief.", " "), say("system", "Be kind."), say("user", "Hi"), say("system", "Now in French."))
    assert said["system"] == [{"text": "Be brief."}, {"text": "Be kind."}]
    assert said["messages"] == [
        {"role": "user", "content": [{"text": "Hi"}, {"text": "<system>\nNow in French.\n</system>"}]},
    ]


def test_turns_of_one_role_are_one_turn_and_empty_ones_are_none() -> None:
    said = body(say("user", "a"), say("user", "b"), say("assistant", ""), say("user", "c"), say("assistant", "d", Refusal("No.")))
    assert said["messages"] == [
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}, {"text": "c"}]},
        {"role": "assistant", "content": [{"text": "d"}, {"text": "No."}]},
    ]


def test_instructions_alone_are_the_question() -> None:
    said = body(say("system", "Be brief."), say("system", "Tell a joke."))
    assert said["system"] == [{"text": "Be brief."}]
    assert said["messages"] == [{"role": "user", "content": [{"text": "Tell a joke."}]}]


def test_nothing_asked_is_refused() -> None:
    with pytest.raises(InvalidRequest) as raised:
        body(say("user", " \n"))
    assert raised.value.param == "messages"


def test_an_answer_begun_ends_without_white_space() -> None:
    assert body(say("user", "a"), say("assistant", "It is \n"))["messages"][1]["content"] == [{"text": "It is"}]


def test_results_lead_their_turn_and_keep_images_and_errors() -> None:
    calls = say("assistant", ToolCall("c1", "look", '{"at":"sea"}'), ToolCall("c2", "look"))
    results = say("tool", ToolResult("c1", [Text("A boat"), PNG]), ToolResult("c2", [], is_error=True))
    said = body(say("user", "Look"), calls, say("user", "Hurry"), results, tools=LOOK)
    assert said["messages"][1]["content"] == [
        {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": "sea"}}},
        {"toolUse": {"toolUseId": "c2", "name": "look", "input": {}}},
    ]
    image = {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo"}}}
    assert said["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "A boat"}, image]}},
        {"toolResult": {"toolUseId": "c2", "content": [{"text": "(no output)"}], "status": "error"}},
        {"text": "Hurry"},
    ]


def test_sound_as_a_result_and_parts_of_other_dialects_are_refused() -> None:
    sound = Media("audio", "audio/wav", "UklGRg")
    call = say("assistant", ToolCall("c1", "look"))
    for part in (ToolResult("c1", [sound]), Opaque("anthropic", "server_tool_use", {})):
        with pytest.raises(InvalidRequest) as raised:
            body(say("user", "Hi"), call, say("tool", part), tools=LOOK, origin="responses")
        assert raised.value.param == "input"
    own = {"guardContent": {"text": {"text": "Hi"}}}
    assert body(say("user", Opaque("converse", "guardContent", own)))["messages"][0]["content"] == [own]


def test_only_thoughts_that_claude_signed_go_back() -> None:
    thoughts = [
        Reasoning("I think.", "c2ln", origin="anthropic"),
        Reasoning(redacted="ZW5j", origin="converse"),
        Reasoning("Unsigned.", origin="anthropic"),
        Reasoning("Gemini's.", "eA==", origin="gemini"),
        Reasoning("DeepSeek's."),
    ]
    said = body(say("user", "a"), say("assistant", *thoughts, "So."), say("user", "b"))
    assert said["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "I think.", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "ZW5j"}},
        {"text": "So."},
    ]


def test_a_document_never_comes_alone() -> None:
    report = Media("document", "application/pdf", "JVBERi0", name="r.pdf")
    assert body(say("user", report))["messages"][0]["content"][1] == {"text": "(see the document)"}
    assert len(body(say("user", "Read.", report))["messages"][0]["content"]) == 2


def test_cache_hints_are_points_after_what_is_kept() -> None:
    said = body(
        say("system", Text("Long.", "5m")),
        say("user", Media("image", "image/png", "iVBORw0KGgo", cache="1h"), Text("What?", "30m")),
        say("assistant", ToolCall("c1", "look")),
        say("tool", ToolResult("c1", [Text("A boat", "1h")], cache="5m"), ToolResult("c1", [Text("Fog")], cache="5m")),
        tools=[Tool("look", cache="1h")],
        cache="5m",
    )
    assert said["system"] == [{"text": "Long."}, FIVE_MINUTES]
    assert said["messages"][0]["content"][1::2] == [ONE_HOUR, FIVE_MINUTES]
    assert said["messages"][2]["content"][1::2] == [ONE_HOUR, FIVE_MINUTES]
    assert said["messages"][2]["content"][-1] == FIVE_MINUTES
    assert said["toolConfig"]["tools"][1] == ONE_HOUR
    assert "cachePoint" not in str(said["messages"][2]["content"][0])


@pytest.mark.parametrize("where", ["text", "tool", "whole"])
def test_a_model_that_keeps_no_prompts_is_not_asked_to(where: str) -> None:
    said = body(
        say("user", Text("Hi", "5m" if where == "text" else None)),
        tools=[Tool("look", cache="5m" if where == "tool" else None)],
        cache="5m" if where == "whole" else None,
        model=LLAMA,
        origin="anthropic",
        warned=["cache_control"],
    )
    assert "cachePoint" not in str(said)


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "caf\u00e9", "\ud800", "a\n"])
def test_foreign_call_ids_become_ones_that_bedrock_takes(given: str) -> None:
    assert re.fullmatch("[a-zA-Z0-9_.:-]{1,64}", call_id(given)) and call_id(given) == call_id(given) != given
    assert call_id("functions.look:0") == "functions.look:0"
