import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.guardrails.automaton import Automaton
from aldgate.core.guardrails.finder import Detector, Finder
from aldgate.core.guardrails.patterns import lengths, parse, words


def found(finder: Finder, text: str) -> list[str]:
    search = finder.search()
    return [piece.text for piece in [*search.feed(text), *search.end()] if piece.detector is not None]


def finder(pattern: str, *, most: int = 100, ignores_case: bool = False) -> Finder:
    return Finder([Detector("WORD", "a word", parse(pattern, ignores_case=ignores_case))], most)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("cat|category", "a category of cats", ["category", "cat"]),
        (r"\bcat\b", "cat concat cats (cat)", ["cat", "cat"]),
        (r"\Bcat", "cat concat", ["cat"]),
        ("^a.c$", "abc", ["abc"]),
        ("^a.c$", "abc abc", []),
        ("[a-c]+[^a-c]", "abcd cab!", ["abcd", "cab!"]),
        (r"\d{2,3}-\w+", "12-ab 1234-x 5-y", ["12-ab", "234-x"]),
        (r"x{2}|y{3,}", "xx yy yyyy", ["xx", "yyyy"]),
        (r"(?:ab)*c", "ababc c", ["ababc", "c"]),
        (r"\x41\u0042\.", "AB. ABx", ["AB."]),
        ("(?i)straße", "STRAßE Straße", ["STRAßE", "Straße"]),
        (r"[\]\-\d]", "a]b-c1", ["]", "-", "1"]),
        ("é+", "cafééé", ["ééé"]),
    ],
)
def test_the_syntax_means_what_it_does_everywhere(pattern: str, text: str, expected: list[str]) -> None:
    assert found(finder(pattern), text) == expected


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("(a", "without"),
        ("a)", "without"),
        ("*a", "nothing stands before"),
        ("a*?", "as long as can be"),
        ("a++", "as long as can be"),
        (r"(a)\1", "not known"),
        ("(?=a)", "there is only"),
        ("(?P<x>a)", "there is only"),
        ("[z-a]", "later one"),
        ("[a", "too soon"),
        ("a{3,1}", "greater one"),
        ("a{9999}", "at most"),
        ("a{x}", "begins a repetition"),
        ("\\", "too soon"),
        (r"\b+", "cannot be repeated"),
        (r"\xZZ", "no character"),
        ("(" * 60 + ")" * 60, "too deep"),
        ("a" * 1001, "at most"),
    ],
)
def test_what_one_pass_cannot_tell_is_refused(pattern: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        parse(pattern)


def test_patterns_that_are_too_large_together_are_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        Automaton([parse("(?:[a-z]{500}){500}")])


def test_lengths_are_known() -> None:
    assert lengths(parse("ab?c{2,4}|d")) == (1, 6)
    assert lengths(parse("a+b")) == (2, None)
    assert lengths(parse(r"\b(?:a*)")) == (0, None)


SIMPLE = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", r"\b", "^", "$"]),
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})")
        | inner.filter(lambda pattern: pattern not in (r"\b", "^", "$")).map(lambda pattern: f"(?:{pattern})*")
        | inner.filter(lambda pattern: pattern not in (r"\b", "^", "$")).map(lambda pattern: f"(?:{pattern}){{1,3}}")
    ),
    max_leaves=6,
)


@given(SIMPLE, st.text("ab1 \n", max_size=10))
def test_every_character_of_every_match_is_found(pattern: str, text: str) -> None:
    """Against Python's own engine, asked about each substring in its place."""
    theirs = re.compile(pattern.replace("$", r"\Z"))
    covered = {
        at
        for start in range(len(text))
        for end in range(start + 1, len(text) + 1)
        if _matches(theirs, text, start, end)
        for at in range(start, end)
    }
    search = finder(pattern).search()
    pieces = [*search.feed(text), *search.end()]
    assert "".join(piece.text for piece in pieces) == text
    marks = [piece.detector is not None for piece in pieces for _ in piece.text]
    assert {at for at, is_found in enumerate(marks) if is_found} == covered


def _matches(pattern: re.Pattern[str], text: str, start: int, end: int) -> bool:
    """Whether the text from `start` to `end` is a match where it stands."""
    return re.match(rf"(?s:.{{{start}}})(?:{pattern.pattern})(?=(?s:.{{{len(text) - end}}})\Z)", text) is not None


def test_listed_words_are_found_whatever_they_share() -> None:
    node = words(["car", "cart", "care", "Öl", "C++", "a b"], ignores_case=True, whole=True)
    listed = Finder([Detector("WORD", "a word", node)], 100)
    assert found(listed, "CAR, carts; care! öl Ölung C++ a b scare") == ["CAR", "care", "öl", "C++", "a b"]


@given(st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=8), st.text("abc", max_size=30))
def test_many_words_are_found_as_one_by_one(listed: list[str], text: str) -> None:
    node = words(listed, ignores_case=False, whole=False)
    search = Finder([Detector("WORD", "a word", node)], 100).search()
    marks = [piece.detector is not None for piece in [*search.feed(text), *search.end()] for _ in piece.text]
    covered = {
        at
        for word in listed
        for start in range(len(text))
        if text.startswith(word, start)
        for at in range(start, start + len(word))
    }
    assert {at for at, is_found in enumerate(marks) if is_found} == covered
