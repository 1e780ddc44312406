"""What Converse says a call used.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
"""

import msgspec

from aldgate.core.usage import Usage


class CacheDetail(msgspec.Struct):
    """Tokens written to the cache, to be kept for `ttl`."""

    ttl: str | None = None
    inputTokens: int | None = None


class TokenUsage(msgspec.Struct):
    """`usage` as it is sent; `inputTokens` are those that were neither read from nor written to the cache."""

    inputTokens: int | None = None
    outputTokens: int | None = None
    cacheReadInputTokens: int | None = None
    cacheWriteInputTokens: int | None = None
    cacheDetails: list[CacheDetail] | None = None


def usage_of(said: TokenUsage) -> Usage:
    """The totals; nobody is paid for figures below zero."""
    read, written = _count(said.cacheReadInputTokens), _count(said.cacheWriteInputTokens)
    for_an_hour = sum(_count(detail.inputTokens) for detail in said.cacheDetails or () if detail.ttl == "1h")
    return Usage(
        input_tokens=_count(said.inputTokens) + read + written,
        output_tokens=_count(said.outputTokens),
        cached_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(for_an_hour, written),
    )


def _count(tokens: int | None) -> int:
    return max(tokens or 0, 0)
