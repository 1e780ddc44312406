"""Prompts: one text in, one text out, with provider and model apart."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from aldgate.core.calls import Peek
from aldgate.core.conversation import Conversation, Message, Text
from aldgate.dialects.reading import read_body

ORIGIN = "prompt"
DEFAULT_TEMPERATURE = 0.7
DEFAULT_MAX_TOKENS = 150

_GOVERNED = (b'"prompt"', b'"model"', b'"provider"', b'"max_tokens"', b'"temperature"')


class PromptRequest(msgspec.Struct, omit_defaults=True):
    """Body of `POST /api/v1/generate`."""

    prompt: str
    temperature: Annotated[float, Meta(ge=0, le=1)] = DEFAULT_TEMPERATURE
    max_tokens: Annotated[int, Meta(gt=0)] | None = None
    """150 unless it is given."""
    provider: str | None = None
    model: str | None = None


class PromptUsage(msgspec.Struct):
    """Tokens of a prompt and its answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class PromptReply(msgspec.Struct):
    """The answer to a prompt."""

    text: str
    model: str
    usage: PromptUsage


_request = msgspec.json.Decoder(PromptRequest)


def read(body: bytes) -> PromptRequest:
    """The request in a body.

    Raises:
        InvalidRequest: Not JSON, not UTF-8, a field of a wrong type or value, an ambiguous key.
    """
    return read_body(body, _GOVERNED, _request.decode)


def peek(body: bytes) -> Peek:
    """What the gate decides on.

    Raises:
        InvalidRequest: As `read`.
    """
    asked = read(body)
    name = f"{asked.provider}/{asked.model}" if asked.provider and asked.model else asked.model or ""
    return Peek(body=msgspec.json.encode(asked), model=name, cap=asked.max_tokens or DEFAULT_MAX_TOKENS)


def parse(body: bytes) -> Conversation:
    """The whole request: a chat of one message."""
    asked = _request.decode(body)
    return Conversation(
        origin=ORIGIN,
        messages=[Message("user", [Text(asked.prompt)])],
        max_output_tokens=asked.max_tokens or DEFAULT_MAX_TOKENS,
        temperature=asked.temperature,
    )
