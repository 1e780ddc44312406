"""Streams of the Messages API, read and written: the order of events, and that both ways agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.conversation import Answer, Conversation, Opaque, Part, Reasoning, Refusal, Text, Thinking, ToolCall
from aldgate.core.errors import UpstreamBroken, UpstreamInvalid, UpstreamOverloaded
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Failed,
    Finished,
    PartEnded,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
    fold,
    unfold,
)
from aldgate.core.usage import Usage
from aldgate.dialects.anthropic.answers import read, write
from aldgate.dialects.anthropic.decoder import MessagesDecoder
from aldgate.dialects.anthropic.dialect import ANTHROPIC
from aldgate.dialects.anthropic.encoder import MessagesEncoder

THINKS = Conversation("anthropic", [], thinking=Thinking())
SILENT = Conversation("anthropic", [])


def wire(*events: tuple[str, dict[str, Any]]) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps({"type": name, **data}).encode()) for name, data in events
    )


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> tuple[tuple[str, dict[str, Any]], ...]:
    return (
        ("content_block_start", {"index": index, "content_block": start}),
        *(("content_block_delta", {"index": index, "delta": delta}) for delta in deltas),
        ("content_block_stop", {"index": index}),
    )


START = ("message_start", {"message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 3, "output_tokens": 1}}})
STOP = ("message_stop", {})


def ended(reason: str, **usage: int) -> tuple[str, dict[str, Any]]:
    return "message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 9, **usage}}


WHOLE = wire(
    START,
    ("ping", {}),
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "H"},
        {"type": "thinking_delta", "thinking": "m"},
        {"type": "signature_delta", "signature": "c2ln"},
    ),
    *block(1, {"type": "redacted_thinking", "data": "ZA=="}),
    *block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "I "}, {"type": "text_delta", "text": "löök"}),
    *block(
        3,
        {"type": "tool_use", "id": "t1", "name": "look", "input": {}},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"a"'},
        {"type": "input_json_delta", "partial_json": ":1}"},
    ),
    *block(4, {"type": "tool_use", "id": "t2", "name": "now", "input": {}}),
    *block(
        5,
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"q":1}'},
    ),
    ended("tool_use", cache_read_input_tokens=5),
    STOP,
)
TOLD = Answer(
    [
        Reasoning("Hm", "c2ln", origin="anthropic"),
        Reasoning(redacted="ZA==", origin="anthropic"),
        Text("I löök"),
        ToolCall("t1", "look", '{"a":1}'),
        ToolCall("t2", "now"),
        Opaque("anthropic", "server_tool_use", {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}}),
    ],
    "tool_calls",
    Usage(8, 9, 5),
    "msg_1",
    "claude",
)


def decoded(data: bytes, step: int | None = None) -> list[Event]:
    decoder = MessagesDecoder()
    pieces = [data] if step is None else [data[start : start + step] for start in range(0, len(data), step)]
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.end()


def test_every_kind_of_block_is_read() -> None:
    assert fold(decoded(WHOLE)) == TOLD


@pytest.mark.parametrize("data", [WHOLE, WHOLE.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf: hi\n\n" + WHOLE])
@pytest.mark.parametrize("step", [1, 2, 7, 100])
def test_the_wire_may_cut_anywhere(data: bytes, step: int) -> None:
    assert decoded(data, step) == decoded(WHOLE)


def test_names_of_events_are_not_needed() -> None:
    nameless = b"\n\n".join(event.partition(b"\n")[2] for event in WHOLE.split(b"\n\n"))
    assert decoded(nameless) == decoded(WHOLE)


def test_arguments_that_come_with_the_start_are_read() -> None:
    data = wire(START, *block(0, {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}), ended("end_turn"), STOP)
    assert fold(decoded(data)).parts == [ToolCall("t", "look", '{"a":1}')]


def test_a_stream_without_its_last_event_is_whole_once_the_reason_is_known() -> None:
    events = decoded(wire(START, *block(0, {"type": "text", "text": "Hi"}), ended("max_tokens")).rstrip(b"\n"))
    assert events[-1] == Finished("length")


@pytest.mark.parametrize("data", [b"", wire(START), wire(START, STOP), WHOLE[: len(WHOLE) // 2]])
def test_a_stream_that_ends_early_is_broken(data: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        decoded(data)


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: [DONE]\n\n",
        wire(("content_block_start", {"index": 0, "content_block": 1})),
        wire(("content_block_delta", {"index": 4, "delta": {"type": "input_json_delta", "partial_json": "{"}})),
    ],
)
def test_what_is_no_event_of_a_message_is_invalid(data: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        decoded(data)


def test_an_error_in_the_stream_is_a_failure_and_nothing_follows() -> None:
    error = ("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}})
    events = MessagesDecoder().feed(wire(START, error, STOP))
    assert len(events) == 2 and isinstance(events[1], Failed) and isinstance(events[1].error, UpstreamOverloaded)


def encoded(*events: Event, asked: Conversation = SILENT) -> list[tuple[str, Any]]:
    encoder = MessagesEncoder("req-abc", "asked-for", asked, 7)
    data = b"".join(encoder.feed([event]) for event in events) + encoder.end()
    frames = [frame.split(b"\n") for frame in data.split(b"\n\n") if frame]
    told = [(name.removeprefix(b"event: ").decode(), json.loads(payload.removeprefix(b"data: "))) for name, payload in frames]
    assert all(name == payload["type"] for name, payload in told)
    return told


def names(told: list[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in told]


def test_the_order_of_a_plain_answer() -> None:
    told = encoded(
        Started("msg_1", "claude"), TextDelta("a"), TextDelta("b"), PartEnded(), Finished("stop"), UsageReported(Usage(5, 2, 1))
    )
    assert told[0][1]["message"] == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 7,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 0,
        },
    }
    assert names(told) == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert told[5][1]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert (told[5][1]["usage"]["input_tokens"], told[5][1]["usage"]["cache_read_input_tokens"]) == (4, 1)


def test_an_answer_of_nothing_is_well_formed() -> None:
    assert names(encoded(Finished("stop"))) == ["message_start", "message_delta", "message_stop"]


def test_names_and_figures_are_made_where_the_provider_gives_none() -> None:
    told = encoded(TextDelta("a"), Finished("stop", "END"))
    assert (told[0][1]["message"]["id"], told[0][1]["message"]["model"]) == ("msg_abc", "asked-for")
    assert told[-2][1]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    assert told[-2][1]["usage"]["input_tokens"] == 7


def test_text_after_a_call_is_a_block_of_its_own() -> None:
    told = encoded(
        TextDelta("a"), ToolCallStarted(0, "t", "look"), ArgumentsDelta(0, "{}"), TextDelta("b"), Finished("tool_calls")
    )
    kinds = [payload["content_block"]["type"] for name, payload in told if name == "content_block_start"]
    assert kinds == ["text", "tool_use", "text"]
    assert [payload["index"] for name, payload in told if name == "content_block_stop"] == [0, 1, 2]


def test_a_call_without_an_id_gets_one() -> None:
    told = encoded(ToolCallStarted(0, "", "look"), Finished("tool_calls"))
    assert told[1][1]["content_block"]["id"] == "toolu_abc0"


def test_arguments_after_the_end_of_their_call_are_not_lost_in_silence() -> None:
    encoder = MessagesEncoder("req-abc", "m", SILENT, 7)
    encoder.feed([ToolCallStarted(0, "t", "look"), PartEnded()])
    with pytest.raises(UpstreamInvalid):
        encoder.feed([ArgumentsDelta(0, "{}")])


def test_thoughts_are_told_to_those_who_asked_with_a_proof_at_the_end() -> None:
    events = (ReasoningDelta("H"), ReasoningDelta("m", "sig", origin="responses"), TextDelta("Yes"), Finished("stop"))
    told = encoded(*events, asked=THINKS)
    assert [payload["delta"]["type"] for name, payload in told if name == "content_block_delta"] == [
        *("thinking_delta", "thinking_delta", "signature_delta", "text_delta"),
    ]
    assert told[4][1]["delta"]["signature"] == "aldgate:responses:sig"
    assert names(encoded(*events)) == names(encoded(TextDelta("Yes"), Finished("stop")))


def test_thoughts_that_are_not_to_be_shown_leave_their_proof() -> None:
    asked = Conversation("anthropic", [], thinking=Thinking(is_shown=False))
    told = encoded(ReasoningDelta("Hm", "sig", origin="anthropic"), Finished("stop"), asked=asked)
    assert [payload["delta"] for name, payload in told if name == "content_block_delta"] == [
        {"type": "signature_delta", "signature": "sig"}
    ]


def test_the_proof_of_a_call_stands_before_it() -> None:
    told = encoded(ToolCallStarted(0, "t", "look", signature="sig", origin="gemini"), Finished("tool_calls"))
    assert told[1][1]["content_block"] == {"type": "redacted_thinking", "data": "aldgate-call:gemini:sig"}
    assert told[3][1]["content_block"]["type"] == "tool_use"


words = st.text(min_size=1)
spoken: st.SearchStrategy[Part] = st.one_of(
    words.map(Text),
    st.builds(Reasoning, words, words, st.none(), st.just("anthropic")),
    st.builds(Reasoning, st.just(""), st.none(), words, st.just("anthropic")),
    st.builds(
        ToolCall,
        words,
        words,
        st.dictionaries(words, words, min_size=1).map(lambda said: json.dumps(said, separators=(",", ":"), ensure_ascii=False)),
    ),
    st.just(ToolCall("t", "now", "")),
    st.dictionaries(words, words).map(lambda more: Opaque("anthropic", "new", {**more, "type": "new"})),
)


@st.composite
def spoken_answers(draw: st.DrawFn) -> Answer:
    parts = draw(st.lists(spoken, max_size=5))
    finish = draw(st.sampled_from(["stop", "length", "content_filter"]))
    if finish == "stop" and any(isinstance(part, ToolCall) for part in parts):
        finish = "tool_calls"
    written, kept = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    usage = Usage(20 + written, 7, 3, written, 2, cache_write_1h_tokens=min(kept, written))
    return Answer(parts, finish, usage, "msg_1", "claude", draw(st.none() | words) if finish == "stop" else None)


@given(spoken_answers())
def test_a_whole_answer_survives_the_wire(answer: Answer) -> None:
    assert read(write("req-1", "m", THINKS, answer)) == answer


@given(spoken_answers(), st.integers(1, 50))
def test_a_streamed_answer_survives_the_wire(answer: Answer, step: int) -> None:
    encoder = MessagesEncoder("req-1", "m", THINKS, 1)
    assert fold(decoded(encoder.feed(list(unfold(answer))) + encoder.end(), step)) == answer


def test_refusals_are_text() -> None:
    message = json.loads(write("req-1", "m", SILENT, Answer([Refusal("No.")], "content_filter")))
    assert (message["content"], message["stop_reason"]) == ([{"type": "text", "text": "No."}], "refusal")


def test_cut_off_arguments_are_none() -> None:
    message = json.loads(write("req-1", "m", SILENT, Answer([ToolCall("t", "look", '{"a')], "length")))
    assert (message["content"][0]["input"], message["stop_reason"]) == ({}, "max_tokens")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"content":1}', b'{"content":[{"type":"tool_use"}]}', b"\xff"])
def test_what_is_no_message_is_invalid(body: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        read(body)


def test_an_error_in_the_dress_of_a_reply_is_one() -> None:
    with pytest.raises(UpstreamOverloaded):
        ANTHROPIC.read("chat", b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')
