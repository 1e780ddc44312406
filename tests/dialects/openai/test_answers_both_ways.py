"""OpenAI answers, whole and streamed, say the same as the neutral answers they were written from, wherever the wire is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aldgate.core.conversation import Answer, Media, Part, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import GatewayError, UpstreamBroken, UpstreamError, UpstreamInvalid
from aldgate.core.events import Event, Failed, Finished, Started, ToolCallStarted, UsageReported, fold, unfold
from aldgate.core.operations import Embeddings
from aldgate.core.usage import Usage
from aldgate.dialects.openai.answers import read_chat, read_embeddings, write_chat, write_embeddings
from aldgate.dialects.openai.decoder import ChatDecoder
from aldgate.dialects.openai.encoder import ChatEncoder

words = st.text(min_size=1, max_size=20)
figures = st.integers(0, 10**9)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Answers that OpenAI's wire can say: a thought, a text, a refusal, images, calls, in this order."""
    parts: list[Part] = []
    if draw(st.booleans()):
        parts.append(Reasoning(draw(words)))
    if draw(st.booleans()):
        parts.append(Text(draw(words)))
    if draw(st.booleans()):
        parts.append(Refusal(draw(words)))
    parts += draw(st.sampled_from([[], [Media("image", "image/png", "iVBO"), Media("image", url="https://a/b.png")]]))
    arguments = st.dictionaries(words, words, max_size=3).map(json.dumps)
    signed = st.sampled_from([("", None), ("gemini", "c2ln")])
    for index in range(draw(st.integers(0, 3))):
        origin, signature = draw(signed)
        parts.append(ToolCall(f"call_{index}", draw(words), draw(arguments), False, signature, origin))
    calls = any(isinstance(part, ToolCall) for part in parts)
    finish = draw(st.sampled_from(["length", "content_filter", "tool_calls" if calls else "stop"]))
    usage = draw(st.none() | st.builds(Usage, figures, figures, st.just(3), st.just(2), st.just(1)))
    return Answer(parts, finish, usage, "chatcmpl-req-1", "m")


def decoded(stream: bytes, size: int) -> list[Event]:
    decoder = ChatDecoder()
    events: list[Event] = []
    for start in range(0, len(stream), size):
        events += decoder.feed(stream[start : start + size])
    return events + decoder.end()


def encoded(answer: Answer, *, wants_usage: bool) -> bytes:
    encoder = ChatEncoder("req-1", "m", wants_usage=wants_usage)
    return encoder.feed(list(unfold(answer))) + encoder.end()


@given(answers())
def test_a_whole_answer_survives_the_wire(answer: Answer) -> None:
    assert read_chat(write_chat("req-1", "m", answer)) == answer


@given(answers(), st.sampled_from([1, 2, 3, 7, 1_000_000]))
@settings(max_examples=60, deadline=None)
def test_a_streamed_answer_survives_the_wire(answer: Answer, size: int) -> None:
    stream = encoded(answer, wants_usage=True)
    assert stream.endswith(b"data: [DONE]\n\n")
    told = fold(decoded(stream, size))
    told.usage = told.usage if answer.usage is not None else None
    assert told == answer


@given(answers())
@settings(max_examples=30, deadline=None)
def test_usage_comes_only_to_those_who_asked(answer: Answer) -> None:
    assert b'"usage"' not in encoded(answer, wants_usage=False)
    chunks = [json.loads(event[6:]) for event in encoded(answer, wants_usage=True).split(b"\n\n") if event.startswith(b"data: {")]
    assert [chunk["usage"] is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-1]["choices"] == []
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice], **more}).encode() + b"\n\n"


def call(index: int | None, name: str, arguments: Any, call_id: str | None = "a") -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}]}


DONE = b"data: [DONE]\n\n"


