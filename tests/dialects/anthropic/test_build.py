"""Neutral requests as Messages bodies."""

from __future__ import annotations

import json
from typing import Any

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
from aldgate.core.routes import Deployment, Facts
from aldgate.dialects.anthropic.dialect import ANTHROPIC
from aldgate.dialects.anthropic.families import family_of
from aldgate.dialects.anthropic.thinking import DEFAULT_MAX_TOKENS

HELLO = [Message("user", [Text("Hi")])]


def built(*messages: Message, model: str = "claude-opus-5", max_output: int | None = None, **asked: Any) -> tuple[Any, list[str]]:
    deployment = Deployment(f"a/{model}", "a", model, None, "file", facts=Facts(max_output=max_output))
    warnings: list[str] = []
    conversation = Conversation(asked.pop("origin", "openai"), list(messages) or HELLO, **asked)
    return json.loads(ANTHROPIC.build(conversation, deployment, stream=False, warnings=warnings)), warnings


def turns(*messages: Message, **asked: Any) -> Any:
    return built(*messages, **asked)[0]["messages"]


def refused(*messages: Message, **asked: Any) -> str | None:
    with pytest.raises(InvalidRequest) as caught:
        built(*messages, **asked)
    return caught.value.param


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_the_plainest_request() -> None:
    body, warnings = built()
    assert body == {
        "model": "claude-opus-5",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "messages": [{"role": "user", "content": [text("Hi")]}],
    }
    assert warnings == []


def test_a_stream_is_asked_for() -> None:
    deployment = Deployment("a/m", "a", "m", None, "file")
    assert json.loads(ANTHROPIC.build(Conversation("openai", HELLO), deployment, stream=True, warnings=[]))["stream"] is True


def test_the_bound_on_output_is_the_callers_the_catalogues_or_ours() -> None:
    assert built(max_output_tokens=7, max_output=99)[0]["max_tokens"] == 7
    assert built(max_output=99)[0]["max_tokens"] == 99


def test_leading_instructions_are_hoisted() -> None:
    body, _ = built(Message("system", [Text("A", "1h")]), Message("system", [Text("B")]), *HELLO)
    assert body["system"] == [text("A") | {"cache_control": {"type": "ephemeral", "ttl": "1h"}}, text("B")]
    assert [turn["role"] for turn in body["messages"]] == ["user"]


def test_instructions_alone_are_said_by_the_user() -> None:
    body, _ = built(Message("system", [Text("Sing.")]))
    assert "system" not in body
    assert body["messages"] == [{"role": "user", "content": [text("Sing.")]}]
    assert refused(Message("user", [Text("  ")])) == "messages"


LATER = (*HELLO, Message("system", [Text("Be brief.")]))


def test_later_instructions_stay_where_they_are_if_the_model_knows_that() -> None:
    assert turns(*LATER)[1] == {"role": "system", "content": [text("Be brief.")]}


def test_later_instructions_are_marked_text_for_other_models_and_in_other_places() -> None:
    marked = text("<system>\nBe brief.\n</system>")
    assert turns(*LATER, model="claude-sonnet-4-6") == [{"role": "user", "content": [text("Hi"), marked]}]
    after_answer = turns(*HELLO, Message("assistant", [Text("Yes?")]), Message("system", [Text("Be brief.")]), *HELLO)
    assert after_answer[2] == {"role": "user", "content": [marked, text("Hi")]}


def test_turns_of_one_role_are_merged_and_results_come_first() -> None:
    calls: list[Part] = [ToolCall("a", "look", '{"x":1}'), ToolCall("b", "now", "")]
    results = [Message("tool", [ToolResult("a", [Text("1")])]), Message("tool", [ToolResult("b", [], is_error=True)])]
    said = turns(*HELLO, Message("assistant", calls), Message("user", [Text("well?")]), *results)
    assert said[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "a", "name": "look", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "now", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [text("1")]},
                {"type": "tool_result", "tool_use_id": "b", "is_error": True},
                text("well?"),
            ],
        },
    ]


def test_ids_get_letters_that_the_api_takes_the_same_on_both_sides() -> None:
    said = turns(*HELLO, Message("assistant", [ToolCall("f.look:0", "look")]), Message("tool", [ToolResult("f.look:0", [])]))
    made = said[1]["content"][0]["id"]
    assert made.startswith("f_look_0_") and made == said[2]["content"][0]["tool_use_id"]


def test_thoughts_go_back_only_with_claudes_own_proof() -> None:
    parts: list[Part] = [
        Reasoning("Hm", "c2ln", origin="anthropic"),
        Reasoning(redacted="ZA==", origin="anthropic"),
        Reasoning("unsigned", origin="anthropic"),
        Reasoning("foreign", "x", origin="gemini"),
        Refusal("No."),
    ]
    assert turns(*HELLO, Message("assistant", parts), *HELLO)[1]["content"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZA=="},
        text("No."),
    ]


