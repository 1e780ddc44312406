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
from aldgate.dialects.gemini.dialect import GEMINI
from aldgate.dialects.gemini.signatures import thought, written

HELLO = {"role": "user", "parts": [{"text": "Hello"}]}


def parse(**body: Any) -> Conversation:
    seen = GEMINI.peek("chat", json.dumps({"contents": [HELLO], **body}).encode(), Named("m"))
    asked = GEMINI.parse("chat", seen)
    assert isinstance(asked, Conversation)
    return asked


CAMEL = {
    "systemInstruction": {"role": "user", "parts": [{"text": "Be brief."}]},
    "tools": [{"functionDeclarations": [{"name": "find", "parametersJsonSchema": {"type": "object", "x_y": {"a_b": 1}}}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["find"]}},
    "generationConfig": {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "maxOutputTokens": 100,
        "stopSequences": ["END"],
        "seed": 7,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "properties": {"snake_name": {"type": "string"}}},
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
    },
    "serviceTier": "flex",
    "labels": {"team_name": "a_b"},
}
SNAKE = {
    "system_instruction": {"role": "user", "parts": [{"text": "Be brief."}]},
    "tools": [{"function_declarations": [{"name": "find", "parameters_json_schema": {"type": "object", "x_y": {"a_b": 1}}}]}],
    "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["find"]}},
    "generation_config": {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "max_output_tokens": 100,
        "stop_sequences": ["END"],
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "response_mime_type": "application/json",
        "response_json_schema": {"type": "object", "properties": {"snake_name": {"type": "string"}}},
        "thinking_config": {"thinking_level": "LOW", "include_thoughts": True},
    },
    "service_tier": "flex",
    "labels": {"team_name": "a_b"},
}


def test_both_spellings_at_every_depth_mean_the_same() -> None:
    asked = parse(**CAMEL)
    assert parse(**SNAKE) == asked
    assert asked == Conversation(
        "gemini",
        [Message("system", [Text("Be brief.")]), Message("user", [Text("Hello")])],
        tools=[Tool("find", parameters={"type": "object", "x_y": {"a_b": 1}})],
        tool_choice=ToolChoice("one", ("find",)),
        max_output_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        stop=["END"],
        output_format=OutputFormat({"type": "object", "properties": {"snake_name": {"type": "string"}}}),
        thinking=Thinking("low", None, True),
        service_tier="flex",
        metadata={"team_name": "a_b"},
    )


def test_a_field_in_both_spellings_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="twice"):
        parse(toolConfig={}, tool_config={})


