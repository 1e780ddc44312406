"""The shapes of content blocks, by their `type`; whatever has another type is let through as it is.

Shapes: https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.errors import InvalidRequest


class _Mark(msgspec.Struct):
    ttl: str | None = None


class _Block(msgspec.Struct, kw_only=True):
    cache_control: _Mark | None = None


class _Text(_Block):
    text: str


class _Source(msgspec.Struct):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None


class _Media(_Block):
    source: _Source
    title: str | None = None


class _Thought(_Block):
    thinking: str
    signature: str | None = None


class _Redacted(_Block):
    data: str


class _Call(_Block):
    id: str
    name: str
    input: dict[str, Any] | None = None


class _Result(_Block):
    tool_use_id: str


class _Found(_Block):
    title: str
    source: str
    content: list[Any]


class _Reference(_Block):
    tool_name: str


_SHAPES: dict[str, type[_Block]] = {
    "text": _Text,
    "image": _Media,
    "document": _Media,
    "thinking": _Thought,
    "redacted_thinking": _Redacted,
    "tool_use": _Call,
    "tool_result": _Result,
    "search_result": _Found,
    "tool_reference": _Reference,
}


def check_block(block: dict[str, Any], where: str) -> None:
    """See that a block is what its type says.

    Raises:
        InvalidRequest: It lacks something, or has something of another type.
    """
    shape = _SHAPES.get(block["type"])
    if shape is None:
        return
    try:
        msgspec.convert(block, shape)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"A `{block['type']}` block lacks what it is named for: {error}.", param=where) from None
