import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.calls import Named
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
from aldgate.core.operations import EmbedRequest, RerankRequest
from aldgate.core.routes import Deployment
from aldgate.dialects.gemini.dialect import GEMINI
from aldgate.dialects.gemini.versions import generation

NEW, OLD = "gemini-3.8-flash", "gemini-2.0-flash"
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}, "additionalProperties": False}
USER = Message("user", [Text("Hello")])


def deployed(model: str) -> Deployment:
    return Deployment(f"google/{model}", "google", model, None, "file")


def build(asked: Any, model: str = NEW) -> tuple[dict[str, Any], list[str]]:
    warnings: list[str] = []
    return json.loads(GEMINI.build(asked, deployed(model), stream=False, warnings=warnings)), warnings


def told(*parts: Part, model: str = NEW, origin: str = "openai") -> list[dict[str, Any]]:
    """The parts of an assistant's message."""
    body, _ = build(Conversation(origin, [USER, Message("assistant", list(parts))]), model)
    return body["contents"][1]["parts"]


def test_messages_become_turns() -> None:
    messages = [
        Message("system", [Text("One."), Text("")]),
        Message("system", [Text("Two.")]),
        USER,
        Message("user", [Media("image", "image/png", "AAAA"), Media("document", None, url="https://a.b/c.pdf")]),
        Message("assistant", [Text("Hi."), Refusal("No.")]),
        Message("system", [Text("Later.")]),
        Message("assistant", []),
        USER,
    ]
    body, warnings = build(Conversation("openai", messages))
    assert body == {
        "systemInstruction": {"parts": [{"text": "One."}, {"text": "Two."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "Hello"},
                    {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                    {"fileData": {"mimeType": "application/pdf", "fileUri": "https://a.b/c.pdf"}},
                ],
            },
            {"role": "model", "parts": [{"text": "Hi."}, {"text": "No."}]},
            {"role": "user", "parts": [{"text": "Later."}, {"text": "Hello"}]},
        ],
    }
    assert warnings == []


def test_everything_a_conversation_can_want() -> None:
    asked = Conversation(
        "openai",
        [USER],
        tools=[Tool("find", "Finds.", SCHEMA, strict=True), Tool("stop", parameters={"type": "object", "properties": {}})],
        tool_choice=ToolChoice("one", ("find",)),
        parallel_tool_calls=False,
        max_output_tokens=9,
        temperature=0.0,
        top_p=0.5,
        top_k=4,
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        stop=list("abcdef"),
        output_format=OutputFormat(SCHEMA),
        thinking=Thinking("high", None, True),
        verbosity="low",
        service_tier="flex",
        cache_key="k",
        user="u",
        metadata={"a": "b"},
        others={"logit_bias": {}},
    )
    body, warnings = build(asked)
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "find", "description": "Finds.", "parametersJsonSchema": SCHEMA},
                    {"name": "stop"},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["find"]}},
        "generationConfig": {
            "maxOutputTokens": 9,
            "temperature": 0.0,
            "topP": 0.5,
            "topK": 4,
            "seed": 7,
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
            "stopSequences": list("abcde"),
            "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True},
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
        },
        "serviceTier": "flex",
    }
    left_out = ["logit_bias", "metadata", "parallel_tool_calls", "prompt_cache_key", "stop[5:]", "strict", "user", "verbosity"]
    assert sorted(warnings) == left_out


def test_older_models_get_schemas_in_openapis_subset() -> None:
    asked = Conversation("openai", [USER], tools=[Tool("find", None, SCHEMA)], output_format=OutputFormat(SCHEMA))
    body, _ = build(asked, OLD)
    plain = {"type": "object", "properties": {"q": {"type": "string"}}}
    assert body["tools"][0]["functionDeclarations"] == [{"name": "find", "parameters": plain}]
    assert body["generationConfig"] == {"responseMimeType": "application/json", "responseSchema": plain}
    assert build(Conversation("openai", [USER], output_format=OutputFormat()))[0]["generationConfig"] == {
        "responseMimeType": "application/json"
    }