def test_calls_with_one_index_are_told_apart_by_their_ids() -> None:
    stream = chunk(call(0, "look", {"q": 1})) + chunk(call(0, "find", {"q": 2}, "b")) + chunk({}, "stop") + DONE
    answer = fold(decoded(stream, 10**6))
    assert answer.parts == [ToolCall("a", "look", '{"q":1}'), ToolCall("b", "find", '{"q":2}')]
    assert answer.finish == "tool_calls"


def test_interleaved_arguments_stay_with_their_calls() -> None:
    pieces = [
        call(0, "look", ""),
        call(1, "find", "", "b"),
        {"tool_calls": [{"index": 1, "function": {"arguments": "[2]"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "[1]"}}]},
    ]
    stream = b"".join(map(chunk, pieces)) + chunk({}, "tool_calls") + DONE
    assert fold(decoded(stream, 5)).parts == [ToolCall("a", "look", "[1]"), ToolCall("b", "find", "[2]")]


def test_mistrals_lists_and_the_two_words_for_thoughts_are_read() -> None:
    thinking = {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "so"}]}
    stream = (
        chunk({"reasoning": "first "})
        + chunk({"reasoning_content": "then "})
        + chunk(thinking)
        + chunk({}, "model_length")
        + DONE
    )
    answer = fold(decoded(stream, 10**6))
    assert answer.parts == [Reasoning("first then hm"), Text("so")] and answer.finish == "length"


def test_usage_is_read_wherever_it_stands() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    for last in (chunk({}, "stop", usage=usage), chunk({}, "stop", x_groq={"usage": usage})):
        assert fold(decoded(chunk({"content": "x"}) + last + DONE, 10**6)).usage == Usage(3, 2)


def test_the_end_of_the_body_ends_a_finished_answer_and_breaks_another() -> None:
    assert isinstance(decoded(chunk({"content": "x"}, "stop"), 10**6)[-1], Finished)
    with pytest.raises(UpstreamBroken):
        decoded(chunk({"content": "x"}), 10**6)
    with pytest.raises(UpstreamBroken):
        decoded(chunk({"content": "x"}) + DONE, 10**6)


@pytest.mark.parametrize(
    "fault",
    [
        b'data: {"error":{"message":"no","code":503}}\n\n',
        b'data: {"x_groq":{"error":"over"}}\n\n',
        chunk({}, "error"),
        chunk({}, "insufficient_system_resource"),
    ],
)
def test_a_fault_in_the_stream_is_told_and_nothing_follows(fault: bytes) -> None:
    decoder = ChatDecoder()
    events = decoder.feed(chunk({"content": "x"}) + fault + chunk({"content": "y"}) + DONE)
    assert isinstance(events[-1], Failed) and isinstance(events[-1].error, UpstreamError) and decoder.is_done


@pytest.mark.parametrize("body", [b"", b"[]", b'{"choices":[]}', b'{"choices":[{"message":{"tool_calls":[{"id":"a"}]}}]}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        read_chat(body)


def test_an_error_with_status_200_is_raised() -> None:
    with pytest.raises(GatewayError, match="overloaded"):
        read_chat(b'{"error":{"message":"busy","code":503}}')


@given(st.lists(st.lists(st.floats(-1e3, 1e3, width=32), max_size=8), max_size=4))
def test_embeddings_survive_the_wire_in_floats_and_base64(vectors: list[list[float]]) -> None:
    for as_base64 in (False, True):
        read = read_embeddings(write_embeddings("m", Embeddings(vectors, Usage(3)), as_base64=as_base64))
        assert (read.vectors, read.model, read.usage) == (vectors, "m", Usage(3))


def test_the_first_event_says_who_answers() -> None:
    assert decoded(chunk({"content": "x"}, "stop"), 10**6)[0] == Started("c", "m")
    events = decoded(chunk(call(None, "look", "{}")) + chunk({}, "stop", usage={"prompt_tokens": 1}), 10**6)
    assert [type(event) for event in events].count(ToolCallStarted) == 1 and UsageReported(Usage(1)) in events
