"""What Cohere bills (https://docs.cohere.com/docs/how-does-cohere-pricing-work)."""

from __future__ import annotations

import msgspec

from aldgate.core.usage import Usage

Count = int | float | None
"""Cohere counts in `12.0`."""


class _Units(msgspec.Struct):
    input_tokens: Count = None
    output_tokens: Count = None
    search_units: Count = None


class UsageBody(msgspec.Struct):
    """`usage` of a chat, and `meta` of other answers: what is billed, which leaves out tokens that Cohere adds by itself."""

    billed_units: _Units | None = None
    tokens: _Units | None = None
    cached_tokens: Count = None

    def canonical(self) -> Usage | None:
        """As the ledger counts; None where nothing was counted."""
        units = self.billed_units or self.tokens
        if units is None:
            return None
        given = _count(units.input_tokens)
        return Usage(
            input_tokens=given,
            output_tokens=_count(units.output_tokens),
            cached_tokens=min(given, _count(self.cached_tokens)),
            requests=1 if units.search_units is None else _count(units.search_units),
        )


def _count(figure: float | None) -> int:
    return int(figure) if figure and figure > 0 else 0
