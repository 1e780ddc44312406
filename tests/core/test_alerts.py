import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.alerts import parse_percents, reached


@given(st.integers(1, 10**12), st.integers(0, 2 * 10**12), st.lists(st.integers(1, 1000)))
def test_a_part_is_reached_when_so_much_is_spent(limit: int, spent: int, percents: list[int]) -> None:
    found = reached(limit, spent, percents)
    assert found == sorted(set(found))
    assert all((percent in found) == (spent > 0 and spent / limit * 100 >= percent) for percent in percents if limit < 10**9)
    assert reached(limit, spent + 1, percents)[: len(found)] == found


def test_of_a_budget_of_nothing_all_is_spent_with_the_first_cent() -> None:
    assert (reached(0, 0, (50, 100)), reached(0, 1, (50, 100))) == ([], [50, 100])


@pytest.mark.parametrize(("text", "percents"), [("", ()), ("50", (50,)), ("100, 50,80,50", (50, 80, 100)), (" , ", ())])
def test_percentages_as_operators_write_them(text: str, percents: tuple[int, ...]) -> None:
    assert parse_percents(text) == percents


@pytest.mark.parametrize("text", ["x", "0", "50%", "-5", "1001", "5.5", "\u0665"])
def test_what_is_no_percentage_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="whole number of percent"):
        parse_percents(text)
