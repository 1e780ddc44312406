"""Several answers to one request, and log probabilities: the same in every dialect that has words for them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aldgate.core.calls import Peek
from aldgate.core.conversation import Answer, Conversation, Message, Part, Text, TokenLogprob, ToolCall
from aldgate.core.errors import UpstreamBroken
from aldgate.core.events import AnswerTurned, Event, Failed, Finished, LogprobsGiven, TextDelta, UsageReported, fold, unfold
from aldgate.core.usage import Usage
from aldgate.dialects.gemini.dialect import GEMINI
from aldgate.dialects.ollama.dialect import Ollama
from aldgate.dialects.openai.dialect import OpenAI
from aldgate.gate.translation.translation import Translation

OPENAI, OLLAMA = OpenAI(), Ollama()
WIRES = {"openai": OPENAI, "gemini": GEMINI}
words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
chances = st.floats(-50, 0, allow_nan=False)
tokens = st.builds(
    lambda token, chance, instead: TokenLogprob(
        token, chance, list(token.encode()), [TokenLogprob(other, at, list(other.encode())) for other, at in instead]
    ),
    words,
    chances,
    st.lists(st.tuples(words, chances), max_size=3),
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    def one(index: int) -> Answer:
        parts: list[Part] = [Text(draw(words))]
        calls = draw(st.booleans())
        if calls:
            parts.append(ToolCall(f"call_{index}", "f", '{"a":1}'))
        finish = draw(st.sampled_from(["length", "tool_calls" if calls else "stop"]))
        return Answer(parts, finish, logprobs=draw(st.lists(tokens, max_size=3)))

    first, *others = [one(index) for index in range(draw(st.integers(1, 4)))]
    first.usage, first.others = Usage(7, 5), others
    return first


def same(told: Answer, meant: Answer) -> None:
    """Ids and names are each dialect's own matter, and bytes are in nobody's words but OpenAI's."""
    for mine, theirs in zip((told, *told.others), (meant, *meant.others), strict=True):
        assert (mine.parts, mine.finish) == (theirs.parts, theirs.finish)
        assert [(each.token, each.logprob, [(it.token, it.logprob) for it in each.instead]) for each in mine.logprobs] == [
            (each.token, each.logprob, [(it.token, it.logprob) for it in each.instead]) for each in theirs.logprobs
        ]
    assert told.usage == meant.usage


def asked(choices: int) -> Conversation:
    return Conversation("openai", [Message("user", [Text("Hi")])], choices=choices, top_logprobs=3)


def peek(*, stream: bool) -> Peek:
    return Peek(b"{}", "mine", stream, wants_usage=True)


def streamed(name: str, answer: Answer) -> bytes:
    encoder = WIRES[name].encoder("req-1", peek(stream=True), asked(4))
    return encoder.feed(list(unfold(answer))) + encoder.end()


@given(answers())
def test_they_fold_as_they_unfold(answer: Answer) -> None:
    assert fold(unfold(answer)) == answer


@pytest.mark.parametrize("name", WIRES)
@given(answer=answers())
@settings(max_examples=50, deadline=None)
def test_they_survive_the_wire_whole(name: str, answer: Answer) -> None:
    wire = WIRES[name]
    told = wire.read("chat", wire.write("req-1", peek(stream=False), asked(4), answer))
    assert isinstance(told, Answer)
    same(told, answer)


@pytest.mark.parametrize("name", WIRES)
@given(answer=answers(), size=st.sampled_from([7, 1_000_000]))
@settings(max_examples=50, deadline=None)
def test_they_survive_the_wire_in_a_stream(name: str, answer: Answer, size: int) -> None:
    stream, decoder, events = streamed(name, answer), WIRES[name].decoder(), list[Event]()
    for at in range(0, len(stream), size):
        events += decoder.feed(stream[at : at + size])
    same(fold(events + decoder.end()), answer)


