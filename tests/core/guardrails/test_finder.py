from collections.abc import Callable

import pytest
from hypothesis import given

from aldgate.core.guardrails.automaton import Automaton, Group, Move
from aldgate.core.guardrails.finder import Detector, Finder, Piece, Search
from aldgate.core.guardrails.patterns import parse
from aldgate.core.guardrails.pii import MOST_CHARACTERS, PII
from aldgate.core.guardrails.secrets import MOST_CHARACTERS as MOST_SECRET
from aldgate.core.guardrails.secrets import SECRETS
from tests.core.guardrails.texts import cut_texts

FINDERS = {
    "pii": Finder([each for kind in PII.values() for each in kind], MOST_CHARACTERS),
    "secrets": Finder([each for kind in SECRETS.values() for each in kind], MOST_SECRET),
    "short": Finder([Detector("A", "a", parse("a[^b]*b|1+|@.{0,30}"))], 7),
}


def pieces(search: Search, given_in: list[str]) -> list[Piece]:
    out: list[Piece] = []
    for piece in given_in:
        out += search.feed(piece)
    out += search.end()
    merged: list[Piece] = []
    for piece in out:
        if merged and piece.detector is None and merged[-1].detector is None:
            merged[-1] = Piece(merged[-1].text + piece.text, None)
        else:
            merged.append(piece)
    return merged


@pytest.mark.parametrize("name", FINDERS)
@given(cut_texts())
def test_how_a_text_is_cut_decides_nothing(name: str, cut: tuple[str, list[str]]) -> None:
    text, parts = cut
    finder = FINDERS[name]
    whole = pieces(finder.search(), [text])
    assert pieces(finder.search(), parts) == whole == pieces(finder.search(), list(text))
    assert "".join(piece.text for piece in whole) == text


@pytest.mark.parametrize("name", FINDERS)
@given(cut_texts())
def test_no_more_is_held_than_a_match_may_have(name: str, cut: tuple[str, list[str]]) -> None:
    finder = FINDERS[name]
    search = finder.search()
    taken = passed = 0
    for piece in cut[1]:
        taken += len(piece)
        passed += sum(len(each.text) for each in search.feed(piece))
        assert search.held == taken - passed <= finder.most
    passed += sum(len(each.text) for each in search.end())
    assert passed == taken and search.held == 0


def test_what_no_match_begins_with_is_not_held_at_all() -> None:
    search = FINDERS["pii"].search()
    assert [piece.text for piece in search.feed("Yes! ")] == ["Yes! "]
    search.feed("bob")
    assert search.held == 3


def counting(finder: Finder) -> Callable[[], int]:
    """How often the automaton had to work something out."""
    steps = 0
    step = finder.automaton.step

    def counted(group: Group, code: str) -> Move:
        nonlocal steps
        steps += 1
        return step(group, code)

    finder.automaton.step = counted  # pyright: ignore[reportAttributeAccessIssue]
    return lambda: steps


@pytest.mark.parametrize("text", ["a" * 60 + "!", "aaaaab" * 10, "ab" * 30])
def test_what_is_slow_elsewhere_takes_one_step_a_character(text: str) -> None:
    """`(a+)+b`, `(a|aa)+$` and their like take a backtracking engine exponentially many."""
    finder = Finder([Detector("A", "a", parse(pattern)) for pattern in ("(?:a+)+b", "(?:a|aa)+$", "(?:a*)*c")], 1_000)
    steps = counting(finder)
    search = finder.search()
    for _ in range(50):
        search.feed(text)
    search.end()
    once = steps()
    assert once <= 3 * len(text) + 1
    again = finder.search()
    again.feed(text * 50)
    again.end()
    assert steps() == once, "a text seen before costs look-ups alone"


def test_states_that_were_kept_are_forgotten_in_time() -> None:
    automaton = Automaton([parse("(?:a|b)*a(?:a|b){16}c")])
    finder = Finder([Detector("A", "a", parse("x"))], 200)
    finder.automaton = automaton
    search = finder.search()
    number = 1
    for _ in range(30_000):
        number = number * 1103515245 + 12345 & 0x7FFFFFFF
        search.feed("ab"[number >> 16 & 1])
    assert len(automaton._groups) <= 4_000  # pyright: ignore[reportPrivateUsage]
