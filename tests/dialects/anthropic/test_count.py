"""Our own count of a request's tokens, and the headers that tell of limits."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aldgate.dialects.anthropic.count import DOCUMENT_TOKENS, IMAGE_TOKENS, estimate
from aldgate.dialects.anthropic.limits import limit_headers


def counted(*content: Any, **more: Any) -> int:
    return estimate(json.dumps({"model": "m", "messages": [{"role": "user", "content": list(content)}], **more}).encode())


def test_text_is_counted_by_its_bytes() -> None:
    short, long = (counted({"type": "text", "text": "x" * size}) for size in (400, 4400))
    assert long - short == 1000
    assert counted(system="y" * 400) - counted() == 100
    assert counted(tools=[{"name": "look", "input_schema": {"type": "object"}}]) > counted()


def test_attachments_are_counted_apart_from_their_bytes() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 1_000_000}
    bare = counted()
    assert bare + IMAGE_TOKENS <= counted({"type": "image", "source": source}) < bare + IMAGE_TOKENS + 10
    assert bare + DOCUMENT_TOKENS <= counted({"type": "document", "source": source}) < bare + DOCUMENT_TOKENS + 10
    assert counted({"type": "document", "source": {"type": "text", "data": "z" * 4000}}) - bare > 900


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_request_has_a_count(value: Any) -> None:
    assert estimate(json.dumps({"messages": value, "system": value, "tools": value}).encode()) >= 1


def test_limits_are_told_with_the_time_of_their_reset() -> None:
    headers = dict(limit_headers([(b"requests", 10, 3, 1_500_000_000)], 0.0))
    assert headers == {
        b"anthropic-ratelimit-requests-limit": b"10",
        b"anthropic-ratelimit-requests-remaining": b"3",
        b"anthropic-ratelimit-requests-reset": b"1970-01-01T00:00:02Z",
    }