@pytest.mark.parametrize(("face", "upstream"), [("openai", "gemini"), ("gemini", "openai")])
@given(answer=answers())
@settings(max_examples=25, deadline=None)
def test_they_are_translated(face: str, upstream: str, answer: Answer) -> None:
    request = asked(1 + len(answer.others))
    relay = Translation("req-1", "chat", peek(stream=True), request, WIRES[face], WIRES[upstream])
    stream = relay.feed(streamed(upstream, answer))
    stream += relay.end()
    decoder = WIRES[face].decoder()
    same(fold(decoder.feed(stream) + decoder.end()), answer)
    assert relay.usage == answer.usage
    whole = Translation("req-1", "chat", peek(stream=False), request, WIRES[face], WIRES[upstream])
    body = WIRES[upstream].write("req-2", peek(stream=False), request, answer)
    told = WIRES[face].read("chat", whole.whole(body))
    assert isinstance(told, Answer)
    same(told, answer)


@given(answers())
@settings(max_examples=25, deadline=None)
def test_a_caller_who_asked_for_one_gets_one(answer: Answer) -> None:
    relay = Translation("req-1", "chat", peek(stream=True), asked(1), GEMINI, OPENAI)
    stream = relay.feed(streamed("openai", answer))
    decoder = GEMINI.decoder()
    told = fold(decoder.feed(stream + relay.end()) + decoder.end())
    assert told.others == [] and told.parts == answer.parts and relay.usage == answer.usage


def test_answers_that_come_in_turns_are_told_apart() -> None:
    chunks = [
        {"choices": [{"index": 1, "delta": {"content": "B"}}]},
        {"choices": [{"index": 0, "delta": {"content": "A"}}]},
        {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "length"}]},
    ]
    decoder = OPENAI.decoder()
    events = [event for chunk in chunks for event in decoder.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")]
    answer = fold(events + decoder.end())
    assert (answer.parts, answer.finish) == ([Text("Aa")], "length")
    assert [(other.parts, other.finish) for other in answer.others] == [([Text("Bb")], "stop")]


@pytest.mark.parametrize("name", WIRES)
def test_an_answer_that_does_not_end_is_a_break_whatever_the_others_do(name: str) -> None:
    events: list[Event] = [TextDelta("A"), AnswerTurned(1), TextDelta("B")]
    encoder = WIRES[name].encoder("req-1", peek(stream=True), asked(2))
    decoder = WIRES[name].decoder()
    decoder.feed(encoder.feed(events))
    last = {
        "openai": b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
        "gemini": b'data: {"candidates":[{"index":0,"finishReason":"STOP"}]}\n\n',
    }
    decoder.feed(last[name])
    with pytest.raises(UpstreamBroken):
        decoder.end()


def test_one_candidate_that_gave_up_fails_the_call() -> None:
    body = b'data: {"candidates":[{"index":0,"finishReason":"STOP"},{"index":1,"finishReason":"MALFORMED_RESPONSE"}]}\n\n'
    decoder = GEMINI.decoder()
    events = decoder.feed(body) + decoder.end()
    assert any(isinstance(event, Failed) for event in events)


@given(st.lists(tokens, min_size=1, max_size=3))
def test_ollama_says_log_probabilities_as_openai_does(likely: list[TokenLogprob]) -> None:
    answer = Answer([Text("Hi")], usage=Usage(1, 1), logprobs=likely)
    whole = OLLAMA.write("req-1", peek(stream=False), asked(1), answer)
    encoder = OLLAMA.encoder("req-1", peek(stream=True), asked(1))
    decoder = OLLAMA.decoder()
    stream = encoder.feed([LogprobsGiven(likely), TextDelta("Hi"), UsageReported(Usage(1, 1)), Finished("stop")]) + encoder.end()
    for told in (OLLAMA.read("chat", whole), fold(decoder.feed(stream) + decoder.end())):
        assert isinstance(told, Answer) and told.logprobs == likely and told.parts == answer.parts


def test_log_probabilities_of_legacy_completions_are_not_read() -> None:
    chunk = b'data: {"choices":[{"text":"a","logprobs":{"tokens":["a"],"token_logprobs":[-1]},"finish_reason":"stop"}]}\n\n'
    decoder = OPENAI.decoder()
    assert fold(decoder.feed(chunk) + decoder.end()).parts == [Text("a")]
