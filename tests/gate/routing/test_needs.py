"""What a request needs, in several dialects."""

import json
from typing import Any

import pytest

from aldgate.core.calls import Call, Peek
from aldgate.core.catalogue import build_catalogue
from aldgate.core.principals import Level, Operation, Principal
from aldgate.gate.routing.needs import needs_of

EMPTY, _ = build_catalogue([], {})


def call(body: dict[str, Any], operation: Operation = "chat", cap: int | None = None) -> Call:
    principal = Principal.of("key", Level("key", "key-1", "shop"))
    return Call("req-1", operation, principal, Peek(json.dumps(body).encode(), "team", cap=cap), 0.0, 0.0, EMPTY, {})


@pytest.mark.parametrize(
    ("body", "needed"),
    [
        ({"messages": [{"role": "user", "content": 'say "tools": now'}]}, set()),
        ({"tools": [{"type": "function"}]}, {"tools"}),
        ({"messages": [{"content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, {"vision"}),
        ({"input": [{"content": [{"type": "input_image", "image_url": "x"}]}]}, {"vision"}),
        ({"messages": [{"content": [{"type": "image", "source": {"media_type": "image/png"}}]}]}, {"vision"}),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "x"}}]}]}, {"vision"}),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "application/pdf", "data": "x"}}]}]}, {"documents"}),
        ({"messages": [{"content": [{"type": "input_audio", "input_audio": {}}]}]}, {"audio"}),
        ({"messages": [{"content": [{"type": "document", "source": {}}]}]}, {"documents"}),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"json_schema"}),
        ({"generationConfig": {"responseSchema": {}}}, {"json_schema"}),
    ],
)
def test_capabilities_are_seen(body: dict[str, Any], needed: set[str]) -> None:
    assert needs_of(call(body), "").capabilities == needed


def test_length_is_input_and_output_and_unknown_with_media() -> None:
    plain = needs_of(call({"messages": [{"content": "x" * 3_970}]}, cap=100), "lab/small")
    assert plain.tokens == 1_000 + 100 and plain.usage.output_tokens == 100 and plain.favourite == "lab/small"
    assert needs_of(call({"type": "image_url", "data": "x" * 4_000}), "").tokens == 0
    assert needs_of(call({"input": "x" * 4_000}, "embed"), "").tokens == 0
