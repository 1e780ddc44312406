import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.engines.builtin.pattern_match import matches
from aldgate.engines.builtin.pattern_shape import NotSimple


def free(_: int) -> None:
    """Work costs nothing here."""


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("", "", True),
        ("^$", "", True),
        ("^$", "a", False),
        ("b", "abc", True),
        ("^b", "abc", False),
        ("b$", "abc", False),
        ("a|^c$", "xc", False),
        ("^(ab|c){2,3}$", "abcab", True),
        ("^(ab|c){2,3}$", "ababcc", False),
        ("^[^\\d]+$", "ab1", False),
        ("^\\D\\W\\S$", "a-b", True),
        ("^.$", "\n", False),
        ("^\\s$", "\u00a0", True),
        ("^()*x$", "x", True),
    ],
)
def test_matches(pattern: str, text: str, found: bool) -> None:
    assert matches(pattern, text, free) is found


@given(st.text(alphabet="ab0^$|()[]{}*+?.\\d-,1"), st.text(alphabet="ab01-.", max_size=8))
def test_it_says_what_other_engines_say(pattern: str, text: str) -> None:
    try:
        found = matches(pattern, text, free)
        expected = re.search(pattern, text) is not None
    except (NotSimple, re.error, FutureWarning):
        return
    assert found is expected


@pytest.mark.parametrize("pattern", ["(?=a)", "\\bx", "(a)\\1", "a{2}{3}", "[", "(", "(" * 5_000, "a" * 20_000])
def test_what_is_not_understood_is_said_to_be(pattern: str) -> None:
    with pytest.raises(NotSimple):
        matches(pattern, "a", free)


def test_hostile_expressions_are_stopped() -> None:
    left = 1_000

    def step(work: int) -> None:
        nonlocal left
        left -= work
        if left < 0:
            raise TimeoutError

    for pattern in ("^(a*)*$", "^((a{9000}){9000})$", "^" + "(a|a)*" * 100 + "$"):
        left = 1_000
        with pytest.raises(TimeoutError):
            matches(pattern, "a" * 9_000 + "b", step)
