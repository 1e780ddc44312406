"""Ranges and conditions, as RFC 9110 has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.ranges import MOST_RANGES, Span, is_same, is_unchanged, spans


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, None),
        ("", None),
        ("bytes=0-0", [Span(0, 1)]),
        ("bytes=0-", [Span(0, 10)]),
        ("Bytes = 2-4", [Span(2, 3)]),
        ("bytes=-3", [Span(7, 3)]),
        ("bytes=-30", [Span(0, 10)]),
        ("bytes=8-99", [Span(8, 2)]),
        ("bytes=0-1, 4-5,-1", [Span(0, 2), Span(4, 2), Span(9, 1)]),
        ("bytes=10-", []),
        ("bytes=-0", []),
        ("bytes=12-14,0-0", [Span(0, 1)]),
        ("bytes=4-2", None),
        ("bytes=a-b", None),
        ("bytes=", None),
        ("bytes=0-0,", None),
        ("items=0-1", None),
        ("bytes=0-9,0-9", None),
        ("bytes=" + ",".join(["0-0"] * (MOST_RANGES + 1)), None),
        ("bytes=٠-٣", None),
    ],
)
def test_ranges(header: str | None, found: list[Span] | None) -> None:
    assert spans(header, 10) == found


def test_nothing_has_no_parts() -> None:
    assert spans("bytes=0-", 0) == spans("bytes=-5", 0) == []


@given(st.text(alphabet="bytes=0123456789-, ", max_size=40), st.integers(0, 1_000))
def test_parts_lie_within_and_are_never_more_than_the_whole(header: str, size: int) -> None:
    found = spans(header, size) or []
    assert all(span.length > 0 and 0 <= span.start and span.start + span.length <= size for span in found)
    assert sum(span.length for span in found) <= size


def test_a_part_says_where_it_is() -> None:
    assert Span(2, 3).of(10) == "bytes 2-4/10"


def test_conditions() -> None:
    assert not is_unchanged(None, '"a"') and is_unchanged("*", '"a"')
    assert is_unchanged('"b", W/"a"', '"a"') and not is_unchanged('"b"', '"a"')
    assert is_same(None, '"a"') and is_same('"a"', '"a"')
    assert not is_same('W/"a"', '"a"') and not is_same("Sat, 21 Nov 2026 00:00:00 GMT", '"a"')
