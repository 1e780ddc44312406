"""Usage as Anthropic counts it, and as the ledger does.

On the wire `input_tokens` is only what no cache was involved in; written and read tokens stand beside it
(https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance).
Here they are part of the input.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.usage import Usage

Tokens = int | float | None
"""Some servers count in `12.0`."""
_OF_THE_OUTPUT = ("output_tokens", "output_tokens_details", "server_tool_use")


class CacheCreation(msgspec.Struct):
    """Written tokens by how long they are kept."""

    ephemeral_5m_input_tokens: Tokens = None
    ephemeral_1h_input_tokens: Tokens = None


class OutputDetails(msgspec.Struct):
    """What the output was spent on."""

    thinking_tokens: Tokens = None


class ServerTools(msgspec.Struct):
    """What Anthropic's own tools did, which is charged beside the tokens."""

    web_search_requests: Tokens = None


class WireUsage(msgspec.Struct):
    """`usage` of a message, of `message_start` or of `message_delta`; what the latter says replaces the former."""

    input_tokens: Tokens = None
    output_tokens: Tokens = None
    cache_creation_input_tokens: Tokens = None
    cache_read_input_tokens: Tokens = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: ServerTools | None = None
    service_tier: Any = None
    speed: Any = None
    """`fast` costs a multiple (https://platform.claude.com/docs/en/build-with-claude/fast-mode)."""

    def replaced_by(self, later: WireUsage) -> WireUsage:
        """What holds after a later report: all figures are totals, none is ever added to another.

        A prompt has at least one token, so a report whose input is nothing at all says nothing of the input.
        """
        names = self.__struct_fields__ if later.prompt_tokens else _OF_THE_OUTPUT
        said = {name: value for name in names if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **said)

    @property
    def prompt_tokens(self) -> int:
        """All of the input."""
        return _count(self.input_tokens) + self._written() + _count(self.cache_read_input_tokens)

    def _written(self) -> int:
        split = self.cache_creation or CacheCreation()
        parts = _count(split.ephemeral_5m_input_tokens) + _count(split.ephemeral_1h_input_tokens)
        return parts if self.cache_creation_input_tokens is None else _count(self.cache_creation_input_tokens)

    def canonical(self) -> Usage:
        """As the ledger counts."""
        written = self._written()
        kept = _count(self.cache_creation.ephemeral_1h_input_tokens) if self.cache_creation else 0
        return Usage(
            input_tokens=self.prompt_tokens,
            output_tokens=_count(self.output_tokens),
            cached_tokens=_count(self.cache_read_input_tokens),
            cache_write_tokens=written,
            reasoning_tokens=_count(self.output_tokens_details.thinking_tokens) if self.output_tokens_details else 0,
            cache_write_1h_tokens=min(kept, written),
            tier="fast" if self.speed == "fast" else "batch" if self.service_tier == "batch" else "",
            searches=_count(self.server_tool_use.web_search_requests) if self.server_tool_use else 0,
        )


def _count(tokens: float | None) -> int:
    """A figure of a provider's; below nothing is nonsense that must not pay anybody's bill."""
    return int(tokens) if tokens and tokens > 0 else 0


def write_usage(usage: Usage | None) -> dict[str, Any]:
    """`usage` of a message."""
    usage = usage or Usage()
    kept = usage.cache_write_1h_tokens
    written: dict[str, Any] = {
        "input_tokens": max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens - kept,
            "ephemeral_1h_input_tokens": kept,
        },
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return written
