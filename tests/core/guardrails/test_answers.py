from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.conversation import Answer, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Finished,
    PartGiven,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    fold,
    unfold,
)
from aldgate.core.guardrails.answers import StreamGuard, joined, replaced
from aldgate.core.guardrails.guard import Guard, Passage
from aldgate.core.guardrails.kinds import Pii, Size, Words
from tests.core.guardrails.texts import texts

MAIL = "bob@example.com"


def passage(*, masks: bool = False) -> Passage:
    """Of a call whose request held an address, `[EMAIL_1]`."""
    guard = Guard((Pii(applies_to="both" if masks else "input", action="mask" if masks else "redact"),))
    begun = guard.passage([MAIL])
    stage = begun.request(guard.input[0])()
    stage.feed(MAIL)
    stage.end()
    return begun


parts = st.one_of(
    texts.filter(bool).map(Text),
    texts.filter(bool).map(Refusal),
    texts.filter(bool).map(Reasoning),
    texts.filter(bool).map(lambda text: ToolCall("call_1", "look", text, is_custom=True)),
)
answers = st.lists(parts, max_size=4).map(lambda given: Answer(list[Part](given)))


def shredded(events: Iterator[Event], sizes: list[int]) -> Iterator[Event]:
    """The same events, their texts in pieces."""
    turn = 0
    for event in events:
        if not isinstance(event, TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta):
            yield event
            continue
        text = event.text
        while text:
            size, turn = sizes[turn % len(sizes)], turn + 1
            piece, text = text[:size], text[size:]
            yield ArgumentsDelta(event.index, piece) if isinstance(event, ArgumentsDelta) else type(event)(piece)


@pytest.mark.parametrize("masks", [False, True])
@given(answers, st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_a_stream_says_what_the_whole_answer_does(masks: bool, answer: Answer, sizes: list[int]) -> None:
    whole = StreamGuard(passage(masks=masks)).feed(unfold(answer))
    guard = StreamGuard(passage(masks=masks))
    streamed: list[Event] = []
    for event in shredded(unfold(answer), sizes):
        streamed += guard.feed([event])
    assert fold(streamed) == fold(whole)
    assert guard.held == 0 and guard.blocked is None
    assert all(event.text for event in streamed if isinstance(event, TextDelta | RefusalDelta | ArgumentsDelta))


def test_what_is_held_back_comes_before_what_follows_it() -> None:
    guard = StreamGuard(passage())
    events: list[Event] = [
        TextDelta("I [EMAIL"),
        ToolCallStarted(0, "c", "look"),
        ArgumentsDelta(0, '{"a":"[EMAIL_'),
        TextDelta("x"),
    ]
    passed = [*guard.feed([Started("id"), *events]), *guard.feed([ArgumentsDelta(0, '1]"}'), Finished("stop")])]
    assert passed == [
        Started("id"),
        TextDelta("I "),
        TextDelta("[EMAIL"),
        ToolCallStarted(0, "c", "look"),
        ArgumentsDelta(0, '{"a":"'),
        TextDelta("x"),
        ArgumentsDelta(0, f'{MAIL}"}}'),
        Finished("stop"),
    ]


def test_nothing_passes_behind_a_refusal() -> None:
    guard = StreamGuard(Guard((Words(words=("banana",)),)).passage([]))
    assert guard.feed([TextDelta("One banana "), TextDelta("two"), Finished("stop")]) == []
    assert guard.blocked is not None
    assert guard.feed([TextDelta("three")]) == []


def test_the_size_of_an_answer_is_that_of_all_its_texts() -> None:
    begun = Guard((Size(most_characters=5, applies_to="output"),)).passage([])
    for _ in range(2):
        guard = StreamGuard(begun)
        guard.feed([TextDelta("123"), RefusalDelta("45")])
        assert guard.blocked is None
        guard.feed([TextDelta("6")])
        assert guard.blocked is not None


def test_thoughts_keep_their_placeholders_and_their_signatures() -> None:
    thought: list[Event] = [
        ReasoningDelta("It is [EMA"),
        ReasoningDelta("IL_1].", "signed", None, "anthropic"),
        ReasoningDelta("", None, "gone"),
    ]
    answer = fold([*StreamGuard(passage()).feed([*thought, Finished("stop")])])
    assert answer.parts == [Reasoning("It is [EMAIL_1].", "signed", None, "anthropic"), Reasoning("", None, "gone", "")]


def test_a_thought_that_was_changed_loses_its_signature() -> None:
    events: list[Event] = [ReasoningDelta(f"It is {MAIL}", "signed"), Finished("stop")]
    assert fold(StreamGuard(passage(masks=True)).feed(events)).parts == [Reasoning("It is ***@*******.***")]


def test_what_only_its_own_dialect_knows_is_looked_at_too() -> None:
    part = Opaque("anthropic", "server_tool", {"id": 1, "deep": [{"text": "[EMAIL_1]"}]})
    (passed,) = StreamGuard(passage()).feed([PartGiven(part)])
    assert passed == PartGiven(Opaque("anthropic", "server_tool", {"id": 1, "deep": [{"text": MAIL}]}))


def test_json_that_was_asked_for_stays_json() -> None:
    guard = Guard((Words(patterns=('say "hi"',), action="redact", applies_to="input"),))
    begun = guard.passage([])
    stage = begun.request(guard.input[0])()
    stage.feed('say "hi"')
    stage.end()
    said: list[Event] = [TextDelta('{"a": "[WORD_1]"}'), Finished("stop")]
    assert fold(StreamGuard(begun, holds_json=True).feed(said)).parts == [Text('{"a": "say \\"hi\\""}')]


def test_judged_texts_are_put_where_they_stood() -> None:
    events: list[Event] = [
        Started(),
        ReasoningDelta("a"),
        ReasoningDelta("b"),
        ReasoningDelta("", "signed"),
        TextDelta("c"),
        TextDelta("d"),
        ArgumentsDelta(0, "e"),
        ArgumentsDelta(1, "f"),
        Finished("stop"),
    ]
    assert joined(events) == ["ab", "cd", "e", "f"]
    assert replaced(events, ["ab", "C", "e", "F"]) == [
        Started(),
        ReasoningDelta("ab"),
        ReasoningDelta("", "signed"),
        TextDelta("C"),
        ArgumentsDelta(0, "e"),
        ArgumentsDelta(1, "F"),
        Finished("stop"),
    ]
    thought: list[Event] = [ReasoningDelta("a"), ReasoningDelta("", "signed"), TextDelta("b")]
    assert replaced(thought, ["other", "b"]) == [ReasoningDelta("other"), TextDelta("b")]
