"""The dialects that callers speak, and which of them a path belongs to. Each is imported by its first request."""

from __future__ import annotations

from aldgate.ports import FaceDialect
from aldgate.registry import Registry

DIALECTS: Registry[FaceDialect] = Registry(
    "dialect",
    {
        "anthropic": "aldgate.dialects.anthropic.dialect:ANTHROPIC",
        "openai": "aldgate.dialects.openai.dialect:OPENAI",
        "generate": "aldgate.dialects.generate.dialect:GENERATE",
        "ollama": "aldgate.dialects.ollama.dialect:OLLAMA",
        "ollama-generate": "aldgate.dialects.ollama.dialect:GENERATE",
        "ollama-embeddings": "aldgate.dialects.ollama.dialect:EMBEDDINGS",
        "prompt": "aldgate.dialects.prompt.dialect:PROMPT",
        "rerank": "aldgate.dialects.rerank.dialect:RERANK",
        "rerank-v2": "aldgate.dialects.rerank.dialect:RERANK_V2",
        "gemini": "aldgate.dialects.gemini.dialect:GEMINI",
        "responses": "aldgate.dialects.responses.dialect:RESPONSES",
    },
)
_PREFIXES: tuple[tuple[str, str], ...] = (
    ("/v1/messages", "anthropic"),
    ("/v1/generate", "generate"),
    ("/v1beta/", "gemini"),
    ("/v1alpha/", "gemini"),
    ("/v1/responses", "responses"),
    ("/api/v1/", "prompt"),
    ("/api/chat", "ollama"),
    ("/api/generate", "ollama"),
    ("/api/embed", "ollama"),
    ("/api/tags", "ollama"),
    ("/api/show", "ollama"),
    ("/api/ps", "ollama"),
    ("/api/version", "ollama"),
    ("/api/pull", "ollama"),  # this and what follows is refused, in words that Ollama's clients read
    ("/api/push", "ollama"),
    ("/api/create", "ollama"),
    ("/api/copy", "ollama"),
    ("/api/delete", "ollama"),
    ("/api/blobs", "ollama"),
    ("/v1/rerank", "rerank"),
    ("/v2/rerank", "rerank"),
    ("/rerank", "rerank"),
)
"""Paths that begin so belong to that dialect; all others to OpenAI's."""


def dialect_at(path: str) -> FaceDialect:
    """The dialect that whoever asks at `path` speaks."""
    for prefix, name in _PREFIXES:
        if path.startswith(prefix):
            return DIALECTS.load(name)
    return DIALECTS.load("openai")
