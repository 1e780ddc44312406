"""Input tokens of a Messages request by our own count, for models whose provider counts none."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from aldgate.dialects.reading import read_body

BYTES_PER_TOKEN = 4
"""About what English text comes to."""
IMAGE_TOKENS = 1_600
"""The most an image of the usual size costs (https://platform.claude.com/docs/en/build-with-claude/vision#image-costs)."""
DOCUMENT_TOKENS = 3_000
"""A page of a PDF, of which nobody knows how many it has without reading it."""
TURN_TOKENS = 4
"""What marks where a message begins and ends, about."""
_COUNTED = ("system", "messages", "tools")


def estimate(body: bytes) -> int:
    """The input of a request, at least 1: texts by their bytes, attachments by a flat figure each.

    Raises:
        InvalidRequest: A number is out of range, or it is nested too deep.
    """
    asked = read_body(body, (), _read)
    turns: Any = asked.get("messages")
    marks = TURN_TOKENS * len(cast("list[Any]", turns)) if isinstance(turns, list) else 0
    size, attachments = 0, 0
    for name in _COUNTED:
        more, extra = _measure(asked.get(name))
        size, attachments = size + more, attachments + extra
    return max(1, -(-size // BYTES_PER_TOKEN) + attachments + marks)


def _read(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])


def _measure(value: Any) -> tuple[int, int]:
    """Bytes of text within a value, however deep it is nested, and tokens of the attachments in it."""
    size = extra = 0
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            size += len(each.encode())
        elif isinstance(each, dict):
            members = cast("dict[str, Any]", each)
            source = members.get("source")
            if not isinstance(source, dict) or members.get("type") not in ("image", "document"):
                size += sum(map(len, members))
                waiting += members.values()
            elif cast("dict[str, Any]", source).get("type") in ("text", "content"):
                waiting.append(source)
            else:
                extra += IMAGE_TOKENS if members["type"] == "image" else DOCUMENT_TOKENS
        elif isinstance(each, list):
            waiting += cast("list[Any]", each)
        else:
            size += each is not None
    return size, extra
