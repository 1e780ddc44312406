import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.calls import Named, Peek
from aldgate.core.conversation import Answer, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamOverloaded
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
    fold,
    unfold,
)
from aldgate.core.operations import Embeddings, EmbedRequest, Ranking
from aldgate.core.usage import Usage
from aldgate.dialects.gemini.dialect import GEMINI, GEMINI_ARRAY

PEEK = Peek(b"{}", "mine", True)
ASKED = EmbedRequest("gemini", ["a"])


def response(*parts: Any, finish: str | None = None, usage: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}} if parts else {}
    if finish:
        candidate["finishReason"] = finish
    said = {"candidates": [{**candidate, **more}], "responseId": "r", "modelVersion": "m"}
    return {**said, "usageMetadata": usage} if usage else said


def wire(*responses: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\r\n\r\n" for each in responses)


def decoded(stream: bytes, size: int | None = None) -> list[Event]:
    decoder = GEMINI.decoder()
    pieces = [stream] if size is None else [stream[at : at + size] for at in range(0, len(stream), size)]
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.end()


STREAM = wire(
    response({"text": "Hm", "thought": True}, usage={"promptTokenCount": 5, "totalTokenCount": 5}),
    response({"text": ".", "thought": True, "thoughtSignature": "c2ln"}, {"text": "Let "}),
    response({"text": "me."}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
    response({"functionCall": {"name": "f", "args": {"a": "ü"}}, "thoughtSignature": "c2ln"}),
    response({"functionCall": {"id": "own", "name": "f", "args": None}}, {"executableCode": {"code": "1"}}),
    response({"text": "", "thoughtSignature": "ZW5k"}),
    response(finish="STOP", usage={"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 3}),
)


def test_a_stream_becomes_events() -> None:
    events = decoded(STREAM)
    assert events[0] == Started("r", "m", Usage(5))
    assert events[-2:] == [UsageReported(Usage(5, 5, 0, 0, 3)), Finished("tool_calls")]
    answer = fold(events)
    call = answer.parts[3]
    assert isinstance(call, ToolCall) and call.id.startswith("call_") and len(call.id) == 29
    assert answer.parts == [
        Reasoning("Hm.", "c2ln", None, "gemini"),
        Text("Let me."),
        Media("image", "image/png", "AAAA"),
        ToolCall(call.id, "f", '{"a": "\\u00fc"}', False, "c2ln", "gemini"),
        ToolCall("own", "f", "{}"),
        Opaque("gemini", "executableCode", {"executableCode": {"code": "1"}}),
        Reasoning("", "ZW5k", None, "gemini"),
    ]


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
def test_where_the_wire_cuts_decides_nothing(size: int, ending: bytes) -> None:
    stream = STREAM.replace(b"\r\n", ending)
    assert decoded(stream, size) == decoded(STREAM)
    assert decoded(stream.removesuffix(ending)) == decoded(STREAM)


def test_whole_replies_are_read_as_streams_are() -> None:
    parts = [{"text": "Hi"}, {"functionCall": {"name": "f", "args": {"a": 1}}}]
    body = response(*parts, finish="STOP", usage={"promptTokenCount": 1, "candidatesTokenCount": 1})
    assert GEMINI.read("chat", json.dumps(body).encode()) == fold(decoded(wire(body)))


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_why_it_ended(reason: str, finish: str) -> None:
    assert decoded(wire(response({"text": "Hi"}, finish=reason)))[-1] == Finished(finish)  # type: ignore[arg-type]
    cut = decoded(wire(response({"functionCall": {"name": "f"}}, finish=reason)))[-1]
    assert cut == Finished("length" if finish == "length" else "tool_calls")


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "OTHER", "MISSING_THOUGHT_SIGNATURE"])
def test_a_model_that_gave_up_has_not_answered(reason: str) -> None:
    failed = decoded(wire(response({"text": "Hi"}, finish=reason, finishMessage="because")))[-1]
    assert isinstance(failed, Failed) and reason in failed.error.message and "because" in failed.error.message
    with pytest.raises(UpstreamError, match=reason):
        GEMINI.read("chat", json.dumps(response(finish=reason)).encode())


def test_a_blocked_prompt_is_an_answer_that_was_filtered() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
    assert decoded(wire(blocked))[-1] == Finished("content_filter")
    answer = GEMINI.read("chat", json.dumps(blocked).encode())
    assert answer == Answer([], "content_filter", Usage(3))


@pytest.mark.parametrize("wrap", [False, True])
def test_an_error_in_the_stream_is_its_end(wrap: bool) -> None:
    error: Any = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
    decoder = GEMINI.decoder()
    events = decoder.feed(wire(response({"text": "Hi"}), [error] if wrap else error, response(finish="STOP")))
    assert isinstance(events[-1], Failed) and isinstance(events[-1].error, UpstreamOverloaded)
    assert decoder.is_done and decoder.end() == []


@pytest.mark.parametrize("stream", [b"", wire(response({"text": "Hi"})), wire({"candidates": []})])
def test_a_stream_that_ends_early_is_broken(stream: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        decoded(stream)


@pytest.mark.parametrize("payload", [b"5", b"{", b"[{},{}]", b'{"candidates":5}'])
def test_what_is_no_response_is_refused(payload: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        decoded(b"data: " + payload + b"\n\n")
    with pytest.raises(UpstreamInvalid):
        GEMINI.read("chat", payload)
    with pytest.raises(UpstreamInvalid):
        GEMINI.relay("c", "chat", PEEK).feed(b"data: " + payload + b"\n\n")


@pytest.mark.parametrize(
    ("counted", "usage"),
    [
        ({"promptTokenCount": 10, "toolUsePromptTokenCount": 2, "cachedContentTokenCount": 4}, Usage(12, 0, 4)),
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7}, Usage(10, 12, 0, 0, 7)),
        ({"promptTokenCount": 10, "totalTokenCount": 25}, Usage(10, 15)),
        ({"promptTokenCount": -1, "candidatesTokenCount": 2.0}, Usage(0, 2)),
    ],
)
def test_thoughts_and_what_tools_read_are_counted(counted: dict[str, int], usage: Usage) -> None:
    assert fold(decoded(wire(response(finish="STOP", usage=counted)))).usage == usage


def written(answer: Answer) -> list[dict[str, Any]]:
    """The responses of a stream."""
    encoder = GEMINI.encoder("c", PEEK, ASKED)
    stream = b"".join(encoder.feed([event]) for event in unfold(answer)) + encoder.end()
    return [json.loads(frame.removeprefix(b"data: ")) for frame in stream.split(b"\r\n\r\n")[:-1]]


def test_an_answer_is_written_whole_and_in_pieces() -> None:
    answer = Answer(
        [
            Reasoning("Hm.", "c2ln", None, "gemini"),
            Text("Hi"),
            Refusal("No"),
            Media("image", "image/png", "AAAA"),
            Media("image", None, url="https://a.b/c"),
            ToolCall("1", "f", '{"a":1}', False, "c2ln", "gemini"),
            ToolCall("2", "f", ""),
        ],
        "tool_calls",
        Usage(10, 7, 3, 0, 5),
    )
    whole = json.loads(GEMINI.write("c", PEEK, ASKED, answer))
    parts = whole["candidates"][0]["content"]["parts"]
    assert whole == {
        "candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 10,
            "cachedContentTokenCount": 3,
            "candidatesTokenCount": 2,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 17,
        },
        "modelVersion": "mine",
        "responseId": "c",
    }
    assert parts == [
        {"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "Hi"},
        {"text": "No"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://a.b/c", "mimeType": None}},
        {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "2", "name": "f", "args": {}}},
    ]
    streamed = written(answer)
    assert [part for each in streamed for part in each["candidates"][0]["content"]["parts"]] == parts
    assert streamed[-1]["candidates"][0]["finishReason"] == "STOP"
    assert streamed[-1]["usageMetadata"] == whole["usageMetadata"]


def test_calls_side_by_side_go_out_whole() -> None:
    encoder = GEMINI.encoder("c", PEEK, ASKED)
    started: list[Event] = [ToolCallStarted(0, "a", "f"), ToolCallStarted(1, "b", "g")]
    pieces: list[Event] = [
        ArgumentsDelta(0, '{"x"'),
        ArgumentsDelta(1, '{"y":2}'),
        ArgumentsDelta(0, ":1}"),
        Finished("tool_calls"),
    ]
    assert encoder.feed([Started(), *started, *pieces]) == b""
    said = json.loads(encoder.end().removeprefix(b"data: "))["candidates"][0]
    calls = [part["functionCall"] for part in said["content"]["parts"]]
    assert calls == [{"id": "a", "name": "f", "args": {"x": 1}}, {"id": "b", "name": "g", "args": {"y": 2}}]


@pytest.mark.parametrize(("finish", "reason"), [("tool_calls", "MALFORMED_FUNCTION_CALL"), ("length", "MAX_TOKENS")])
def test_arguments_that_are_no_object_are_never_run(finish: Any, reason: str) -> None:
    candidate = written(Answer([ToolCall("1", "f", '{"a"')], finish))[-1]["candidates"][0]
    assert candidate["content"]["parts"] == [] and candidate["finishReason"] == reason


def test_other_providers_proofs_come_back() -> None:
    thoughts: list[Part] = [Reasoning("Hm.", "sig", None, "anthropic"), Reasoning("", None, "hidden", "anthropic")]
    parts = written(Answer(thoughts))[0]["candidates"][0]["content"]["parts"]
    parts += written(Answer(thoughts))[1]["candidates"][0]["content"]["parts"]
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": parts}]}
    asked: Any = GEMINI.parse("chat", GEMINI.peek("chat", json.dumps(body).encode(), Named("m")))
    assert asked.messages[1].parts == thoughts


def test_its_own_records_are_given_back() -> None:
    own = Opaque("gemini", "x", {"x": 1})
    assert json.loads(GEMINI.write("c", PEEK, ASKED, Answer([own])))["candidates"][0]["content"]["parts"] == [{"x": 1}]
    with pytest.raises(Exception, match="rerank"):
        GEMINI.write("c", PEEK, ASKED, Ranking([]))


def test_streams_as_an_array() -> None:
    encoder = GEMINI_ARRAY.encoder("c", PEEK, ASKED)
    begun = encoder.feed([TextDelta("a")]) + encoder.feed([ReasoningDelta("b")])
    assert len(json.loads(begun + encoder.end())) == 3
    failed = json.loads(begun + GEMINI_ARRAY.failed(UpstreamBroken("gone"), "c"))
    assert next(iter(failed[-1])) == "error"
    assert GEMINI_ARRAY.relay("c", "chat", PEEK)._frames.end() == b"[]"


@given(st.integers(1, 50))
def test_what_passes_through_is_followed(size: int) -> None:
    relay = GEMINI.relay("c", "chat", PEEK)
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert b"".join(map(relay.feed, pieces)) + relay.end() == STREAM
    assert relay.usage == Usage(5, 5, 0, 0, 3) and relay.is_done and relay.delivered > 0


def test_an_error_behind_good_responses_waits_for_them() -> None:
    error = {"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}
    relay = GEMINI.relay("c", "chat", PEEK)
    good = wire(response({"text": "Hi"}))
    assert relay.feed(good + wire(error)) == good and relay.failure is not None and relay.failure.status == 429
    with pytest.raises(UpstreamError):
        GEMINI.relay("c", "chat", PEEK).feed(wire(error))
    short = GEMINI.relay("c", "chat", PEEK)
    short.feed(good)
    with pytest.raises(UpstreamBroken):
        short.end()


def test_whole_replies_pass_through() -> None:
    body = json.dumps(response({"text": "12345678"}, finish="STOP")).encode()
    relay = GEMINI.relay("c", "chat", PEEK)
    assert relay.whole(body) is body and relay.usage is None and relay.delivered > 0
    vectors = GEMINI.relay("c", "embed", PEEK)
    assert vectors.whole(b'{"embeddings":[]}') == b'{"embeddings":[]}' and vectors.delivered == 0
    with pytest.raises(UpstreamError):
        relay.whole(b'{"error":{"code":400,"message":"x"}}')


@pytest.mark.parametrize("body", [b'{"embedding":{"values":[1.0]}}', b'{"embeddings":[{"values":[1.0]}]}'])
def test_embeddings_of_both_verbs_are_read(body: bytes) -> None:
    result = GEMINI.read("embed", body)
    assert result == Embeddings([[1.0]])
    assert json.loads(GEMINI.write("c", Peek(b'{"content":{}}', "m"), ASKED, result)) == {"embedding": {"values": [1.0]}}


@pytest.mark.parametrize("body", [b"{}", b"5", b'{"embeddings":[{}]}', b'{"error":{"code":500}}'])
def test_what_is_no_embedding_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        GEMINI.read("embed", body)
