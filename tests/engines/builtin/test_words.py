import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.engines.builtin.words import count_words, cut_text, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" ", [" "]),
        ("one", ["one"]),
        ("one two", ["one", " two"]),
        ("  one\n\ttwo  ", ["  one", "\n\ttwo  "]),
        ("zwölf Boxkämpfer", ["zwölf", " Boxkämpfer"]),
    ],
)
def test_split(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@given(st.text() | st.text(alphabet=" a\n\u2003\x1c\x85b"))
def test_words_join_to_the_text(text: str) -> None:
    words = split_words(text)
    assert "".join(words) == text
    assert len(words) == count_words(text)
    assert all(len(word.split()) == 1 for word in words) or words == [text]


@pytest.mark.parametrize(
    ("stop", "cap", "expected"),
    [
        (None, None, ("one two three", 3, "stop")),
        (None, 3, ("one two three", 3, "stop")),
        (None, 2, ("one two", 2, "length")),
        ("two", None, ("one ", 1, "stop")),
        (["three", "two"], None, ("one ", 1, "stop")),
        (["absent", ""], None, ("one two three", 3, "stop")),
        ("one", None, ("", 0, "stop")),
        ("three", 1, ("one", 1, "length")),
        ("two", 1, ("one ", 1, "stop")),
    ],
)
def test_cut(stop: str | list[str] | None, cap: int | None, expected: tuple[str, int, str]) -> None:
    assert cut_text("one two three", stop, cap) == expected


@given(st.text(), st.integers(1, 5))
def test_a_cap_is_a_prefix(text: str, cap: int) -> None:
    cut, words, reason = cut_text(text, None, cap)
    assert text.startswith(cut)
    assert words == count_words(cut) <= cap
    assert (reason == "length") == (cut != text)