def test_what_the_answer_begins_with_ends_without_white_space() -> None:
    assert turns(*HELLO, Message("assistant", [Text("So, ")]))[1]["content"] == [text("So,")]


def test_attachments() -> None:
    pdf, note = "JVBERi0xLjQ=", "aGk="
    parts: list[Part] = [
        Media("image", "image/jpg", "AA==", detail="high"),
        Media("image", None, "iVBORw0KGgoAAA"),
        Media("image", url="https://host/a.png", cache="5m"),
        Media("document", "application/pdf", pdf, name="a.pdf"),
        Media("document", "text/markdown", note),
    ]
    body, warnings = built(Message("user", parts))
    sources = [(block["type"], block["source"]) for block in body["messages"][0]["content"]]
    assert sources == [
        ("image", {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}),
        ("image", {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoAAA"}),
        ("image", {"type": "url", "url": "https://host/a.png"}),
        ("document", {"type": "base64", "media_type": "application/pdf", "data": pdf}),
        ("document", {"type": "text", "media_type": "text/plain", "data": "hi"}),
    ]
    assert body["messages"][0]["content"][3]["title"] == "a.pdf"
    assert warnings == ["detail"]


@pytest.mark.parametrize(
    "part",
    [
        Media("audio", "audio/wav", "AA=="),
        Media("video", "video/mp4", "AA=="),
        Media("image", "image/tiff", "AA=="),
        Media("document", "application/msword", "AA=="),
        Media("document", "text/plain", "not base64"),
        Media("image", file_id="file-1"),
        Opaque("gemini", "executableCode", {}),
        ToolCall("a", "look", '{"cut'),
        ToolCall("a", "look", "[]"),
        ToolCall("a", "look", "x", is_custom=True),
    ],
)
def test_what_claude_cannot_be_sent_is_refused(part: Part) -> None:
    assert refused(Message("user", [part])) == "messages"


def test_tools() -> None:
    tools = [Tool("look", "Looks", {"properties": {}}, True, cache="24h"), Tool("now")]
    body, _ = built(tools=tools)
    assert body["tools"] == [
        {
            "name": "look",
            "input_schema": {"type": "object", "properties": {}},
            "description": "Looks",
            "strict": True,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("choice", "parallel", "written"),
    [
        (ToolChoice("auto"), None, {"type": "auto"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("one", ("look",)), True, {"type": "tool", "name": "look"}),
        (ToolChoice("none"), False, {"type": "none"}),
    ],
)
def test_tool_choices(choice: ToolChoice | None, parallel: bool | None, written: Any) -> None:
    assert built(tools=[Tool("look")], tool_choice=choice, parallel_tool_calls=parallel)[0]["tool_choice"] == written


def test_only_the_tools_that_may_be_called_are_named() -> None:
    body, _ = built(tools=[Tool("look"), Tool("now")], tool_choice=ToolChoice("auto", ("now",)))
    assert [tool["name"] for tool in body["tools"]] == ["now"]
    assert body["tool_choice"] == {"type": "auto"}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"choices": 2}, "n"),
        ({"top_logprobs": 0}, "logprobs"),
        ({"tools": [Tool("free", is_custom=True)]}, "tools"),
        ({"output_format": OutputFormat({}), "model": "claude-3-haiku-20240307"}, "response_format"),
    ],
)
def test_what_changes_the_meaning_is_refused(asked: dict[str, Any], param: str) -> None:
    assert refused(**asked) == param


def test_what_does_no_harm_is_named() -> None:
    asked = {
        "seed": 1,
        "presence_penalty": 0.5,
        "verbosity": "low",
        "service_tier": "flex",
        "cache_key": "k",
        "metadata": {"a": "b"},
    }
    body, warnings = built(**asked, others={"logit_bias": {}, "modalities": ["text"]}, stop=["END", " \n"])
    assert body["stop_sequences"] == ["END"]
    assert set(warnings) == {
        *("seed", "presence_penalty", "verbosity", "service_tier", "prompt_cache_key"),
        *("metadata", "logit_bias", "modalities", "stop"),
    }


