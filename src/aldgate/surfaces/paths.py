"""The paths of calls, and what is asked for at each. Who answers them stands in `routes.py`."""

from __future__ import annotations

from aldgate.core.principals import Operation

CALLS: tuple[tuple[str, str, Operation], ...] = (
    ("/v1/chat/completions", "openai", "chat"),
    ("/v1/completions", "openai", "complete"),
    ("/v1/embeddings", "openai", "embed"),
    ("/v1/moderations", "openai", "moderate"),
    ("/v1/rerank", "rerank", "rerank"),
    ("/rerank", "rerank", "rerank"),
    ("/v2/rerank", "rerank-v2", "rerank"),
    ("/api/chat", "ollama", "chat"),
    ("/api/generate", "ollama-generate", "chat"),
    ("/api/embed", "ollama", "embed"),
    ("/api/embeddings", "ollama-embeddings", "embed"),
)
"""Paths whose whole request stands in the body: path, dialect, operation."""
EXPLAIN = "/v1/explain"
GENERATE = "/api/v1/generate"
MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"
"""Where responses are made; below it, kept ones are found again."""
BATCHED: dict[str, Operation] = {
    **{path: operation for path, dialect, operation in CALLS if dialect == "openai"},
    RESPONSES: "chat",
}
"""Paths that the lines of a batch may ask for, and their operations."""
