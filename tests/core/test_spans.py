from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.budgets import period_name
from aldgate.core.spans import TIMES, parse_moment

MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, st.sampled_from(sorted(TIMES)))
def test_a_moment_lies_in_the_span_that_is_called_after_it(at: datetime, kind: str) -> None:
    start, end = TIMES[kind](period_name(kind, at))
    assert start <= at.timestamp() < end
    assert period_name(kind, datetime.fromtimestamp(start, UTC)) == period_name(kind, at)
    assert period_name(kind, datetime.fromtimestamp(end, UTC)) != period_name(kind, at)


@pytest.mark.parametrize("kind", sorted(TIMES))
@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-1", "2026-W54", "2026-02-30", "2026-11-21T24", "9999-12-31", "٢٠٢٦-11"]
)
def test_what_is_no_span_is_refused(kind: str, text: str) -> None:
    with pytest.raises(ValueError):
        TIMES[kind](text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("7d", 1_000_000 - 7 * 86_400),
        ("90m", 1_000_000 - 5_400),
        ("123", 123),
        ("1970-01-02", 86_400),
        ("1970-01-01T01:00+01:00", 0),
    ],
)
def test_moments_are_dates_seconds_or_so_long_ago(text: str, at: float) -> None:
    assert parse_moment(text, 1_000_000) == at
