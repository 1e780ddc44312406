"""Requests without a prompt: they load a model, or let go of it (https://docs.ollama.com/api/generate#load-a-model)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from aldgate.dialects.ollama.answers import instant
from aldgate.dialects.ollama.parse import ChatBody, GenerateBody

MOST_BYTES = 4_096
"""Such requests are short; of others nothing more is read."""
_NOW = frozenset({0, "0", "0s", "0m", "0h", "0ms"})


class _Chat(ChatBody, kw_only=True):
    keep_alive: int | float | str | None = None


class _Generate(GenerateBody, kw_only=True):
    keep_alive: int | float | str | None = None


_chat, _generate = msgspec.json.Decoder(_Chat), msgspec.json.Decoder(_Generate)


def loading(body: bytes, *, is_chat: bool) -> Literal["load", "unload"] | None:
    """What the body of `/api/chat`, or else of `/api/generate`, asks for if it asks no model anything."""
    if len(body) > MOST_BYTES:
        return None
    try:
        asked = _chat.decode(body) if is_chat else _generate.decode(body)
    except msgspec.ValidationError:
        return None  # whoever parses it says what is wrong
    asks = asked.messages if isinstance(asked, _Chat) else asked.prompt or asked.images
    return None if asks else "unload" if asked.keep_alive in _NOW else "load"


def write_loaded(model: str, why: str, now_ns: int, *, is_chat: bool) -> dict[str, Any]:
    """The answer, which is whole even where a stream was asked for."""
    said: dict[str, Any] = {"message": {"role": "assistant", "content": ""}} if is_chat else {"response": ""}
    return {"model": model, "created_at": instant(now_ns), **said, "done": True, "done_reason": why}
