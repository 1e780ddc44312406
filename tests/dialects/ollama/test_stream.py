"""Ollama's lines as events and back, wherever the wire cuts them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.calls import Peek
from aldgate.core.conversation import Answer, Media, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import ContextTooLong, UpstreamBroken, UpstreamError, UpstreamInvalid
from aldgate.core.events import ArgumentsDelta, Event, Failed, Finished, TextDelta, ToolCallStarted, UsageReported, fold, unfold
from aldgate.core.operations import Embeddings, EmbedRequest
from aldgate.core.usage import Usage
from aldgate.dialects.ollama.answers import read_chat, read_embeddings
from aldgate.dialects.ollama.decoder import ChatDecoder
from aldgate.dialects.ollama.dialect import Ollama, OllamaEmbeddings, OllamaGenerate
from aldgate.dialects.ollama.encoder import ChatEncoder

PEEK = Peek(b"{}", "m")
ASKED = EmbedRequest("ollama", ["x"])


def line(**said: Any) -> bytes:
    return json.dumps({"model": "m", "created_at": "2026-01-01T00:00:00Z", **said}).encode() + b"\n"


def message(**said: Any) -> bytes:
    return line(message={"role": "assistant", "content": "", **said}, done=False)


def done(reason: str = "stop", **more: Any) -> bytes:
    last = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": reason}
    return line(**last, prompt_eval_count=7, eval_count=5, **more)


def call(name: str = "look", **arguments: Any) -> dict[str, Any]:
    return {"function": {"index": 0, "name": name, "arguments": arguments}}


def decoder() -> ChatDecoder:
    ids = itertools.count()
    return ChatDecoder(lambda: f"c{next(ids)}")


def told(stream: bytes, step: int) -> list[Event]:
    reader = decoder()
    events: list[Event] = []
    for start in range(0, len(stream), step):
        events += reader.feed(stream[start : start + step])
    return events + reader.end()


STREAM = (
    message(thinking="hm ")
    + message(content="héllo ")
    + message(content="you")
    + message(tool_calls=[call(city="Rome")])
    + message(tool_calls=[call(city="Oslo"), call("find")])
    + done()
)


@given(st.integers(1, len(STREAM)))
def test_where_the_wire_cuts_decides_nothing(step: int) -> None:
    assert told(STREAM, step) == told(STREAM, len(STREAM))


def test_calls_are_counted_here_and_get_ids_of_their_own() -> None:
    answer = fold(told(STREAM, 9))
    assert answer.parts == [
        Reasoning("hm "),
        Text("héllo you"),
        ToolCall("c0", "look", '{"city": "Rome"}'),
        ToolCall("c1", "look", '{"city": "Oslo"}'),
        ToolCall("c2", "find", "{}"),
    ]
    assert answer.finish == "tool_calls"
    assert answer.usage == Usage(7, 5)
    assert answer.model == "m"


@pytest.mark.parametrize(
    ("reason", "calls", "finish"),
    [("stop", [], "stop"), ("length", [], "length"), ("length", [call()], "length"), ("stop", [call()], "tool_calls")],
)
def test_why_it_ended(reason: str, calls: list[Any], finish: str) -> None:
    assert fold(told(message(tool_calls=calls) + done(reason), 50)).finish == finish


def test_arguments_may_come_as_text() -> None:
    said = {"id": "theirs", "function": {"name": "look", "arguments": '{"a":1}'}}
    assert fold(told(message(tool_calls=[said]) + done(), 50)).parts == [ToolCall("theirs", "look", '{"a":1}')]


def test_an_error_in_the_stream_is_a_failure() -> None:
    events = told(message(content="he") + b'{"error":"model runner has stopped"}\n' + done(), 10)
    assert isinstance(events[-1], Failed)
    assert "model runner has stopped" in events[-1].error.message


def test_a_word_for_error_in_the_text_is_none() -> None:
    assert fold(told(message(content='{"error":"x"}') + done(), 10)).parts == [Text('{"error":"x"}')]


def test_a_stream_that_ends_early_is_broken() -> None:
    with pytest.raises(UpstreamBroken):
        told(message(content="he"), 10)


def test_what_is_no_line_of_ollamas_is_invalid() -> None:
    with pytest.raises(UpstreamInvalid):
        decoder().feed(b"data: {}\n")


def test_a_last_line_needs_no_end() -> None:
    assert fold(told(message(content="x") + done().rstrip(), 10)).parts == [Text("x")]


def test_a_whole_reply_is_read_as_a_stream_of_one_line() -> None:
    body = line(message={"role": "assistant", "content": "hi"}, done=True, done_reason="stop", prompt_eval_count=1, eval_count=2)
    assert read_chat(body) == Answer([Text("hi")], "stop", Usage(1, 2), "", "m")
    with pytest.raises(UpstreamBroken):
        read_chat(line(message={"role": "assistant", "content": "hi"}, done=False))
    with pytest.raises(ContextTooLong):
        read_chat(b'{"error":"the input length exceeds the context length"}')


clock = itertools.count(1_700_000_000_000_000_000, 1_000_000).__next__
words = st.text(min_size=1)
answers = st.builds(
    Answer,
    st.lists(
        st.one_of(
            words.map(Text),
            words.map(Reasoning),
            st.builds(ToolCall, words, words, st.dictionaries(words, st.integers(0, 9)).map(lambda given: json.dumps(given))),
        ),
        max_size=5,
    ),
    st.sampled_from(["stop", "length", "content_filter"]),
    st.builds(Usage, st.integers(0, 99), st.integers(0, 99)),
)


def parts_by_kind(answer: Answer) -> tuple[str, str, list[tuple[str, str, Any]]]:
    """Ollama's messages hold one text, one thought and the calls."""
    return (
        "".join(part.text for part in answer.parts if isinstance(part, Text | Refusal)),
        "".join(part.text for part in answer.parts if isinstance(part, Reasoning)),
        [(part.id, part.name, json.loads(part.arguments)) for part in answer.parts if isinstance(part, ToolCall)],
    )


