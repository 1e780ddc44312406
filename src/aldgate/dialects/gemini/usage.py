"""`usageMetadata`, read and written (https://ai.google.dev/api/generate-content#UsageMetadata)."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.tiers import tier_of
from aldgate.core.usage import Usage

Tokens = int | float | None


class UsageMetadata(msgspec.Struct, rename="camel"):
    """As Gemini counts: thoughts are not among the candidates' tokens, and what tools read is not in the prompt's."""

    prompt_token_count: Tokens = None
    cached_content_token_count: Tokens = None
    candidates_token_count: Tokens = None
    thoughts_token_count: Tokens = None
    tool_use_prompt_token_count: Tokens = None
    total_token_count: Tokens = None
    service_tier: Any = None
    traffic_type: Any = None
    """Vertex's word for the tier."""

    def canonical(self) -> Usage:
        """As the ledger counts. What the total has beyond its parts is output that was not itemised."""
        given = _count(self.prompt_token_count) + _count(self.tool_use_prompt_token_count)
        thought = _count(self.thoughts_token_count)
        made = max(_count(self.candidates_token_count) + thought, _count(self.total_token_count) - given)
        tier = tier_of(self.service_tier) or tier_of(self.traffic_type)
        return Usage(given, made, min(given, _count(self.cached_content_token_count)), 0, thought, tier=tier)


def _count(tokens: float | None) -> int:
    return int(tokens) if tokens and tokens > 0 else 0


def metadata_of(usage: Usage) -> dict[str, Any]:
    """Usage in Gemini's words."""
    said = {
        "promptTokenCount": usage.input_tokens,
        "cachedContentTokenCount": usage.cached_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "totalTokenCount": usage.total_tokens,
    }
    always = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount")
    return {name: count for name, count in said.items() if count or name in always}
