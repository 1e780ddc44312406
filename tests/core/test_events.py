"""What a stream says and what a whole answer says are the same, for every answer there can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.conversation import Answer, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import UpstreamBroken
from aldgate.core.events import ArgumentsDelta, Failed, Started, TextDelta, ToolCallStarted, fold, unfold
from aldgate.core.usage import Usage

words = st.text(min_size=1)
maybe = st.none() | words
parts: st.SearchStrategy[Part] = st.one_of(
    words.map(Text),
    words.map(Refusal),
    st.builds(Reasoning, words, maybe, st.none(), st.just("anthropic")),
    st.builds(Reasoning, st.just(""), st.none(), words, st.just("anthropic")),
    st.builds(ToolCall, words, words, st.text(), st.booleans(), maybe, st.just("gemini")),
    st.builds(Media, st.just("image"), st.just("image/png"), words),
    st.builds(Opaque, words, words, st.dictionaries(words, words)),
)
answers = st.builds(
    Answer,
    st.lists(parts, max_size=6),
    st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    st.none() | st.builds(Usage, st.integers(0, 99), st.integers(0, 99)),
    st.text(),
    st.text(),
    maybe,
)


@given(answers)
def test_an_answer_survives_being_told_as_events(answer: Answer) -> None:
    assert fold(unfold(answer)) == answer


def test_pieces_of_one_part_are_joined_and_calls_may_interleave() -> None:
    told = [
        Started("a", "m"),
        TextDelta("he"),
        TextDelta("llo"),
        ToolCallStarted(0, "c0", "look"),
        ToolCallStarted(1, "c1", "find"),
        ArgumentsDelta(1, '{"b"'),
        ArgumentsDelta(0, "{}"),
        ArgumentsDelta(1, ":1}"),
    ]
    assert fold(told).parts == [Text("hello"), ToolCall("c0", "look", "{}"), ToolCall("c1", "find", '{"b":1}')]


def test_a_failure_is_raised() -> None:
    with pytest.raises(UpstreamBroken):
        fold([Started(), TextDelta("he"), Failed(UpstreamBroken("gone"))])
