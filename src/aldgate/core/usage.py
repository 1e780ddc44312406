"""What a call used, counted in whole units."""

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Units one call used, or the most it may use.

    `input_tokens` and `output_tokens` are totals: cached and cache-written tokens are part of the input, reasoning tokens
    part of the output, as OpenAI counts them
    (https://platform.openai.com/docs/api-reference/chat/object). `requests` is what is charged per piece: calls, and for rerank
    the provider's search units.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    requests: int = 1
    cache_write_1h_tokens: int = 0
    """The part of `cache_write_tokens` that is kept for an hour or longer; Anthropic charges more for it
    (https://docs.claude.com/en/docs/build-with-claude/prompt-caching)."""
    searches: int = 0
    """Searches of the web that the provider made for the answer."""
    tools: int = 0
    """Requests that bring tools of the provider which have a fee of their own."""
    tier: str = ""
    """The service tier that is charged, in `core.tiers`' words; empty is the usual one."""
    charged_microusd: int | None = None
    """What the provider says it charged, where it does: it beats every price list."""
    served: str = ""
    """The model that answered, in the words of a provider that may send a call on to another; else empty."""

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


NOTHING = Usage(requests=0)
