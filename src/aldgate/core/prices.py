"""Money in whole micro-dollars.

A price is stored as micro-dollars per million units, so that the cheapest token on the market is still a whole number and a
cost is one integer sum, rounded up once per call.
"""

import msgspec

from aldgate.core.tiers import DEARER
from aldgate.core.usage import Usage

MILLION = 1_000_000


class Price(msgspec.Struct, frozen=True):
    """What a deployment charges.

    Attributes:
        input: Micro-dollars per million uncached input tokens; so are the other token prices.
        request: Micro-dollars per million requests.
        search: Micro-dollars per million searches of the web.
        tools: Micro-dollars per million requests that bring tools of the provider with a fee of their own; None: nobody knows.
        version: Names the price list this came from; stored with each ledger row.
        above: This price holds for calls with more input tokens than this.
        dearer: The price of the next tier of input length, if there is one.
        tiers: The price in each service tier that another one is known for.
    """

    input: int = 0
    output: int = 0
    cached: int | None = None
    """None: cached tokens cost what other input costs."""
    cache_write: int | None = None
    """None: written tokens cost what other input costs."""
    cache_write_1h: int | None = None
    """None: what is kept for an hour costs what other written tokens cost."""
    request: int = 0
    version: str = "free"
    above: int = 0
    dearer: "Price | None" = None
    search: int = 0
    tools: int | None = None
    tiers: tuple[tuple[str, "Price"], ...] = ()

    def of(self, tier: str) -> "Price":
        """The price in a service tier; the usual one where no other is known."""
        return next((price for name, price in self.tiers if name == tier), self) if tier else self

    def covers(self, tier: str) -> bool:
        """Whether a call in this tier costs what is known, or less."""
        return tier not in DEARER or self.of(tier) is not self or not (self.input or self.output or self.request)

    @property
    def covers_tools(self) -> bool:
        """Whether it is known what tools with a fee of their own cost."""
        return self.tools is not None or not (self.input or self.output or self.request)

    def at(self, input_tokens: int) -> "Price":
        """The price of a call with so many input tokens: providers charge the whole call by the tier it falls in."""
        price = self
        while price.dearer is not None and input_tokens > price.dearer.above:
            price = price.dearer
        return price

    def cost(self, usage: Usage) -> int:
        """Micro-dollars for `usage`, rounded up to the next whole one."""
        price = self.of(usage.tier) if usage.tier else self
        price = price if price.dearer is None else price.at(usage.input_tokens)
        total = usage.output_tokens * price.output + usage.requests * price.request + usage.searches * price.search
        if usage.tools:
            total += usage.tools * (price.tools or 0)
        if usage.cached_tokens or usage.cache_write_tokens:
            total += price._cached_input(usage)
        else:
            total += usage.input_tokens * price.input
        return -(-total // MILLION)

    def _cached_input(self, usage: Usage) -> int:
        """What input costs of which some was cached before, or is now."""
        cached = min(usage.cached_tokens, usage.input_tokens)
        written = min(usage.cache_write_tokens, usage.input_tokens - cached)
        kept = min(usage.cache_write_1h_tokens, written)
        write = self.input if self.cache_write is None else self.cache_write
        return (
            (usage.input_tokens - cached - written) * self.input
            + cached * (self.input if self.cached is None else self.cached)
            + (written - kept) * write
            + kept * (write if self.cache_write_1h is None else self.cache_write_1h)
        )

    def bound(self, input_tokens: int, output_tokens: int, requests: int = 1, tier: str = "", tools: int = 0) -> int:
        """The most that so much can cost, whichever way its input turns out to be cached, and where its tier is not served."""
        if tier and (special := self.of(tier)) is not self:
            usual = self.bound(input_tokens, output_tokens, requests, tools=tools)
            return max(usual, special.bound(input_tokens, output_tokens, requests, tools=tools))
        price = self if self.dearer is None else self.at(input_tokens)
        return -(-(price._dearest_input(input_tokens, requests, tools) + output_tokens * price.output) // MILLION)

    def _dearest_input(self, input_tokens: int, requests: int, tools: int) -> int:
        dearest = max(self.input, self.cached or 0, self.cache_write or 0, self.cache_write_1h or 0)
        return input_tokens * dearest + requests * self.request + tools * (self.tools or 0)

    def affordable_output(self, microusd: int, usage: Usage) -> int | None:
        """Output tokens that `microusd` still pays for after the input and requests of `usage`; None if output is free."""
        if (special := self.of(usage.tier)) is not self:
            usual = msgspec.structs.replace(usage, tier="")
            found = [each.affordable_output(microusd, usual) for each in (self, special)]
            return min((output for output in found if output is not None), default=None)
        price = self.at(usage.input_tokens)
        if not price.output:
            return None
        return max(
            0, (microusd * MILLION - price._dearest_input(usage.input_tokens, usage.requests, usage.tools)) // price.output
        )


FREE = Price()
