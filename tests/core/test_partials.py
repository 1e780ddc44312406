from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.partials import Partials

FRACTIONS = st.lists(st.none() | st.floats(0, 1), max_size=40)


@given(st.integers(0, 3), FRACTIONS)
def test_never_more_than_are_wanted_and_numbered_in_order(most: int, fractions: list[float | None]) -> None:
    partials = Partials(most)
    places = [partials.give() for fraction in fractions if partials.wants(fraction)]
    assert places == list(range(len(places))) and len(places) <= most


@given(st.integers(1, 3), st.integers(8, 200))
def test_they_are_spread_over_the_work(most: int, steps: int) -> None:
    partials = Partials(most)
    given_at = [step / steps for step in range(steps) if partials.wants(step / steps) and partials.give() >= 0]
    assert len(given_at) == most
    for place, fraction in enumerate(given_at, 1):
        assert 0 <= fraction - place / (most + 1) <= 1 / steps


def test_where_it_is_not_known_how_far_the_first_are_taken() -> None:
    partials = Partials(2)
    assert [partials.wants(None) and partials.give() for _ in range(3)] == [0, 1, False]
