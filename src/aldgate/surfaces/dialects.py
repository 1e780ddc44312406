"""The dialects that callers speak, and which of them a path belongs to. Each is imported by its first request."""

from __future__ import annotations

from aldgate.ports import FaceDialect
from aldgate.registry import Registry

DIALECTS: Registry[FaceDialect] = Registry(
    "dialect",
    {
        "openai": "aldgate.dialects.openai.dialect:OPENAI",
        "gemini": "aldgate.dialects.gemini.dialect:GEMINI",
        "responses": "aldgate.dialects.responses.dialect:RESPONSES",
    },
)
_PREFIXES: tuple[tuple[str, str], ...] = (
    ("/v1beta/", "gemini"),
    ("/v1alpha/", "gemini"),
    ("/v1/responses", "responses"),
)
"""Paths that begin so belong to that dialect; all others to OpenAI's."""


def dialect_at(path: str) -> FaceDialect:
    """The dialect that whoever asks at `path` speaks."""
    for prefix, name in _PREFIXES:
        if path.startswith(prefix):
            return DIALECTS.load(name)
    return DIALECTS.load("openai")