def test_fields_with_a_place() -> None:
    body, warnings = built(user="u", cache="1h", service_tier="default", stop=["END"])
    assert body["metadata"] == {"user_id": "u"}
    assert body["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert (body["service_tier"], body["stop_sequences"], warnings) == ("standard_only", ["END"], [])


def test_anthropics_own_fields_go_on() -> None:
    body, warnings = built(origin="anthropic", others={"context_management": {"edits": []}, "tools.defer_loading": True})
    assert body["context_management"] == {"edits": []}
    assert "tools.defer_loading" not in body and warnings == []


def test_sampling_goes_only_where_it_is_taken() -> None:
    asked = {"temperature": 1.5, "top_p": 0.5, "top_k": 3}
    assert built(**asked)[1] == ["temperature", "top_p", "top_k"]
    body, warnings = built(**asked, model="claude-haiku-4-5")
    assert (body["temperature"], body["top_k"], "top_p" in body, warnings) == (1.0, 3, False, ["temperature", "top_p"])
    body, warnings = built(**asked, model="claude-haiku-4-5", thinking=Thinking("low"))
    assert not {"temperature", "top_p", "top_k"} & set(body) and len(warnings) == 3


def test_a_schema_is_closed_and_what_it_cannot_hold_is_told() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1}, "l": {"type": "array", "items": {"type": "object"}}},
    }
    body, warnings = built(output_format=OutputFormat(schema))
    sent = body["output_config"]["format"]["schema"]
    assert sent["additionalProperties"] is False and sent["properties"]["l"]["items"]["additionalProperties"] is False
    assert sent["properties"]["n"] == {"type": "integer", "description": "minimum: 1"}
    assert warnings == ["response_format.minimum"]
    assert schema["properties"]["n"] == {"type": "integer", "minimum": 1}


def test_json_without_a_schema_is_asked_for_in_words() -> None:
    body, _ = built(output_format=OutputFormat())
    assert "JSON" in body["system"][-1]["text"]


@pytest.mark.parametrize(
    ("model", "thinking", "sent"),
    [
        ("claude-opus-5", Thinking("high"), {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ("claude-opus-5", Thinking("minimal"), {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        ("claude-sonnet-4-6", Thinking("xhigh"), {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (
            "claude-opus-5",
            Thinking(budget_tokens=5000),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}},
        ),
        ("claude-opus-5", Thinking("none"), {"thinking": {"type": "disabled"}}),
        ("claude-fable-5", Thinking("low"), {"output_config": {"effort": "low"}}),
        (
            "claude-opus-5",
            Thinking("low", is_shown=True),
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
        (
            "claude-haiku-4-5",
            Thinking("medium"),
            {"max_tokens": 8192 + 4096, "thinking": {"type": "enabled", "budget_tokens": 8192}},
        ),
        (
            "claude-haiku-4-5",
            Thinking(budget_tokens=10),
            {"max_tokens": 1024 + 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}},
        ),
        ("claude-3-haiku", Thinking("none"), {}),
    ],
)
def test_how_much_to_think(model: str, thinking: Thinking, sent: dict[str, Any]) -> None:
    body, warnings = built(model=model, thinking=thinking)
    assert {name: body[name] for name in ("thinking", "output_config") if name in body} | {"max_tokens": body["max_tokens"]} == {
        "max_tokens": DEFAULT_MAX_TOKENS,
        **sent,
    }
    assert warnings == []


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("claude-3-5-haiku-latest", {"thinking": Thinking("low")}),
        ("claude-fable-5", {"thinking": Thinking("none")}),
        ("claude-haiku-4-5", {"thinking": Thinking("low"), "max_output_tokens": 500}),
        ("claude-opus-5", {"thinking": Thinking("low"), "tools": [Tool("a")], "tool_choice": ToolChoice("required")}),
    ],
)
def test_where_there_is_no_room_for_thoughts_that_is_named(model: str, asked: dict[str, Any]) -> None:
    body, warnings = built(model=model, **asked)
    assert "thinking" not in body and warnings == ["reasoning_effort"]


def test_a_budget_stays_below_the_callers_bound() -> None:
    body, _ = built(model="claude-sonnet-4-5", thinking=Thinking("high"), max_output_tokens=3000)
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (3000, 2999)


@pytest.mark.parametrize(
    ("name", "takes_sampling", "thinking", "takes_system"),
    [
        ("claude-opus-4-5-20251101", True, "budget", False),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", True, "budget", False),
        ("claude-3-7-sonnet-latest", True, "budget", False),
        ("claude-instant-1.2", True, "none", False),
        ("claude-opus-4-6", True, "adaptive", False),
        ("anthropic/claude-4.7-opus", False, "adaptive", False),
        ("claude-opus-4-8", False, "adaptive", True),
        ("claude-sonnet-5", False, "adaptive", False),
        ("claude-haiku-5-5", False, "adaptive", False),
        ("claude-mythos-preview", False, "always", True),
        ("claude-opus-latest", False, "adaptive", True),
        ("deepseek-v4-pro", True, "budget", False),
    ],
)
def test_names_tell_the_family(name: str, takes_sampling: bool, thinking: str, takes_system: bool) -> None:
    family = family_of(name)
    assert (family.takes_sampling, family.thinking, family.takes_system_turns) == (takes_sampling, thinking, takes_system)
