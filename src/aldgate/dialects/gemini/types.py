"""Gemini's wire as the OpenAPI document describes it: the outline, whose details are Google's (https://ai.google.dev/api)."""

from __future__ import annotations

from typing import Any

import msgspec

Object = dict[str, Any]


class GeminiContent(msgspec.Struct):
    """A turn: `user` or `model`, and its parts."""

    parts: list[Object]
    role: str | None = None


class GeminiRequest(msgspec.Struct, rename="camel", omit_defaults=True):
    """What the verbs take: `contents` to generate from and to count, `content` or `requests` to embed."""

    contents: list[GeminiContent] | None = None
    system_instruction: GeminiContent | None = None
    tools: list[Object] | None = None
    tool_config: Object | None = None
    generation_config: Object | None = None
    safety_settings: list[Object] | None = None
    content: GeminiContent | None = None
    requests: list[Object] | None = None


class GeminiModel(msgspec.Struct, rename="camel"):
    """A model; `name` begins with `models/`."""

    name: str
    version: str
    display_name: str
    description: str
    supported_generation_methods: list[str]
    input_token_limit: int | None = None
    output_token_limit: int | None = None


class GeminiModelPage(msgspec.Struct, rename="camel"):
    """Some models, and where the next page begins."""

    models: list[GeminiModel]
    next_page_token: str | None = None


class GeminiStatus(msgspec.Struct):
    """What went wrong."""

    code: int
    message: str
    status: str
    details: list[Object]


class GeminiError(msgspec.Struct):
    """An error in the shape of Google's APIs."""

    error: GeminiStatus
