import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.budgets import Budget
from aldgate.core.terms import MAX_BUDGET_USD, MAX_DURATION_S, MICRO, format_usd, parse_budget, parse_duration

periods = st.sampled_from(["day", "month", "total"])


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("10.00/month", Budget(10_000_000, "month")),
        ("2.5/day", Budget(2_500_000, "day")),
        (" 500/total\n", Budget(500_000_000, "total")),
        ("0.000001/day", Budget(1, "day")),
        ("1000000000/total", Budget(10**15, "total")),
    ],
)
def test_a_budget_is_dollars_per_period(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "10/",
        "/month",
        "10/year",
        "10 / month",
        "-1/day",
        "+1/day",
        "1e3/day",
        "1_000/day",
        "1,5/day",
        ".5/day",
        "5./day",
    ]
    + ["$5/day", "nan/day", "Infinity/day", "1.0000001/day", "10/Month", "10/month/day", "١٠/day"],
)
def test_anything_else_says_how_to_write_a_budget(text: str) -> None:
    with pytest.raises(ValueError, match="10.00/month"):
        parse_budget(text)


@pytest.mark.parametrize("text", ["0/day", "0.000000/day", "1000000000.000001/total", "9999999999/day"])
def test_a_budget_has_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="more than 0 and at most 1000000000"):
        parse_budget(text)


@given(st.integers(1, MAX_BUDGET_USD * MICRO), periods)
def test_what_is_formatted_parses_back_to_the_micro_dollar(microusd: int, period: str) -> None:
    assert parse_budget(f"{format_usd(microusd)}/{period}") == Budget(microusd, period)  # pyright: ignore[reportArgumentType]


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (parse_budget, parse_duration):
        try:
            parse(text)
        except ValueError as error:
            assert "`" in str(error)


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("90m", 5400), ("12h", 43_200), ("30d", 2_592_000)])
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "1.5h", "-1d", "1w", "1 d", "1h30m", "30D", "٣d"])
def test_anything_else_says_how_to_write_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="30d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "0d", "36501d", "9999999999d"])
def test_a_duration_has_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="36500d"):
        parse_duration(text)


@given(st.integers(1, MAX_DURATION_S))
def test_seconds_are_seconds(seconds: int) -> None:
    assert parse_duration(f"{seconds}s") == seconds


@pytest.mark.parametrize(
    ("microusd", "text"),
    [(0, "0.00"), (1, "0.000001"), (10_000_000, "10.00"), (1_500_000, "1.50"), (1_234_560, "1.23456"), (-1_500_000, "-1.50")],
)
def test_dollars_are_exact(microusd: int, text: str) -> None:
    assert format_usd(microusd) == text
