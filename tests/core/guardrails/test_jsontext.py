import json

from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.guardrails.guard import Guard, Pipe
from aldgate.core.guardrails.jsontext import JsonText, escaped
from aldgate.core.guardrails.kinds import Pii
from aldgate.core.guardrails.requests import in_json
from tests.core.guardrails.texts import texts, through

values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(values, st.booleans(), st.data())
def test_json_stays_what_it_was(value: object, is_ascii: bool, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert json.loads(through(JsonText(lambda: Pipe([])), pieces)) == value


@given(values)
def test_what_comes_back_is_json_with_the_very_values(value: object) -> None:
    guard = Guard((Pii(applies_to="input"),))
    text = json.dumps(value)
    passage = guard.passage([text])
    begin = passage.request(guard.input[0])
    sent = in_json(text, lambda each: through(begin(), [each]))
    json.loads(sent)
    assert _as_texts(json.loads(through(passage.answer(is_json=True), list(sent)))) == _as_texts(value)


def _as_texts(value: object) -> object:
    """A number that was taken out comes back as a text."""
    match value:
        case bool() | None:
            return value
        case int():
            return str(value)
        case list():
            return [_as_texts(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {key: _as_texts(each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def test_escapes_hide_nothing_and_values_cannot_end_a_string() -> None:
    seen: list[str] = []
    in_json(
        r'{"to": "bob\u0040example.com", "n": 4111111111111111, "s": "\ud83d\ude00 \ud83d \x \n"}',
        lambda text: seen.append(text) or text,
    )
    assert seen == ["to", "bob@example.com", "n", "4111111111111111", "s", "😀 \ud83d \\x \n"]
    assert in_json('{"a": 12, "b": "x"}', lambda text: '"' if text in ("12", "x") else text) == r'{"a": "\"", "b": "\""}'


def test_half_a_character_is_written_as_an_escape() -> None:
    assert escaped('a"\n\ud83d') == 'a\\"\\n\\ud83d'


def test_what_is_no_json_is_looked_at_word_by_word() -> None:
    guard = Guard((Pii(applies_to="output"),))
    stage = guard.passage([]).answer(is_json=True)
    assert (
        through(stage, ["mail bob@exam", "ple.com now ", '"unfinished bob@example.com'])
        == 'mail "[EMAIL]" now "unfinished [EMAIL]'
    )
