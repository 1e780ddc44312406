import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.engines.sentences import split


@pytest.mark.parametrize(
    ("text", "most", "parts"),
    [
        ("Short.", 10, ["Short."]),
        ("One. Two. Three.", 9, ["One. Two.", "Three."]),
        ('He said "No." Then he went.', 14, ['He said "No."', "Then he went."]),
        ("one, two, three", 9, ["one, two,", "three"]),
        ("aaaa bbbb", 5, ["aaaa", "bbbb"]),
        ("aaaaaaa", 3, ["aaa", "aaa", "a"]),
        ("  ", 3, []),
    ],
)
def test_it_cuts_between_sentences_then_clauses_then_words(text: str, most: int, parts: list[str]) -> None:
    assert split(text, most) == parts


@given(st.text(alphabet="ab ,.!?\n\"'。", max_size=200), st.integers(1, 40))
def test_nothing_but_white_space_is_lost(text: str, most: int) -> None:
    parts = split(text, most)
    assert all(0 < len(part) <= most for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
