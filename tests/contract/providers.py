"""The providers: how each is configured in front of the fake upstream, and what its wire tells of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aldgate.testing.upstream import FakeUpstream
from tests.contract.dialects import anthropic, cohere, converse, gemini, ollama, openai, responses
from tests.contract.neutral import Ask, Object

CLAUDE = "claude-opus-4-6"
GEMINI = "gemini-3.8-flash"
BEDROCK = "eu.anthropic.claude-opus-4-6-v1:0"


@dataclass(frozen=True)
class Provider:
    """A provider.

    Attributes:
        path: Of its base URL.
        more_models: For operations that are no chat.
    """

    kind: str
    model: str
    path: str = "/v1"
    table: tuple[tuple[str, Any], ...] = ()
    more_models: tuple[str, ...] = ()

    def configured(self, upstream: FakeUpstream) -> dict[str, Any]:
        """Its table."""
        same = {"kind": self.kind, "base_url": f"http://127.0.0.1:{upstream.port}{self.path}"}
        models = {"models": [self.model, *self.more_models]}
        return {**same, **models, **({} if self.kind.startswith("vertex") else {"api_key": "env:LAB_KEY"}), **dict(self.table)}


VERTEX = (("project", "p"), ("location", "global"), ("access_token", "env:LAB_KEY"))
PROVIDERS: dict[str, Provider] = {
    "openai-compatible": Provider("openai", "gpt-4.1", more_models=("text-embedding-3-small", "bge-reranker")),
    "openai": Provider("openai", "gpt-4.1", table=(("responses", "yes"),)),
    "responses-only": Provider("openai", "gpt-5-codex", table=(("responses", "only"),)),
    "anthropic": Provider("anthropic", CLAUDE),
    "gemini": Provider("gemini", GEMINI, "/v1beta", more_models=("gemini-embedding-001",)),
    "vertex": Provider("vertex", GEMINI, table=VERTEX, more_models=("text-embedding-005",)),
    "vertex-anthropic": Provider("vertex-anthropic", CLAUDE, table=VERTEX),
    "azure": Provider("azure", "gpt-4.1", "", table=(("api_version", "2024-10-21"),)),
    "azure-v1": Provider("azure", "gpt-4.1", ""),
    "bedrock": Provider("bedrock", BEDROCK, table=(("region", "eu-west-1"),), more_models=("cohere.embed-v4:0",)),
    "cohere": Provider("cohere", "command-a", "", more_models=("embed-v4.0", "rerank-v4.0")),
    "ollama": Provider("ollama", "qwen3:8b", "", more_models=("nomic-embed-text",)),
}

READERS = {
    "openai": openai.arrived,
    "responses": responses.arrived,
    "anthropic": anthropic.arrived,
    "gemini": gemini.arrived,
    "ollama": ollama.arrived,
    "cohere": cohere.arrived,
    "converse": converse.arrived,
}
"""What a provider was asked, by wire."""
TELL_CACHED = frozenset(READERS) - {"ollama"}
TELL_REASONING = frozenset({"openai", "responses", "anthropic", "gemini"})
"""Wires that count what was read from a cache, and what was thought."""
EMBED = {
    "openai-compatible": "text-embedding-3-small",
    "openai": "gpt-4.1",
    "gemini": "gemini-embedding-001",
    "vertex": "text-embedding-005",
    "azure": "gpt-4.1",
    "azure-v1": "gpt-4.1",
    "bedrock": "cohere.embed-v4:0",
    "cohere": "embed-v4.0",
    "ollama": "nomic-embed-text",
}
RERANK = {"openai-compatible": "bge-reranker", "cohere": "rerank-v4.0"}


def read(wire: str, body: Object) -> Ask:
    """What a provider was asked."""
    return READERS[wire](body)