def test_turns_become_messages() -> None:
    asked = parse(
        contents=[
            {"parts": [{"text": "Look"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
            {
                "role": "model",
                "parts": [
                    {"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"},
                    {"text": "I will look."},
                    {"functionCall": {"name": "find", "args": {"q_x": 1}}, "thoughtSignature": "cHJvb2Y="},
                    {"functionCall": {"name": "find", "args": {"q_x": 2}}},
                    {"functionCall": {"id": "abc", "name": "stop"}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "find", "response": {"result": "one"}}},
                    {"functionResponse": {"name": "find", "response": {"error": "none"}}},
                    {"functionResponse": {"id": "abc", "name": "stop", "response": {"a_b": [1]}}},
                    {"text": "And?"},
                ],
            },
            {"role": "model", "parts": [{"text": "Done.", "thoughtSignature": "ZW5k"}, {"executableCode": {"code": "1"}}]},
        ]
    )
    assert asked.messages == [
        Message("user", [Text("Look"), Media("image", "image/png", "AAAA")]),
        Message(
            "assistant",
            [
                Reasoning("Hm.", "c2ln", None, "gemini"),
                Text("I will look."),
                ToolCall("call_0", "find", '{"q_x":1}', False, "cHJvb2Y=", "gemini"),
                ToolCall("call_1", "find", '{"q_x":2}'),
                ToolCall("abc", "stop", "{}"),
            ],
        ),
        Message(
            "tool",
            [
                ToolResult("call_0", [Text("one")], False, "find"),
                ToolResult("call_1", [Text("none")], True, "find"),
                ToolResult("abc", [Text('{"a_b":[1]}')], False, "stop"),
            ],
        ),
        Message("user", [Text("And?")]),
        Message(
            "assistant",
            [
                Text("Done."),
                Reasoning("", "ZW5k", None, "gemini"),
                Opaque("gemini", "executableCode", {"executableCode": {"code": "1"}}),
            ],
        ),
    ]


def test_a_result_without_its_calls_id_finds_the_call() -> None:
    calls = [{"functionCall": {"id": call_id, "name": "f", "args": {}}} for call_id in ("a", "b", "c")]
    results = [{"functionResponse": {"name": "f", "response": {}, **more}} for more in ({"id": "b"}, {}, {})]
    asked = parse(contents=[HELLO, {"role": "model", "parts": calls}, {"role": "user", "parts": results}])
    assert [part.call_id for part in asked.messages[2].parts if isinstance(part, ToolResult)] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("file", "media"),
    [
        ({"fileUri": "https://a.b/c.png"}, Media("image", "image/png", url="https://a.b/c.png")),
        ({"fileUri": "https://youtu.be/x"}, Media("video", None, url="https://youtu.be/x")),
        ({"fileUri": "gs://b/a.pdf"}, Media("document", "application/pdf", file_id="gs://b/a.pdf")),
        (
            {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x", "mimeType": "audio/wav"},
            Media("audio", "audio/wav", file_id="https://generativelanguage.googleapis.com/v1beta/files/x"),
        ),
    ],
)
def test_a_file_at_google_is_no_url_for_others(file: dict[str, str], media: Media) -> None:
    assert parse(contents=[{"parts": [{"fileData": file}]}]).messages[0].parts == [media]


def test_an_image_in_a_result_stays_with_it() -> None:
    blob = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    response = {"name": "look", "id": "1", "response": {"output": "see"}, "parts": [blob]}
    asked = parse(contents=[HELLO, {"role": "function", "parts": [{"functionResponse": response}]}])
    assert asked.messages[1].parts == [ToolResult("1", [Text("see"), Media("image", "image/png", "AAAA")], False, "look")]


@pytest.mark.parametrize(
    ("config", "thinking"),
    [
        ({"thinkingBudget": 0}, Thinking("none", None)),
        ({"thinkingBudget": -1}, Thinking(None, None)),
        ({"thinkingBudget": 500}, Thinking(None, 500)),
        ({"thinkingLevel": "xhigh"}, Thinking("xhigh", None)),
    ],
)
def test_thinking_in_levels_or_tokens(config: dict[str, Any], thinking: Thinking) -> None:
    assert parse(generationConfig={"thinkingConfig": config}).thinking == thinking


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({}, None),
        ({"mode": "AUTO"}, ToolChoice("auto")),
        ({"mode": "NONE"}, ToolChoice("none")),
        ({"mode": "ANY"}, ToolChoice("required")),
        ({"mode": "ANY", "allowedFunctionNames": ["a", "b"]}, ToolChoice("required", ("a", "b"))),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["a"]}, ToolChoice("auto", ("a",))),
    ],
)
def test_which_tools_may_be_called(config: dict[str, Any], choice: ToolChoice | None) -> None:
    assert parse(toolConfig={"functionCallingConfig": config}).tool_choice == choice


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [{"googleSearch": {}}]}, "tools"),
        ({"cachedContent": "cachedContents/x"}, "cachedContent"),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, "generationConfig.responseModalities"),
        ({"generationConfig": {"speechConfig": {"voice": 1}}}, "speechConfig"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "A LOT"}}}, None),
        ({"toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}}, "toolConfig"),
        ({"contents": [{"role": "narrator", "parts": []}]}, "contents"),
        ({"contents": [{"parts": [{"hologram": 1}]}]}, "contents"),
        ({"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {}}}]}]}, "contents"),
        ({"contents": ["text"]}, None),
        ({"contents": [{"parts": 5}]}, None),
    ],
)
def test_what_means_something_to_google_alone_is_refused(body: dict[str, Any], param: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(**body)
    assert param is None or refused.value.param == param


def test_what_does_no_harm_is_named() -> None:
    asked = parse(safetySettings=[{"category": "X"}], generationConfig={"mediaResolution": "LOW"})
    assert sorted(asked.others) == ["generationConfig.mediaResolution", "safetySettings"]


def test_other_providers_proofs_survive_a_client_that_keeps_bytes() -> None:
    sent = written("proof+/=", None, "anthropic")
    assert sent is not None
    as_the_sdk_writes_it = base64.urlsafe_b64encode(base64.b64decode(sent)).decode()
    assert thought("Hm.", as_the_sdk_writes_it) == Reasoning("Hm.", "proof+/=", None, "anthropic")
    hidden = written(None, "secret", "anthropic")
    assert thought("", hidden) == Reasoning("", None, "secret", "anthropic")
    assert written("own", None, "gemini") == "own" and written(None, None, "x") is None
    assert thought("", "not base64!") == Reasoning("", "not base64!", None, "gemini")
    assert thought("", base64.b64encode(b"aldgate:[1]").decode()).origin == "gemini"