@pytest.mark.parametrize(
    ("model", "thinking", "config"),
    [
        ("gemini-3.8-flash", Thinking("none"), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.8-pro", Thinking("minimal"), {"thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", Thinking("max"), {"thinkingLevel": "HIGH"}),
        ("gemini-flash-latest", Thinking(None, 5_000), {"thinkingLevel": "MEDIUM"}),
        ("gemini-3-flash", Thinking(None, 50_000, False), {"thinkingLevel": "HIGH", "includeThoughts": False}),
        ("gemini-3-flash", Thinking(None, None, True), {"includeThoughts": True}),
        ("gemini-2.5-flash", Thinking("none"), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", Thinking("none"), {"thinkingBudget": 128}),
        ("gemini-2.5-flash", Thinking("medium"), {"thinkingBudget": 8192}),
        ("gemini-2.5-flash", Thinking(None, 777), {"thinkingBudget": 777}),
        ("gemini-2.0-flash", Thinking("low"), None),
        ("gemma-3", Thinking("low"), None),
    ],
)
def test_thinking_is_asked_for_as_each_generation_takes_it(model: str, thinking: Thinking, config: Any) -> None:
    body, warnings = build(Conversation("responses", [USER], thinking=thinking), model)
    assert body.get("generationConfig", {}).get("thinkingConfig") == config
    assert warnings == ([] if config else ["thinking"])


@pytest.mark.parametrize("origin", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("thinking", "shown"), [(Thinking("high"), True), (Thinking("high", is_shown=False), False), (Thinking("none"), None)]
)
def test_thoughts_are_asked_for_where_callers_are_shown_them(origin: str, thinking: Thinking, shown: bool | None) -> None:
    body, _ = build(Conversation(origin, [USER], thinking=thinking))
    assert body["generationConfig"]["thinkingConfig"].get("includeThoughts") == shown


def test_generations_are_told_by_name() -> None:
    names = ("gemini-2.5-pro", "gemini-3-pro-preview", "models/gemini-3.8-flash", "gemini-pro-latest", "gemini-exp", "claude-5")
    assert [generation(name) for name in names] == [(2, 5), (3, 0), (3, 8), (99, 0), (0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("required", ("a", "b")), {"mode": "ANY", "allowedFunctionNames": ["a", "b"]}),
        (ToolChoice("auto", ("a",)), {"mode": "VALIDATED", "allowedFunctionNames": ["a"]}),
    ],
)
def test_tool_choices(choice: ToolChoice, config: dict[str, Any]) -> None:
    body, _ = build(Conversation("openai", [USER], tools=[Tool("a")], tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": config}


def test_calls_of_newer_models_are_signed_or_say_that_they_cannot_be() -> None:
    one, two = ToolCall("1", "f", "{}", signature="c2ln", origin="gemini"), ToolCall("2", "f", ' {"a":1}')
    call = {"functionCall": {"id": "2", "name": "f", "args": {"a": 1}}}
    signed = {"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "c2ln"}
    assert told(one, two) == [signed, call]
    assert told(two, one) == [{**call, "thoughtSignature": "skip_thought_signature_validator"}, signed]
    assert told(two, model="gemini-2.5-pro") == [call]
    foreign = ToolCall("2", "f", '{"a":1}', signature="x", origin="other")
    assert told(foreign, model="gemini-2.5-pro") == [call]


def test_only_what_gemini_signed_is_told_to_it_again() -> None:
    assert told(Reasoning("Hm."), Reasoning("Hm.", "s", None, "anthropic"), Text("Hi")) == [{"text": "Hi"}]
    assert told(Reasoning("Hm.", "s", None, "gemini"), Text("Hi"), Reasoning("", "t", None, "gemini")) == [
        {"text": "Hm.", "thought": True, "thoughtSignature": "s"},
        {"text": "Hi", "thoughtSignature": "t"},
    ]
    assert told(Reasoning("", "t", None, "gemini")) == [{"text": "", "thoughtSignature": "t"}]


def test_results_are_objects_that_name_their_function() -> None:
    results = [
        ToolResult("1", [Text('{"a": 1}')]),
        ToolResult("2", [Text("two"), Media("image", "image/png", "AAAA")]),
        ToolResult("3", [Text("gone")], is_error=True),
        ToolResult("4", [Text("{broken")], name="own"),
    ]
    calls: list[Part] = [ToolCall(str(number), f"f{number}", "") for number in (1, 2, 3)]
    asked = Conversation("openai", [USER, Message("assistant", calls), Message("tool", [*results])])
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    said = [
        {"id": "1", "name": "f1", "response": {"a": 1}},
        {"id": "2", "name": "f2", "response": {"output": "two"}, "parts": [image]},
        {"id": "3", "name": "f3", "response": {"error": "gone"}},
        {"id": "4", "name": "own", "response": {"output": "{broken"}},
    ]
    assert build(asked)[0]["contents"][2] == {"role": "user", "parts": [{"functionResponse": each} for each in said]}
    older = build(asked, "gemini-2.5-flash")[0]["contents"][2]["parts"]
    assert older[1:3] == [{"functionResponse": {"id": "2", "name": "f2", "response": {"output": "two"}}}, image]


@pytest.mark.parametrize(
    ("messages", "more", "param"),
    [
        ([Message("system", [Text("x")])], {}, "messages"),
        ([Message("user", [Media("image", None, "AAAA")])], {}, "messages"),
        ([Message("user", [Media("image", None, file_id="file-1")])], {}, "messages"),
        ([Message("user", [Opaque("anthropic", "x", {})])], {}, "messages"),
        ([Message("assistant", [ToolCall("1", "f", "{")])], {}, "messages"),
        ([Message("assistant", [ToolCall("1", "f", "[]")])], {}, "messages"),
        ([Message("assistant", [ToolCall("1", "f", "x", is_custom=True)])], {}, "messages"),
        ([Message("tool", [ToolResult("9", [Text("x")])])], {}, "messages"),
        ([USER], {"tools": [Tool("f", is_custom=True)]}, "tools"),
        ([USER], {"choices": 9}, "n"),
    ],
)
def test_what_gemini_cannot_be_told_is_refused(messages: list[Message], more: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        build(Conversation("openai", messages, **more))
    assert refused.value.param == param


def test_embedding_requests() -> None:
    asked = EmbedRequest("openai", ["a", "b"], 3, task="query", user="u")
    body, warnings = build(asked, "e")
    common = {"model": "models/e", "outputDimensionality": 3, "taskType": "RETRIEVAL_QUERY"}
    assert body == {"requests": [{"content": {"parts": [{"text": text}]}, **common} for text in "ab"]}
    assert warnings == ["user"]
    seen = GEMINI.peek("embed", json.dumps(body).encode(), Named("e"))
    assert GEMINI.parse("embed", seen) == EmbedRequest("gemini", ["a", "b"], 3, task="query")
    with pytest.raises(InvalidRequest, match="token ids"):
        build(EmbedRequest("openai", [[1]]))
    with pytest.raises(InvalidRequest, match="rerank"):
        build(RerankRequest("cohere", "q", []))
    differing = {"requests": [{"content": {"parts": [{"text": "a"}]}, "taskType": task} for task in ("CLUSTERING", None)]}
    pictured = {"content": {"parts": [{"inlineData": {}}]}}
    for wrong in (differing, pictured):
        with pytest.raises(InvalidRequest):
            GEMINI.parse("embed", GEMINI.peek("embed", json.dumps(wrong).encode(), Named("e")))


WORDS = st.text(min_size=1, max_size=5)
PROOF = st.sampled_from(["c2ln", "cHJvb2Y="])
SAID = st.one_of(
    st.builds(Text, WORDS),
    st.builds(Reasoning, WORDS, PROOF, st.none(), st.just("gemini")),
    st.builds(ToolCall, st.sampled_from(["a", "b"]), WORDS, st.just('{"q":1}'), st.just(False), PROOF, st.just("gemini")),
)
SEEN = st.one_of(st.builds(Text, WORDS), st.builds(Media, st.just("image"), st.just("image/png"), st.just("AAAA")))


@given(st.lists(st.tuples(st.lists(SEEN, min_size=1), st.lists(SAID, min_size=1)), min_size=1, max_size=3))
def test_what_is_built_is_read_as_it_was(turns: list[tuple[list[Part], list[Part]]]) -> None:
    messages = [Message(role, parts) for user, said in turns for role, parts in (("user", user), ("assistant", said))]
    asked = Conversation("gemini", messages, temperature=0.5, max_output_tokens=3)
    body = GEMINI.build(asked, deployed("gemini-2.5-pro"), stream=False, warnings=[])
    read = GEMINI.parse("chat", GEMINI.peek("chat", body, Named("m")))
    assert msgspec.to_builtins(read) == msgspec.to_builtins(asked)


def test_several_answers_and_log_probabilities_are_asked_for() -> None:
    both, warnings = build(Conversation("openai", [USER], choices=2, top_logprobs=3))
    assert both["generationConfig"] == {"candidateCount": 2, "responseLogprobs": True, "logprobs": 3} and not warnings
    assert build(Conversation("openai", [USER], top_logprobs=0))[0]["generationConfig"] == {"responseLogprobs": True}
