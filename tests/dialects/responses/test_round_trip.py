"""What one half of the dialect writes, the other reads: whole and streamed answers cannot drift apart."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.calls import Peek
from aldgate.core.conversation import Answer, Conversation, Message, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import UpstreamBroken, UpstreamLimited
from aldgate.core.events import Event, Failed, fold, unfold
from aldgate.core.usage import Usage
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.dialects.responses.parse import parse

CALL = "req-0123456789abcdef01234567"
USAGE = Usage(20, 9, cached_tokens=4, cache_write_tokens=3, reasoning_tokens=2)
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
thoughts = st.builds(Reasoning, words, st.none() | words, st.none(), st.just("responses"))
calls = st.builds(ToolCall, words, st.sampled_from(["look", "patch"]), st.just('{"input":"x"}'))
parts = st.lists(st.builds(Text, words) | st.builds(Refusal, words) | thoughts | calls, max_size=6)


def peek(**more: Any) -> Peek:
    asked = {"model": "m", "input": "Hi", "stream": True, **more}
    return RESPONSES.peek("chat", json.dumps(asked).encode())


def answer_of(said: Sequence[Any]) -> Answer:
    has_calls = any(isinstance(part, ToolCall) for part in said)
    return Answer(list(said), "tool_calls" if has_calls else "stop", USAGE, "resp_0123456789abcdef01234567", "m")


def stream_of(answer: Answer, seen: Peek | None = None) -> bytes:
    encoder = RESPONSES.encoder(CALL, seen or peek(), Conversation("responses", []))
    return b"".join(encoder.feed([event]) for event in unfold(answer)) + encoder.end()


def events_of(stream: bytes) -> list[dict[str, Any]]:
    frames = [frame.partition(b"data: ") for frame in stream.split(b"\n\n") if frame]
    assert frames[-1][2] == b"[DONE]"
    events = [json.loads(data) for _, _, data in frames[:-1]]
    assert [name for name, _, _ in frames[:-1]] == [f"event: {event['type']}\n".encode() for event in events]
    return events


def read_back(stream: bytes, size: int) -> list[Event]:
    decoder = RESPONSES.decoder()
    events = [event for start in range(0, len(stream), size) for event in decoder.feed(stream[start : start + size])]
    return events + decoder.end()


@given(parts)
def test_a_stream_ends_in_what_the_whole_answer_says(said: Sequence[Any]) -> None:
    whole = json.loads(RESPONSES.write(CALL, peek(), Conversation("responses", []), answer_of(said)))
    last = events_of(stream_of(answer_of(said)))[-1]
    assert last["type"] == "response.completed"
    assert last["response"]["output"] == whole["output"]
    assert last["response"]["usage"] == whole["usage"]


@given(parts)
def test_numbers_only_grow_and_usage_stands_at_the_end_alone(said: Sequence[Any]) -> None:
    events = events_of(stream_of(answer_of(said)))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    told = [event["response"]["usage"] for event in events if "response" in event]
    assert told[:-1] == [None, None]
    assert told[-1]["input_tokens_details"] == {"cached_tokens": 4, "cache_write_tokens": 3}
    assert told[-1]["output_tokens_details"] == {"reasoning_tokens": 2}


@given(parts)
def test_what_is_written_is_read_again(said: Sequence[Any]) -> None:
    answer = answer_of(said)
    whole = RESPONSES.read("chat", RESPONSES.write(CALL, peek(), Conversation("responses", []), answer))
    assert fold(read_back(stream_of(answer), 1 << 20)) == whole == answer


@given(parts, st.integers(1, 7))
def test_a_stream_may_be_cut_anywhere(said: Sequence[Any], size: int) -> None:
    stream = stream_of(answer_of(said))
    assert fold(read_back(stream, size)) == fold(read_back(stream, len(stream)))


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_an_answer_cut_off_is_incomplete(finish: Any) -> None:
    answer = Answer([Text("Hal")], finish, USAGE)
    last = events_of(stream_of(answer))[-1]
    assert last["type"] == "response.incomplete"
    reason = "max_output_tokens" if finish == "length" else finish
    assert last["response"]["incomplete_details"] == {"reason": reason}
    assert fold(read_back(stream_of(answer), 64)).finish == finish


def test_the_order_of_events_is_the_one_clients_rely_on() -> None:
    answer = answer_of([Reasoning("Hm", "sig", origin="responses"), Text("Hi"), ToolCall("c1", "look", '{"a":1}')])
    assert [event["type"].removeprefix("response.") for event in events_of(stream_of(answer))] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_a_stream_that_ends_early_is_broken() -> None:
    stream = stream_of(answer_of([Text("Hi")]))
    cut = stream[: stream.index(b"event: response.completed")]
    with pytest.raises(UpstreamBroken):
        read_back(cut, 100)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down", "param": None, "sequence_number": 3},
        {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "Slow down"}}},
        {"type": "error", "status": 429, "error": {"code": "rate_limit_exceeded", "message": "Slow down", "type": "x"}},
    ],
)
def test_every_form_of_failure_is_read(event: dict[str, Any]) -> None:
    decoder = RESPONSES.decoder()
    (failed,) = decoder.feed(f"data: {json.dumps(event)}\n\n".encode())
    assert isinstance(failed, Failed) and isinstance(failed.error, UpstreamLimited)
    assert "Slow down" in failed.error.message
    assert decoder.is_done


@given(parts)
def test_output_sent_back_as_input_is_the_same_turn(said: Sequence[Any]) -> None:
    output = json.loads(RESPONSES.write(CALL, peek(), Conversation("responses", []), answer_of(said)))["output"]
    messages = parse(json.dumps({"model": "m", "input": [*output, {"role": "user", "content": "Go on"}]}).encode()).messages
    turn = [Reasoning(part.text) if isinstance(part, Reasoning) and part.signature is None else part for part in said]
    expected = [Message("assistant", turn)] if turn else []
    assert messages == [*expected, Message("user", [Text("Go on")])]
