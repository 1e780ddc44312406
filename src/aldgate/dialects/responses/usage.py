"""Usage in the words of Responses: the details are always there, as strict clients demand.

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.usage import Usage

Tokens = int | float | None


class _WriteDetails(msgspec.Struct):
    ttl_12h_tokens: Tokens = None


class _InputDetails(msgspec.Struct):
    cached_tokens: Tokens = None
    cache_write_tokens: Tokens = None
    cache_write_tokens_details: _WriteDetails | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: Tokens = None


class UsageBody(msgspec.Struct):
    """`usage` as a provider writes it."""

    input_tokens: Tokens = None
    output_tokens: Tokens = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None

    def canonical(self) -> Usage:
        """As the ledger counts."""
        details, output = self.input_tokens_details or _InputDetails(), self.output_tokens_details or _OutputDetails()
        long = details.cache_write_tokens_details or _WriteDetails()
        return Usage(
            _count(self.input_tokens),
            _count(self.output_tokens),
            _count(details.cached_tokens),
            _count(details.cache_write_tokens),
            _count(output.reasoning_tokens),
            cache_write_1h_tokens=_count(long.ttl_12h_tokens),
        )


def _count(tokens: float | None) -> int:
    """A figure of a provider's; below nothing is nonsense that must not pay anybody's bill."""
    return int(tokens) if tokens and tokens > 0 else 0


def usage_of(usage: Usage) -> dict[str, Any]:
    """Usage for a caller."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
