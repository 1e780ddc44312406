import json
from typing import Any

import pytest

from aldgate.core.conversation import OutputFormat, Thinking, Tool, ToolChoice
from aldgate.core.errors import InvalidRequest
from tests.dialects.converse.asking import CLAUDE, CLAUDE_37, GPT_OSS, LLAMA, NOVA, OPUS_5, body, say

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}


def test_the_least_request_is_its_messages() -> None:
    assert body() == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


def test_limits_and_sampling_have_their_place() -> None:
    said = body(max_output_tokens=100, temperature=0.5, top_p=0.9, stop=["END", "\n\n"], model=NOVA, warned=["stop"])
    assert said["inferenceConfig"] == {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}


@pytest.mark.parametrize(
    ("model", "fields", "config", "own", "warned"),
    [
        (LLAMA, {"temperature": 1.7}, {"temperature": 1}, None, ["temperature"]),
        (CLAUDE, {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}, None, ["top_p"]),
        (CLAUDE_37, {"temperature": 0.2, "top_p": 0.9, "top_k": 5}, {"temperature": 0.2, "topP": 0.9}, {"top_k": 5}, []),
        (OPUS_5, {"temperature": 1.0, "top_p": 0.9, "top_k": 5}, None, None, ["temperature", "top_p", "top_k"]),
        (NOVA, {"top_k": 5}, None, None, ["top_k"]),
        (
            CLAUDE,
            {"temperature": 0.2, "thinking": Thinking(budget_tokens=2000)},
            None,
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            ["temperature"],
        ),
        (
            CLAUDE,
            {"temperature": 0.2, "thinking": Thinking("none")},
            {"temperature": 0.2},
            {"thinking": {"type": "disabled"}},
            [],
        ),
    ],
)
def test_sampling_that_a_model_would_refuse_is_left_out_and_named(
    model: str, fields: dict[str, Any], config: Any, own: Any, warned: list[str]
) -> None:
    said = body(model=model, warned=warned, **fields)
    assert said.get("inferenceConfig") == config and said.get("additionalModelRequestFields") == own


def test_thinking_goes_beside_or_with_an_effort_or_is_named() -> None:
    assert body(thinking=Thinking("high"), model=OPUS_5)["outputConfig"] == {"effort": "high"}
    assert body(thinking=Thinking("low"), model=GPT_OSS)["additionalModelRequestFields"] == {"reasoning_effort": "low"}
    assert body(thinking=Thinking("none"), model=LLAMA) == body()
    assert body(thinking=Thinking("low"), model=LLAMA, warned=["reasoning_effort"]) == body()


def test_claude_does_not_think_before_a_forced_call() -> None:
    forced = {"tools": [Tool("go")], "tool_choice": ToolChoice("required"), "thinking": Thinking("low")}
    assert "additionalModelRequestFields" not in body(warned=["reasoning_effort"], **forced)
    assert "additionalModelRequestFields" in body(model=GPT_OSS, **forced)


def test_a_schema_binds_the_answer_and_json_alone_is_asked_for_in_words() -> None:
    said = body(output_format=OutputFormat(SCHEMA, "point", "A point"), thinking=Thinking("low"), model=OPUS_5)["outputConfig"]
    assert said["effort"] == "low" and said["textFormat"]["type"] == "json_schema"
    told = said["textFormat"]["structure"]["jsonSchema"]
    assert json.loads(told.pop("schema")) == SCHEMA and told == {"name": "point", "description": "A point"}
    plain = body(say("system", "Be brief."), say("user", "Hi"), output_format=OutputFormat())
    assert "JSON object" in plain["system"][0]["text"] and plain["system"][1] == {"text": "Be brief."}


@pytest.mark.parametrize(
    ("tier", "said", "warned"),
    [("flex", "flex", []), ("priority", "priority", []), ("auto", None, []), ("scale", None, ["service_tier"])],
)
def test_service_tiers_have_equals(tier: str, said: str | None, warned: list[str]) -> None:
    assert body(service_tier=tier, warned=warned).get("serviceTier") == (said and {"type": said})


def test_metadata_goes_along_if_bedrock_takes_it() -> None:
    assert body(metadata={"team": "a b"})["requestMetadata"] == {"team": "a b"}
    for refused in ({"team": "\u4f8b"}, {"team": "x" * 300}, {str(number): "" for number in range(17)}, {"": "x"}):
        assert "requestMetadata" not in body(metadata=refused, warned=["metadata"])


@pytest.mark.parametrize(
    ("origin", "fields", "warned"),
    [
        (
            "openai",
            {"seed": 1, "user": "u", "cache_key": "k", "verbosity": "low"},
            ["seed", "verbosity", "prompt_cache_key", "user"],
        ),
        ("responses", {"verbosity": "low"}, ["text.verbosity"]),
        ("anthropic", {"user": "u"}, ["metadata.user_id"]),
        ("gemini", {"frequency_penalty": 1.0}, ["generationConfig.frequencyPenalty"]),
        ("ollama", {"presence_penalty": 1.0}, ["options.presence_penalty"]),
        ("openai", {"others": {"logit_bias": {"1": 2}, "store": None, "modalities": ["text"]}}, ["logit_bias", "modalities"]),
    ],
)
def test_what_does_no_harm_is_named_in_the_callers_words(origin: str, fields: dict[str, Any], warned: list[str]) -> None:
    assert body(origin=origin, warned=warned, **fields) == body()


@pytest.mark.parametrize(
    ("origin", "fields", "param"),
    [
        ("openai", {"choices": 2}, "n"),
        ("gemini", {"choices": 2}, "generationConfig.candidateCount"),
        ("openai", {"top_logprobs": 0}, "top_logprobs"),
        ("openai", {"others": {"modalities": ["text", "audio"]}}, "modalities"),
        ("anthropic", {"others": {"mcp_servers": [{}]}}, "mcp_servers"),
    ],
)
def test_what_changes_the_meaning_is_refused(origin: str, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        body(origin=origin, **fields)
    assert raised.value.param == param


def test_converses_own_fields_go_through() -> None:
    guard = {"guardrailIdentifier": "g", "guardrailVersion": "1"}
    others = {"guardrailConfig": guard, "additionalModelRequestFields": {"x": 1}}
    said = body(others=others, top_k=3, warned=["top_k"], model=NOVA)
    assert said["guardrailConfig"] == guard and said["additionalModelRequestFields"] == {"x": 1}
