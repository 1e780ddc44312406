"""Bugs reported of other gateways that would be ours too, had Gemini's wire been read as they read it."""

import json
from typing import Any

import pytest

from aldgate.core.calls import Named, Peek
from aldgate.core.conversation import Conversation, Message, Reasoning, Text, Tool, ToolCall
from aldgate.core.errors import UpstreamRejected
from aldgate.core.events import Event, Finished, fold
from aldgate.core.operations import EmbedRequest
from aldgate.core.routes import Deployment
from aldgate.core.usage import Usage
from aldgate.dialects.gemini.dialect import GEMINI
from aldgate.dialects.openai.dialect import OPENAI


def wire(*responses: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\r\n\r\n" for each in responses)


def events(*responses: dict[str, Any]) -> list[Event]:
    decoder = GEMINI.decoder()
    return decoder.feed(wire(*responses)) + decoder.end()


def candidate(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    content = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    return {"candidates": [{**content, **more}], "responseId": "r"}


CALL = {"functionCall": {"name": "find", "args": {}}}


def test_a5_a_last_chunk_without_content_still_ends_with_tool_calls() -> None:
    """STOP in a chunk of its own means `tool_calls` when an earlier one held a call (litellm 21577)."""
    assert events(candidate(CALL), candidate(finishReason="STOP"))[-1] == Finished("tool_calls")


def test_a6_calls_stand_where_a_filter_stopped_what_follows() -> None:
    """SAFETY beside a function call discards no call (litellm 28847)."""
    answer = GEMINI.read("chat", json.dumps(candidate(CALL, finishReason="SAFETY")).encode())
    assert isinstance(answer.parts[0], ToolCall) and answer.finish == "tool_calls"


@pytest.mark.parametrize("reason", ["", None])
def test_a6_an_empty_block_reason_blocks_nothing(reason: str | None) -> None:
    """An empty `blockReason` is none (litellm 28847)."""
    said = {**candidate({"text": "Hi"}, finishReason="STOP"), "promptFeedback": {"blockReason": reason}}
    answer = fold(events(said))
    assert (answer.parts, answer.finish) == ([Text("Hi")], "stop")
    relay = GEMINI.relay("c", "chat", Peek(b"", "m", True))
    assert relay.feed(wire(said)) and relay.end() == b"" and relay.is_done


SCHEMA = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"type": "string", "default": "x", "examples": ["y"]}},
    "additionalProperties": False,
    "$defs": {"a": {"type": "integer", "exclusiveMinimum": 0}},
}


@pytest.mark.parametrize(
    ("model", "key", "said"),
    [
        ("gemini-3.8-flash", "parametersJsonSchema", SCHEMA),
        (
            "gemini-2.0-flash",
            "parameters",
            {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}},
        ),
    ],
)
def test_a8_schemas_say_nothing_that_the_model_refuses(model: str, key: str, said: dict[str, Any]) -> None:
    """`additionalProperties`, `default`, `$defs` and `examples` reach only models that read JSON Schema (litellm 14330)."""
    asked = Conversation("openai", [Message("user", [Text("Hi")])], tools=[Tool("f", None, SCHEMA)])
    deployment = Deployment(f"google/{model}", "google", model, None, "file")
    body = json.loads(GEMINI.build(asked, deployment, stream=False, warnings=[]))
    assert body["tools"][0]["functionDeclarations"] == [{"name": "f", key: said}]


def test_a8_a_refusal_of_googles_stays_a_refusal() -> None:
    """A 400 about a schema is the caller's 400 with its words, never a 502 (litellm 6459)."""
    said = {"error": {"code": 400, "message": "Unknown name `additionalProperties`", "status": "INVALID_ARGUMENT"}}
    error = GEMINI.read_error(400, json.dumps(said).encode(), None)
    assert isinstance(error, UpstreamRejected) and error.status == 400 and "additionalProperties" in error.message


def test_c2_a_signature_on_a_thought_of_its_own_comes_back() -> None:
    """A signature that rides on an empty thought part survives the way to a client and back (litellm 25322)."""
    answer = fold(
        events(
            candidate({"text": "Hm.", "thought": True}),
            candidate({"text": "", "thought": True, "thoughtSignature": "c2ln"}),
            candidate({"text": "Hi"}, finishReason="STOP"),
        )
    )
    assert answer.parts == [Reasoning("Hm.", "c2ln", None, "gemini"), Text("Hi")]
    said = json.loads(OPENAI.write("c", Peek(b"", "m"), EmbedRequest("openai", []), answer))["choices"][0]["message"]
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}, said, {"role": "user", "content": "And?"}]}
    asked = OPENAI.parse("chat", OPENAI.peek("chat", json.dumps(body).encode()))
    sent = json.loads(GEMINI.build(asked, Deployment("g/g", "g", "gemini-3.8-flash", None, "file"), stream=False, warnings=[]))
    assert sent["contents"][1]["parts"][0] == {"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"}


@pytest.mark.parametrize("content", [{}, {"content": {}}, {"content": {"role": "model"}}, {"content": {"parts": []}}])
def test_h4_a_candidate_may_hold_nothing_but_its_end(content: dict[str, Any]) -> None:
    """A candidate with a reason and no content is an empty answer (litellm 40864)."""
    said = {"candidates": [{**content, "finishReason": "MAX_TOKENS"}], "usageMetadata": {"promptTokenCount": 4}}
    assert GEMINI.read("chat", json.dumps(said).encode()) == fold(events(said))
    answer = fold(events(said))
    assert (answer.parts, answer.finish, answer.usage) == ([], "length", Usage(4))


def test_d_usage_is_cumulative_and_counted_once() -> None:
    """The last report of a stream replaces those before it; thoughts are output."""
    usages = [
        {"promptTokenCount": 8, "thoughtsTokenCount": 3},
        {"promptTokenCount": 8, "candidatesTokenCount": 2, "thoughtsTokenCount": 3},
    ]
    stream = [{**candidate({"text": "a"}, finishReason="STOP"), "usageMetadata": usage} for usage in usages]
    assert fold(events(*stream)).usage == Usage(8, 5, 0, 0, 3)


def test_e4_a_prefix_of_the_path_is_stripped_once() -> None:
    """`models/` in front of a name is the path's, what follows is the name (litellm 37757)."""
    body = json.dumps({"contents": [{"parts": [{"text": "Hi"}]}]}).encode()
    assert GEMINI.peek("chat", body, Named("models/models/x")).model == "models/x"
