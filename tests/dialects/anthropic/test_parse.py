"""Messages requests in neutral words."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from aldgate.core.calls import Named
from aldgate.core.conversation import (
    Conversation,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from aldgate.core.errors import InvalidRequest
from aldgate.core.lossy import refuse_losses
from aldgate.dialects.anthropic.carried import carried, carried_of_call
from aldgate.dialects.anthropic.dialect import ANTHROPIC

WEATHER = {
    "name": "weather",
    "description": "Tells it",
    "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}},
}


def parsed(version: bytes = b"2023-06-01", **changes: Any) -> Conversation:
    asked = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}], **changes}
    named = Named(headers=((b"anthropic-version", version),))
    result = ANTHROPIC.parse("chat", ANTHROPIC.peek("chat", json.dumps(asked).encode(), named))
    assert isinstance(result, Conversation)
    return result


def said(*blocks: Any, role: str = "user") -> list[Message]:
    return parsed(messages=[{"role": role, "content": list(blocks)}]).messages


def refused(**changes: Any) -> str | None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**changes)
    return caught.value.param


def test_the_plainest_request() -> None:
    assert parsed() == Conversation("anthropic", [Message("user", [Text("Hi")])], max_output_tokens=64)


def test_instructions_lead_and_may_follow() -> None:
    asked = parsed(
        system=[
            {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "text", "text": ""},
        ],
        messages=[{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}],
    )
    assert asked.messages == [
        Message("system", [Text("Be kind.", "1h")]),
        Message("user", [Text("Hi")]),
        Message("system", [Text("Be brief.")]),
    ]


def test_blocks_of_a_user() -> None:
    png, pdf = base64.b64encode(b"png").decode(), base64.b64encode(b"pdf").decode()
    (message,) = said(
        {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}},
        {"type": "image", "source": {"type": "url", "url": "https://host/a.png"}},
        {"type": "document", "title": "T", "source": {"type": "base64", "media_type": "application/pdf", "data": pdf}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "inner"}]}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "something_new", "x": 1},
    )
    assert message.parts == [
        Text("Look", "5m"),
        Media("image", "image/png", png),
        Media("image", url="https://host/a.png"),
        Media("document", "application/pdf", pdf, name="T"),
        Media("document", "text/plain", base64.b64encode(b"words").decode()),
        Text("inner"),
        Media("document", file_id="file_1"),
        Opaque("anthropic", "something_new", {"type": "something_new", "x": 1}),
    ]


def test_blocks_of_the_assistant() -> None:
    (message,) = said(
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"at": "Rome"}},
        {"type": "tool_use", "id": "t2", "name": "now", "input": {}},
        role="assistant",
    )
    assert message.parts == [
        Reasoning("Hm", "c2ln", origin="anthropic"),
        Reasoning(redacted="ZGF0YQ==", origin="anthropic"),
        Text("I look."),
        ToolCall("t1", "weather", '{"at":"Rome"}'),
        ToolCall("t2", "now", "{}"),
    ]


def test_results_of_tools_become_a_turn_of_their_own_before_the_rest() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
    turns = said(
        {"type": "tool_result", "tool_use_id": "t1", "content": "warm"},
        {"type": "tool_result", "tool_use_id": "t2", "is_error": True, "content": [{"type": "text", "text": "no"}, image]},
        {"type": "tool_result", "tool_use_id": "t3", "content": [{"type": "tool_reference", "tool_name": "now"}]},
        {"type": "text", "text": "And?"},
    )
    assert turns == [
        Message(
            "tool",
            [
                ToolResult("t1", [Text("warm")]),
                ToolResult("t2", [Text("no"), Media("image", "image/png", "AA==")], is_error=True),
                ToolResult("t3", [Text("Tool found: now")]),
            ],
        ),
        Message("user", [Text("And?")]),
    ]


def test_proofs_of_other_providers_come_back_whole() -> None:
    (message,) = said(
        {"type": "thinking", "thinking": "Hm", "signature": carried("responses", "enc:rypted")},
        carried_of_call("gemini", "pro:of"),
        {"type": "tool_use", "id": "t1", "name": "now", "input": {}},
        role="assistant",
    )
    assert message.parts == [
        Reasoning("Hm", "enc:rypted", origin="responses"),
        ToolCall("t1", "now", "{}", signature="pro:of", origin="gemini"),
    ]


def test_tools_and_how_they_may_be_called() -> None:
    asked = parsed(
        tools=[
            WEATHER | {"strict": True, "cache_control": {"type": "ephemeral"}, "defer_loading": True},
            {"name": "now", "type": "custom"},
        ],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )
    assert asked.tools == [Tool("weather", "Tells it", WEATHER["input_schema"], True, cache="5m"), Tool("now")]
    assert (asked.tool_choice, asked.parallel_tool_calls) == (ToolChoice("required"), False)
    assert asked.others == {"tools.defer_loading": True}
    one = parsed(tools=[WEATHER], tool_choice={"type": "tool", "name": "weather"})
    assert (one.tool_choice, one.parallel_tool_calls) == (ToolChoice("one", ("weather",)), None)
    none = parsed(tools=[WEATHER], tool_choice={"type": "none"})
    assert none.tool_choice == ToolChoice("none")


@pytest.mark.parametrize(
    ("asked", "thinking"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Thinking(budget_tokens=2000)),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, Thinking(is_shown=True)),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
            Thinking("max", is_shown=False),
        ),
        ({"thinking": {"type": "disabled"}}, Thinking("none")),
        ({"output_config": {"effort": "low"}}, Thinking("low")),
        ({}, None),
    ],
)
def test_how_much_to_think(asked: dict[str, Any], thinking: Thinking | None) -> None:
    assert parsed(**asked).thinking == thinking


def test_the_rest_of_the_fields() -> None:
    schema = {"type": "object"}
    asked = parsed(
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        stop_sequences=["END"],
        metadata={"user_id": "u"},
        service_tier="auto",
        cache_control={"type": "ephemeral"},
        output_config={"format": {"type": "json_schema", "schema": schema}, "task_budget": {"total": 9}},
    )
    assert (asked.temperature, asked.top_p, asked.top_k, asked.stop) == (0.5, 0.9, 3, ["END"])
    assert (asked.user, asked.service_tier, asked.cache) == ("u", "auto", "5m")
    assert asked.output_format == OutputFormat(schema, strict=True)
    assert asked.others == {"output_config.task_budget": {"total": 9}}


def test_what_claude_code_sends_is_taken() -> None:
    asked = parsed(
        stream=True,
        system=[{"type": "text", "text": "You are a coder.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "Fix it", "cache_control": {"type": "ephemeral"}}]},
            {"role": "system", "content": [{"type": "text", "text": "Plan mode."}]},
        ],
        tools=[{"name": f"Tool{number}", "description": "d", "input_schema": {"type": "object"}} for number in range(24)],
        thinking={"type": "adaptive"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        output_config={"effort": "high"},
        metadata={"user_id": "user_x"},
        betas=None,
    )
    assert len(asked.tools) == 24
    assert asked.messages[-1] == Message("system", [Text("Plan mode.")])
    assert asked.thinking == Thinking("high")
    assert list(asked.others) == ["context_management"]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"temperature": 1.5}, "temperature"),
        ({"output_config": {"effort": "huge"}}, "output_config"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages"),
        ({"messages": [{"role": "system", "content": [{"type": "image", "source": {}}]}]}, "messages"),
        ({"system": {"text": "x"}}, "system"),
    ],
)
def test_what_no_other_model_can_do_is_refused(changes: dict[str, Any], param: str) -> None:
    assert refused(**changes) == param


@pytest.mark.parametrize("field", ["container", "mcp_servers", "inference_geo"])
def test_what_only_happens_at_anthropic_is_not_lost_in_silence(field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        refuse_losses(parsed(**{field: ["x"]}), "lab/gpt")
    assert caught.value.param == field


def test_the_newest_version_has_no_sampling_and_no_documents_of_the_assistant() -> None:
    for field in ("temperature", "top_p", "top_k"):
        assert refused(version=b"2026-10-21", **{field: 1}) == field
    document = {"type": "document", "source": {"type": "text", "data": "x"}}
    assert refused(version=b"2026-10-21", messages=[{"role": "assistant", "content": [document]}]) == "messages"
    cited = {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}
    assert refused(version=b"2026-10-21", messages=[{"role": "user", "content": [cited]}]) == "messages"
    assert parsed(messages=[{"role": "user", "content": [cited]}]).others == {"citations": cited["citations"]}
    assert parsed(version=b"2026-10-21").max_output_tokens == 64
