"""`countTokens`, answered by our own count (https://ai.google.dev/api/tokens)."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.conversation import Conversation, Media, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.gemini.parse import parse_chat
from aldgate.dialects.governed import MANY_BYTES, check_countable

IMAGE = 258
"""Tokens of a small image (https://ai.google.dev/gemini-api/docs/tokens#multimodal-tokens)."""


def count_tokens(body: bytes, model: str) -> int:
    """About how many tokens a request has: a quarter of its text's bytes, and a small image's worth for each medium.

    Raises:
        InvalidRequest: It is none.
    """
    if len(body) > MANY_BYTES:
        check_countable(body)
    try:
        asked = msgspec.json.decode(body, type=dict[str, Any])
        inner = asked.get("generateContentRequest") or asked.get("generate_content_request") or asked
        return _count(parse_chat(msgspec.json.encode(inner), model=model))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from None


def _count(asked: Conversation) -> int:
    said = sum(_bytes(part) for message in asked.messages for part in message.parts)
    tools = sum(len(msgspec.json.encode(tool.parameters)) + len(tool.name) for tool in asked.tools)
    media = sum(isinstance(part, Media) for message in asked.messages for part in message.parts)
    return -(-(said + tools) // 4) + IMAGE * media


def _bytes(part: Part) -> int:
    match part:
        case Text() | Refusal() | Reasoning():
            return len(part.text.encode())
        case ToolCall():
            return len(part.name) + len(part.arguments.encode())
        case ToolResult():
            return sum(len(each.text.encode()) for each in part.parts if isinstance(each, Text))
        case _:
            return 0
