"""Pages of the list of models, walked in both directions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import InvalidRequest
from aldgate.surfaces.models.anthropic import page

sizes = st.integers(0, 12)
limits = st.integers(1, 5)


def models(size: int) -> list[dict[str, Any]]:
    return [{"id": f"m/{number}"} for number in range(size)]


@given(sizes, limits)
def test_walking_on_shows_every_model_once(size: int, limit: int) -> None:
    everything, seen, query = models(size), [], f"limit={limit}"
    while True:
        shown = page(everything, query.encode())
        seen += shown["data"]
        if not shown["has_more"]:
            break
        query = f"limit={limit}&after_id={shown['last_id']}"
    assert seen == everything


@given(st.integers(1, 12), limits)
def test_walking_back_shows_every_model_before(size: int, limit: int) -> None:
    everything, seen = models(size), models(size)[-1:]
    while True:
        shown = page(everything, f"limit={limit}&before_id={seen[0]['id'].replace('/', '%2F')}".encode())
        seen = shown["data"] + seen
        if not shown["has_more"]:
            break
    assert seen == everything


@pytest.mark.parametrize("query", [b"limit=0", b"limit=1001", b"limit=-1", b"limit=%D9%A1", b"before_id=gone"])
def test_a_page_that_cannot_be_is_refused(query: bytes) -> None:
    with pytest.raises(InvalidRequest):
        page(models(3), query)
