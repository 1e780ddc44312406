import json
from typing import Any

import jsonschema_rs
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from aldgate.core.errors import InvalidRequest

from .conftest import NAME, Ask, fold

pytestmark = pytest.mark.anyio

WEATHER = {
    "type": "object",
    "properties": {"days": {"type": "integer", "minimum": 1}, "city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
    "required": ["days", "city", "unit"],
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "now"}},
    {"type": "custom", "custom": {"name": "sql"}},
]


def user(text: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def named(name: str, kind: str = "function") -> dict[str, Any]:
    return {"type": kind, kind: {"name": name}}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [named(name) for name in names]}}


def schema_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}


async def test_reply(ask: Ask) -> None:
    reply = await ask("chat", {"messages": [{"role": "system", "content": "Be brief."}, *user("Hello there")], "n": 2})
    assert reply.pop("created") > 1_700_000_000
    choice = {
        "finish_reason": "stop",
        "logprobs": None,
        "message": {"role": "assistant", "content": "Hello there", "refusal": None, "annotations": []},
    }
    assert reply == {
        "id": f"chatcmpl-{NAME}",
        "object": "chat.completion",
        "model": "builtin/echo",
        "choices": [{"index": 0, **choice}, {"index": 1, **choice}],
        "usage": {
            "prompt_tokens": 4,
            "completion_tokens": 4,
            "total_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (user(""), ""),
        ([*user("first"), {"role": "assistant", "content": "x"}, *user("second")], "second"),
        ([*user("asked"), {"role": "assistant", "content": "a"}, {"role": "system", "content": "b"}], "asked"),
        ([*user("asked"), {"role": "tool", "tool_call_id": "c", "content": "4"}], "asked"),
        ([*user("asked"), {"role": "assistant", "content": None}], "asked"),
        (user([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]), "one\ntwo"),
        (user([{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "text", "text": "seen"}]), "seen"),
        (user([{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]), ""),
        (user([{"type": "of_tomorrow", "payload": 1}, {"type": "text", "text": "kept"}]), "kept"),
    ],
)
async def test_echoes_the_last_user_message(ask: Ask, messages: list[Any], text: str) -> None:
    reply = await ask("chat", {"messages": messages})
    assert reply["choices"][0]["message"]["content"] == text


@pytest.mark.parametrize(
    ("options", "text", "reason"),
    [
        ({"max_tokens": 2}, "one two", "length"),
        ({"max_completion_tokens": 2}, "one two", "length"),
        ({"max_tokens": 3, "max_completion_tokens": 1}, "one", "length"),
        ({"max_tokens": 9}, "one two three", "stop"),
        ({"stop": "two"}, "one ", "stop"),
        ({"stop": ["four", "three", "two", "x"]}, "one ", "stop"),
        ({"logprobs": True, "top_logprobs": 3, "seed": 1, "temperature": 0.5, "user": "u"}, "one two three", "stop"),
        ({"tools": TOOLS}, "one two three", "stop"),
        ({"tools": TOOLS, "tool_choice": "auto"}, "one two three", "stop"),
        ({"tools": TOOLS, "tool_choice": "none"}, "one two three", "stop"),
        ({"tools": TOOLS, "tool_choice": allowed("auto", "now")}, "one two three", "stop"),
        ({"response_format": {"type": "text"}}, "one two three", "stop"),
        ({"response_format": {"type": "json_object"}}, '{"text": "one two three"}', "stop"),
        ({"max_tokens": None, "n": None, "stop": None, "tools": None, "stream": False}, "one two three", "stop"),
    ],
)
async def test_options(ask: Ask, options: dict[str, Any], text: str, reason: str) -> None:
    reply = await ask("chat", {"messages": user("one two three")} | options)
    assert (reply["choices"][0]["message"]["content"], reply["choices"][0]["finish_reason"]) == (text, reason)


@pytest.mark.parametrize(
    ("choice", "name", "reason"),
    [
        ("required", "weather", "tool_calls"),
        (named("now"), "now", "stop"),
        (named("weather"), "weather", "stop"),
        (named("sql", "custom"), "sql", "stop"),
        (allowed("required", "now", "weather"), "now", "tool_calls"),
    ],
)
async def test_tool_calls(ask: Ask, choice: Any, name: str, reason: str) -> None:
    reply = await ask("chat", {"messages": user("Den Haag"), "tools": TOOLS, "tool_choice": choice})
    message = reply["choices"][0]["message"]
    assert message["content"] is None
    assert reply["choices"][0]["finish_reason"] == reason
    (call,) = message["tool_calls"]
    assert call[call["type"]]["name"] == name
    if name == "weather":
        assert json.loads(call["function"]["arguments"]) == {"days": 1, "city": "Den Haag", "unit": "C"}


async def test_capped_arguments_end_with_length(ask: Ask) -> None:
    body = {"messages": user("x"), "tools": TOOLS, "tool_choice": "required", "max_tokens": 1}
    choice = (await ask("chat", body))["choices"][0]
    assert (choice["finish_reason"], choice["message"]["tool_calls"][0]["function"]["arguments"]) == ("length", '{"days":')


async def test_json_schema(ask: Ask) -> None:
    reply = await ask("chat", {"messages": user("Delft"), "response_format": schema_format(WEATHER)})
    value = json.loads(reply["choices"][0]["message"]["content"])
    jsonschema_rs.validate(WEATHER, value)
    assert value["city"] == "Delft"


STREAMED: list[dict[str, Any]] = [
    {},
    {"n": 3},
    {"max_tokens": 2},
    {"stop": "three"},
    {"stream_options": {"include_usage": True}},
    {"n": 2, "stream_options": {"include_usage": True}},
    {"response_format": {"type": "json_object"}},
    {"tools": TOOLS, "tool_choice": "required"},
    {"tools": TOOLS, "tool_choice": named("sql", "custom"), "n": 2},
    {"tools": TOOLS, "tool_choice": named("now"), "stream_options": {"include_usage": True}},
]


@pytest.mark.parametrize("options", STREAMED)
@pytest.mark.parametrize("text", ["one two three  four\n", "", "word"])
async def test_stream_is_the_whole_in_pieces(ask: Ask, options: dict[str, Any], text: str) -> None:
    body = {"messages": user(text)} | options
    whole = await ask("chat", {key: value for key, value in body.items() if key != "stream_options"})
    events = await ask("chat", body | {"stream": True})
    for choice in whole["choices"]:
        calls = choice["message"].get("tool_calls", [])
        assert fold(events)[choice["index"]] == {
            "content": choice["message"]["content"],
            "tool_calls": dict(enumerate(calls)),
            "finish_reason": choice["finish_reason"],
        }
    assert {(event["id"], event["object"], event["model"]) for event in events} == {
        (whole["id"], "chat.completion.chunk", "builtin/echo")
    }
    if "stream_options" in options:
        last = events.pop()
        assert (last["choices"], last["usage"]) == ([], whole["usage"])
        assert all(event["usage"] is None for event in events)
    else:
        assert all("usage" not in event for event in events)
    n = options.get("n", 1)
    assert all(event["choices"][0]["delta"]["role"] == "assistant" for event in events[:n])
    assert all(event["choices"][0]["delta"] == {} for event in events[-n:])
    assert all(event["choices"][0]["finish_reason"] is None for event in events[:-n])


async def test_each_word_is_one_event(ask: Ask) -> None:
    events = await ask("chat", {"messages": user("one two three"), "stream": True})
    assert [event["choices"][0]["delta"].get("content") for event in events] == ["", "one", " two", " three", None]


# Its chunk type does not know custom tools yet (3.52), though OpenAI streams them.
@pytest.mark.parametrize("options", [options for options in STREAMED if "custom" not in str(options.get("tool_choice"))])
async def test_the_sdk_reads_it(ask: Ask, options: dict[str, Any]) -> None:
    body = {"messages": user("one two")} | options
    ChatCompletion.model_validate(await ask("chat", {key: value for key, value in body.items() if key != "stream_options"}))
    for event in await ask("chat", body | {"stream": True}):
        ChatCompletionChunk.model_validate(event)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b'{"model":"\xff"}', None),
        (b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', None),
        (b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":' + b"[" * 5000, "tools[0]"),
        (b'{"model":"m","extra":' + b"[" * 100_000, None),
        (b'{"messages":[{"role":"user","content":"x"}]}', "model"),
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": user(7)}, "messages[0].content"),
        ({"messages": user(None)}, "messages[0].content"),
        ({"messages": user([{"type": "text"}])}, "messages[0].content"),
        ({"messages": user([{"text": "x"}])}, "messages[0].content[0].type"),
        ({"messages": user("x"), "n": 0}, "n"),
        ({"messages": user("x"), "n": 129}, "n"),
        ({"messages": user("x"), "max_tokens": 0}, "max_tokens"),
        ({"messages": user("x"), "max_completion_tokens": -1}, "max_completion_tokens"),
        ({"messages": user("x"), "max_tokens": "9"}, "max_tokens"),
        ({"messages": user("x"), "stop": ["a"] * 5}, "stop"),
        ({"messages": user("x"), "temperature": 3}, "temperature"),
        ({"messages": user("x"), "stream_options": {"include_usage": True}}, "stream_options"),
        ({"messages": user("x"), "tool_choice": "required"}, "tool_choice"),
        ({"messages": user("x"), "tools": TOOLS, "tool_choice": named("gone")}, "tool_choice"),
        ({"messages": user("x"), "tools": TOOLS, "tool_choice": named("weather", "custom")}, "tool_choice"),
        ({"messages": user("x"), "tools": TOOLS, "tool_choice": allowed("auto", "gone")}, "tool_choice"),
        ({"messages": user("x"), "tools": TOOLS, "tool_choice": allowed("required")}, "tool_choice"),
        ({"messages": user("x"), "tool_choice": "perhaps"}, "tool_choice"),
        ({"messages": user("x"), "response_format": {"type": "xml"}}, "response_format.type"),
        (
            {
                "messages": user("x"),
                "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": 1}}},
            },
            "response_format.json_schema.schema",
        ),
        (
            {
                "messages": user("x"),
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {"minProperties": 10**9}}}],
                "tool_choice": "required",
            },
            "tools",
        ),
    ],
)
async def test_wrong_requests_name_the_field(ask: Ask, body: dict[str, Any] | bytes, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await ask("chat", body)
    assert raised.value.param == param


async def test_errors_do_not_quote_the_caller(ask: Ask) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await ask("chat", {"messages": [{"role": "a secret 'role'", "content": "x"}]})
    assert "secret" not in raised.value.message
