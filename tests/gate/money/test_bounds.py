"""The most that a request's input may come to, beyond its bytes, and who may be asked by a key with a budget."""

import json
from typing import Any

import pytest

from aldgate.core.calls import Peek
from aldgate.core.errors import PriceUnknown
from aldgate.core.prices import Price
from aldgate.core.routes import Deployment
from aldgate.gate.money.bounds import most_input, priced

IMAGE, DOCUMENT, TOOL, FILM = 40_000, 200_000, 1_000_000, 2_000_000
DATA = "A" * 4_000


def beyond_its_bytes(body: Any) -> int:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return most_input(Peek(data, "m")) - len(data)


@pytest.mark.parametrize(
    ("part", "most"),
    [
        ({"text": "x"}, 0),
        ({"inlineData": {"mimeType": "image/png", "data": DATA}}, IMAGE),
        ({"inline_data": {"data": DATA, "mime_type": "image/png"}}, IMAGE),
        ({"inlineData": {"mimeType": "video/mp4", "data": DATA}}, FILM),
        ({"inlineData": {"mimeType": "image/png", "data": "", "mime_type": "video/mp4"}}, FILM),
        ({"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}}, FILM),
        ({"type": "image_url", "image_url": {"url": "https://host/a.png"}}, IMAGE),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}, IMAGE),
        ({"type": "image", "source": {"type": "url", "url": "https://host/a.png"}}, DOCUMENT),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": DATA}}, DOCUMENT),
        ({"type": "document", "source": {"media_type": "application/pdf", "data": DATA, "type": "base64"}}, DOCUMENT),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": DATA}}, 0),
        ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, DOCUMENT),
        ({"type": "search_result", "source": "https://host", "title": "x"}, 0),
        ({"type": "input_file", "file_url": "https://host/a.pdf"}, DOCUMENT),
        (b'{"inline\\u0044ata":{"mimeType":"video/mp4","data":""}}', FILM),
    ],
)
def test_media_counts_by_the_most_that_its_kind_may_come_to(part: Any, most: int) -> None:
    assert beyond_its_bytes(part) == most


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"googleSearch": {}}]},
        {"tools": [{"url_context": {}}]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]},
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "mcp", "server_url": "https://host"}]},
        b'{"tools":[{"type":"web\\u005fsearch"}]}',
        {"input": "x", "conversation": "conv_1"},
        {"input": "x", "prompt": {"id": "pmpt_1"}},
        {"messages": [], "web_search_options": {}},
    ],
)
def test_what_the_provider_reads_by_itself_is_held_for(body: Any) -> None:
    assert beyond_its_bytes(body) == TOOL


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "Say x"},
        {"input": [{"type": "web_search_call", "id": "ws_1"}], "tools": [{"type": "function", "name": "f"}]},
        {"messages": [{"content": 'He said {"type": "web_search"} and "inlineData": 5'}]},
        {"tools": [{"type": "function", "parameters": {"properties": {"gr\u00f6\u00dfe": {"type": "string"}}}}]},
    ],
)
def test_what_only_looks_so_is_not(body: Any) -> None:
    assert beyond_its_bytes(body) == 0


def test_a_dearer_tier_that_nobody_prices_is_not_for_budgets() -> None:
    cheap = Deployment("lab/a", "lab", "a", Price(2, 8), "file")
    tiered = Deployment("lab/b", "lab", "b", Price(2, 8, tiers=(("priority", Price(4, 16)),)), "file")
    assert priced((cheap,), "flex") == (cheap,)
    assert priced((cheap, tiered), "priority") == (tiered,)
    with pytest.raises(PriceUnknown, match=r"tiers\.priority"):
        priced((cheap,), "priority")
