"""What a provider's models cost: the operator's word first, then the public catalogue of genai-prices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from aldgate.core.prices import FREE, MILLION, Price


class PriceBook:
    """Prices of one provider's models.

    Args:
        provider: Name in the catalogue of models; overrides are looked up as `provider/model`, then `model`.
        overrides: The operator's prices.
        catalogue: The provider's name at genai-prices; empty looks nothing up.
        is_free: Models without any price cost nothing, because they run on the operator's own machine.
    """

    def __init__(self, provider: str, *, overrides: Mapping[str, Price], catalogue: str, is_free: bool) -> None:
        self._provider = provider
        self._overrides = overrides
        self._catalogue = catalogue
        self._is_free = is_free

    def price(self, model: str) -> Price | None:
        """The price of `model`, None if nobody knows it."""
        override = self._overrides.get(f"{self._provider}/{model}") or self._overrides.get(model)
        if override is not None:
            return override
        if self._catalogue == "openai" and "moderation" in model:
            return FREE  # https://platform.openai.com/docs/guides/moderation; the catalogue has no word of it
        listed = _listed_price(self._catalogue, model) if self._catalogue else None
        return listed or self.unlisted()

    def unlisted(self) -> Price | None:
        """The price of a model that is in no list."""
        return FREE if self._is_free else None


def _listed_price(provider: str, model: str) -> Price | None:
    """What genai-prices says of a model (https://github.com/pydantic/genai-prices)."""
    from genai_prices.data_snapshot import get_snapshot  # 50 ms, needed only beside a priced provider

    try:
        _, info = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    found = vars(info.get_prices(datetime.now(UTC)))
    if all(found.get(unit) is None for unit in ("input_mtok", "output_mtok", "requests_kcount")):
        return None  # sold by the hour, the character or the page, or not known: not free
    starts = {0} | {tier.start for value in found.values() for tier in getattr(value, "tiers", ())}
    price: Price | None = None
    for start in sorted(starts, reverse=True):
        price = _tier(found, start, price)
    return price


def _tier(found: Mapping[str, Any], start: int, dearer: Price | None) -> Price:
    def token_price(key: str) -> int | None:
        dollars = _at(found.get(key), start)
        return None if dollars is None else _micro(dollars)

    return Price(
        input=token_price("input_mtok") or 0,
        output=token_price("output_mtok") or 0,
        cached=token_price("cache_read_mtok"),
        cache_write=token_price("cache_write_mtok"),
        cache_write_1h=token_price("cache_write_1h_mtok"),
        request=_micro((_at(found.get("requests_kcount"), start) or Decimal(0)) * 1000),
        version=f"genai-prices {version('genai-prices')}",
        above=start,
        dearer=dearer,
        search=_micro((_at(found.get("web_searches_kcount"), start) or Decimal(0)) * 1000),
    )


def _at(dollars: Any, start: int) -> Decimal | None:
    """A flat price, or that of the tier that begins at `start`."""
    if dollars is None or isinstance(dollars, Decimal):
        return dollars
    price = dollars.base
    for tier in dollars.tiers:
        if tier.start <= start:
            price = tier.price
    return price


def _micro(dollars: Decimal) -> int:
    """Dollars per million units -> micro-dollars per million units, rounded up."""
    return math.ceil(dollars * MILLION)
