"""What service tiers cost where the provider's own pages say it and the public catalogue does not."""

from __future__ import annotations

import re

import msgspec

from aldgate.core.prices import MILLION, Price

_HALF = frozenset({"openai", "google"})
"""Flex and batch are half of everything (https://developers.openai.com/api/docs/guides/flex-processing,
https://ai.google.dev/gemini-api/docs/optimization)."""
_PRIORITY: dict[str, tuple[float, float, float]] = {
    "gpt-5.5": (12.5, 1.25, 75),
    "gpt-5.4": (5, 0.5, 30),
    "gpt-5.4-mini": (1.5, 0.15, 9),
    "gpt-5.2": (3.5, 0.35, 28),
    "gpt-5.1": (2.5, 0.25, 20),
    "gpt-5.1-codex": (2.5, 0.25, 20),
    "gpt-5": (2.5, 0.25, 20),
    "gpt-5-codex": (2.5, 0.25, 20),
    "gpt-5-mini": (0.45, 0.045, 3.6),
    "gpt-4.1": (3.5, 0.875, 14),
}
"""Dollars per million tokens of input, cached input and output (https://openai.com/api-priority-processing/); long inputs are not
served so."""
_DATED = re.compile(r"-20\d\d-\d\d-\d\d$")


def with_tiers(price: Price, catalogue: str, model: str) -> Price:
    """The price with those of its service tiers, as far as they are known."""
    found: list[tuple[str, Price]] = []
    if catalogue in _HALF:
        found += [("batch", _halved(price)), ("flex", _halved(price))]
    if catalogue == "openai" and (figures := _PRIORITY.get(_DATED.sub("", model))) is not None:
        given, cached, made = (round(dollars * MILLION) for dollars in figures)
        priority = msgspec.structs.replace(price, input=given, cached=cached, output=made, cache_write=None, dearer=None)
        found.append(("priority", priority))
    return msgspec.structs.replace(price, tiers=tuple(found)) if found else price


def _halved(price: Price) -> Price:
    def half(figure: int | None) -> int | None:
        return None if figure is None else -(-figure // 2)

    return msgspec.structs.replace(
        price,
        input=half(price.input) or 0,
        output=half(price.output) or 0,
        cached=half(price.cached),
        cache_write=half(price.cache_write),
        cache_write_1h=half(price.cache_write_1h),
        dearer=None if price.dearer is None else _halved(price.dearer),
    )