@given(answers)
def test_what_the_encoder_writes_the_decoder_reads(answer: Answer) -> None:
    encoder = ChatEncoder("m", clock)
    stream = encoder.feed(list(unfold(answer))) + encoder.end()
    read = fold(told(stream, 11))
    assert parts_by_kind(read) == parts_by_kind(answer)
    assert read.usage == answer.usage
    whole = read_chat(Ollama(now_ns=clock).write("req-1", PEEK, ASKED, answer))
    assert parts_by_kind(whole) == parts_by_kind(answer)


def test_interleaved_arguments_come_as_whole_calls() -> None:
    encoder = ChatEncoder("m", clock)
    stream = encoder.feed(
        [
            TextDelta("so "),
            ToolCallStarted(0, "a", "look"),
            ToolCallStarted(1, "b", "find"),
            ArgumentsDelta(1, '{"x":'),
            ArgumentsDelta(0, "{}"),
            ArgumentsDelta(1, "1}"),
            UsageReported(Usage(3, 4)),
            Finished("tool_calls"),
        ]
    )
    lines = [json.loads(each) for each in (stream + encoder.end()).splitlines()]
    assert lines[0]["message"] == {"role": "assistant", "content": "so "}
    assert lines[1]["message"]["tool_calls"] == [
        {"id": "a", "function": {"index": 0, "name": "look", "arguments": {}}},
        {"id": "b", "function": {"index": 1, "name": "find", "arguments": {"x": 1}}},
    ]
    last = lines[2]
    assert (last["done"], last["done_reason"]) == (True, "stop")
    assert (last["prompt_eval_count"], last["eval_count"]) == (3, 4)
    assert last["total_duration"] == last["prompt_eval_duration"] + last["eval_duration"] > 0
    assert last["created_at"].endswith("Z")


def test_a_call_that_was_cut_off_is_left_out_and_a_broken_one_refused() -> None:
    cut = [ToolCallStarted(0, "a", "look"), ArgumentsDelta(0, '{"x'), Finished("length")]
    encoder = ChatEncoder("m", clock)
    lines = [json.loads(each) for each in (encoder.feed(cut) + encoder.end()).splitlines()]
    assert [(each["done"], each.get("done_reason")) for each in lines] == [(True, "length")]
    broken = [ToolCallStarted(0, "a", "look"), ArgumentsDelta(0, '{"x'), Finished("tool_calls")]
    with pytest.raises(UpstreamInvalid):
        ChatEncoder("m", clock).feed(broken)
    answer = Answer([Text("so"), ToolCall("a", "look", '{"x')], "length")
    assert "tool_calls" not in json.loads(Ollama().write("r", PEEK, ASKED, answer))["message"]


def test_generate_says_response_where_chat_has_a_message() -> None:
    face = OllamaGenerate(now_ns=clock)
    encoder = face.encoder("r", PEEK, ASKED)
    lines = [json.loads(each) for each in (encoder.feed([TextDelta("hi"), Finished("stop")]) + encoder.end()).splitlines()]
    assert [each["response"] for each in lines] == ["hi", ""]
    assert lines[-1]["done"] is True
    body = json.loads(face.write("r", PEEK, ASKED, Answer([Reasoning("hm"), Text("hi")], "stop", Usage(1, 2))))
    assert (body["response"], body["thinking"], body["eval_count"]) == ("hi", "hm", 2)
    assert "message" not in body


def test_an_image_in_an_answer() -> None:
    body = json.loads(Ollama().write("r", PEEK, ASKED, Answer([Media("image", "image/png", "iVBO")])))
    assert body["message"]["images"] == ["iVBO"]


def test_embeddings_in_both_forms() -> None:
    result = Embeddings([[0.5, 1.0]], Usage(3), "m")
    body = Ollama().write("r", PEEK, ASKED, result)
    assert read_embeddings(body) == result
    assert json.loads(OllamaEmbeddings().write("r", PEEK, ASKED, result)) == {"embedding": [0.5, 1.0]}
    with pytest.raises(UpstreamError):
        read_embeddings(b'{"error":"this model does not embed"}')
    with pytest.raises(UpstreamInvalid):
        read_embeddings(b'{"data":[]}')


def test_the_relay_passes_lines_and_reads_what_they_cost() -> None:
    relay = Ollama().relay("r", "chat", PEEK)
    assert b"".join(relay.feed(STREAM[start : start + 7]) for start in range(0, len(STREAM), 7)) == STREAM
    assert relay.is_done
    assert relay.usage == Usage(7, 5)
    assert relay.delivered == 5
    assert relay.end() == b""


def test_the_relay_knows_failures_before_and_after_the_first_word() -> None:
    with pytest.raises(UpstreamError):
        Ollama().relay("r", "chat", PEEK).feed(b'{"error":"x"}\n')
    relay = Ollama().relay("r", "chat", PEEK)
    first = message(content="he")
    assert relay.feed(first + b'{"error":"x"}\n') == first
    assert relay.failure is not None
    broken = Ollama().relay("r", "chat", PEEK)
    broken.feed(first)
    with pytest.raises(UpstreamBroken):
        broken.end()


def test_a_whole_reply_passes_and_is_counted() -> None:
    body = line(message={"role": "assistant", "content": "four more words here"}, done=True)
    relay = Ollama().relay("r", "chat", PEEK)
    assert relay.whole(body) == body
    assert relay.usage is None
    assert relay.delivered == 5
