from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.budgets import Period, period_end, period_name

zones = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
moments = st.datetimes(datetime(1, 2, 1), datetime(9998, 12, 31), timezones=zones)
periods = st.sampled_from(["day", "month", "total"])
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("period", "name", "end"),
    [
        ("day", "2028-02-29", datetime(2028, 3, 1, tzinfo=UTC)),
        ("month", "2028-02", datetime(2028, 3, 1, tzinfo=UTC)),
        ("total", "total", None),
    ],
)
def test_periods_are_those_of_the_calendar_in_utc(period: Period, name: str, end: datetime | None) -> None:
    late = datetime(2028, 2, 28, 20, 30, tzinfo=timezone(-timedelta(hours=5)))  # already the 29th in UTC
    assert (period_name(period, late), period_end(period, late)) == (name, end)


@given(periods, moments)
def test_a_period_has_one_name_until_its_end_and_another_from_there(period: Period, at: datetime) -> None:
    name, end = period_name(period, at), period_end(period, at)
    if end is None:
        assert name == "total"
        return
    assert end > at
    assert period_name(period, end - TICK) == name != period_name(period, end)
    assert period_end(period, end - TICK) == end


@given(st.sampled_from(["day", "month"]), moments, moments)
def test_names_sort_as_time_does(period: Period, one: datetime, other: datetime) -> None:
    if one.astimezone(UTC).year >= 1000 <= other.astimezone(UTC).year:
        assert (period_name(period, one) <= period_name(period, other)) or one > other
