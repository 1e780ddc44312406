from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.exports import Billed
from aldgate.core.reconciliation import (
    Figures,
    Ours,
    Place,
    Tolerance,
    compare,
    compare_requests,
    explain,
    gathered,
    plain_model,
)

DAY = ("2026-11-21", "m")
NEXT = ("2026-11-22", "m")
EXACT = Tolerance(0, 0)


def ours(
    requests: int = 10, input: int = 1_000, output: int = 500, cost: int = 3_000_000, cut: int = 0, cut_output: int = 0
) -> Ours:
    return Ours(Figures(requests, input, output, 0, 0, cost), Figures(cut or None, None, cut_output or None))


def theirs(
    requests: int | None = 10, input: int | None = 1_000, output: int | None = 500, cost: int | None = 3_000_000
) -> Figures:
    return Figures(requests, input, output, cost_microusd=cost)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("lab/gpt-4.1", "gpt-4-1"),
        ("gpt-4.1-2025-04-14", "gpt-4-1"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("Claude Sonnet 4.5", "claude-sonnet-4-5"),
        ("models/gemini-2.5-pro", "gemini-2-5-pro"),
        ("Claude Haiku 3.5", "claude-3-5-haiku"),
    ],
)
def test_models_are_called_alike(name: str, plain: str) -> None:
    assert plain_model(name, "lab", {"Claude Haiku 3.5": "claude-3-5-haiku-20241022"}) == plain


@pytest.mark.parametrize(
    ("here", "there", "kind", "words"),
    [
        (ours(), None, "only_here", "does not bill"),
        (None, theirs(), "only_there", "did not make it"),
        (ours(cut=10, cut_output=500), None, "cancelled", "billed none of them"),
        (ours(cut=2, cut_output=50), theirs(output=460), "cancelled", "-40 output tokens there: 2 calls were cut off"),
        (ours(), theirs(output=460), "tokens_differ", "for the same calls"),
        (ours(), theirs(requests=12, input=1_200), "tokens_differ", "2 more requests there"),
        (ours(), theirs(cost=6_000_000), "price_differs", "$3.00 more there for the same tokens: 2 times the price set here"),
        (ours(cost=0), theirs(), "price_differs", "no price is set here"),
        (ours(), theirs(None, None, None, 1_000_000), "price_differs", "this export has no tokens"),
        (ours(), theirs(requests=13), "requests_differ", "+3 requests there"),
        (ours(cut=1), theirs(requests=9), "cancelled", "-1 requests there"),
    ],
)
def test_each_difference_is_explained(here: Ours | None, there: Figures | None, kind: str, words: str) -> None:
    found = explain(here, there, Tolerance())
    assert found is not None and found[0] == kind and words in found[1]


def test_what_is_within_the_tolerance_is_no_difference() -> None:
    assert explain(ours(), theirs(cost=3_009_999), Tolerance()) is None
    assert explain(ours(input=100_000), theirs(input=100_100), Tolerance()) is None
    assert explain(ours(input=100_000), theirs(input=100_101), Tolerance()) is not None
    assert explain(Ours(Figures(1, 0, 0, 0, 0, 0), Figures()), None, Tolerance()) is None


def test_what_comes_back_on_the_next_day_is_a_matter_of_time_zones() -> None:
    report = compare(
        {DAY: ours(), NEXT: ours()}, {DAY: theirs(requests=12, input=1_300), NEXT: theirs(requests=8, input=700)}, Tolerance()
    )
    assert [(each.kind, each.day) for each in report.differences] == [("day_edge", DAY[0]), ("day_edge", NEXT[0])]
    assert "300 tokens around the midnight" in report.differences[0].message
    moved = compare({DAY: ours()}, {NEXT: theirs()}, Tolerance())
    assert [each.kind for each in moved.differences] == ["day_edge", "day_edge"]


def test_single_requests_are_compared_where_both_know_them() -> None:
    mine = {name: (DAY, ours(1, 10, 5, 100)) for name in ("same", "missing", "late")}
    yours = {"same": (DAY, theirs(1, 10, 5, 100)), "late": (NEXT, theirs(1, 10, 5, 100)), "strange": (DAY, theirs(1, 10, 5, 100))}
    assert [(each.request_id, each.kind) for each in compare_requests(mine, yours, EXACT)] == [
        ("late", "day_edge"),
        ("missing", "only_here"),
        ("strange", "only_there"),
    ]


places = st.tuples(
    st.integers(0, 9).map(lambda day: (date(2026, 11, 1) + timedelta(days=day)).isoformat()), st.sampled_from("ab")
)
figures = st.builds(Figures, *[st.integers(0, 10**6)] * 6)


@given(st.dictionaries(places, figures))
def test_the_same_books_agree(books: dict[Place, Figures]) -> None:
    mine = {place: Ours(each, Figures()) for place, each in books.items()}
    report = compare(mine, books, EXACT)
    assert (report.differences, report.agreeing, report.compared) == ([], len(books), len(books))
    assert report.ours == report.theirs


@given(st.dictionaries(places, figures), st.dictionaries(places, figures))
def test_every_token_that_differs_is_in_a_line(mine: dict[Place, Figures], yours: dict[Place, Figures]) -> None:
    report = compare({place: Ours(each, Figures()) for place, each in mine.items()}, yours, EXACT)
    differing = {(each.day, each.model) for each in report.differences}
    for place in mine.keys() | yours.keys():
        here, there = mine.get(place, Figures()), yours.get(place, Figures())
        if (here.input or 0, here.output or 0) != (there.input or 0, there.output or 0):
            assert place in differing


def test_lines_of_one_day_and_model_are_added_up() -> None:
    lines = [Billed("2026-11-21", "gpt-4.1", 1, 10, None), Billed("2026-11-21", "lab/gpt-4.1-2025-04-14", 2, 5, 7)]
    assert gathered(lines, "lab", {}) == {("2026-11-21", "gpt-4-1"): Figures(3, 15, 7)}
