"""What a provider's models cost by the public catalogue of genai-prices. The operator's word beats it (`core/overrides.py`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from aldgate.core.prices import FREE, MILLION, Price
from aldgate.core.routes import UNKNOWN, Facts
from aldgate.providers.tiers import with_tiers

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo


_SEARCHES = {"openai": Decimal(10)}
"""Dollars per thousand searches of the web where the catalogue says nothing (https://platform.openai.com/docs/pricing); what the
older preview tool charges beyond that for models that do not think is not told by answers."""


class PriceBook:
    """Prices of one provider's models.

    Args:
        catalogue: The provider's name at genai-prices; empty looks nothing up.
        is_free: Models without any price cost nothing, because they run on the operator's own machine.
    """

    def __init__(self, catalogue: str, *, is_free: bool) -> None:
        self._catalogue = catalogue
        self._is_free = is_free

    def price(self, model: str) -> Price | None:
        """The price of `model`, None if nobody knows it."""
        if self._catalogue == "openai" and "moderation" in model:
            return FREE  # https://platform.openai.com/docs/guides/moderation; the catalogue has no word of it
        listed = _listed_price(self._catalogue, model, datetime.now(UTC).date()) if self._catalogue else None
        return listed or self.unlisted()

    def facts(self, model: str, told: Facts = UNKNOWN) -> Facts:
        """What the provider `told` of `model`, and where it said nothing, what the catalogue says."""
        info = _find(self._catalogue, model) if self._catalogue else None
        if info is None:
            return told
        return told.over(Facts(context_window=info.context_window or None, is_deprecated=bool(info.deprecated)))

    def unlisted(self) -> Price | None:
        """The price of a model that is in no list."""
        return FREE if self._is_free else None


@lru_cache(maxsize=20_000)  # each is asked for its price and for its facts
def _find(provider: str, model: str) -> ModelInfo | None:
    from genai_prices.data_snapshot import get_snapshot  # 50 ms, needed only beside a priced provider

    try:
        return get_snapshot().find_provider_model(model, None, provider, None)[1]
    except LookupError:
        return None


@lru_cache(maxsize=20_000)
def _listed_price(provider: str, model: str, today: date) -> Price | None:
    """What genai-prices says of a model today (https://github.com/pydantic/genai-prices).

    To find one takes some 50 µs; providers list thousands, and are asked for their lists every few minutes.
    """
    info = _find(provider, model)
    if info is None:
        return None
    found = vars(info.get_prices(datetime.combine(today, time(12), UTC)))
    if found.get("web_searches_kcount") is None:
        found = {**found, "web_searches_kcount": _SEARCHES.get(provider)}
    if all(found.get(unit) is None for unit in ("input_mtok", "output_mtok", "requests_kcount")):
        return None  # sold by the hour, the character or the page, or not known: not free
    starts = {0} | {tier.start for value in found.values() for tier in getattr(value, "tiers", ())}
    price: Price | None = None
    for start in sorted(starts, reverse=True):
        price = _tier(found, start, price)
    return price and with_tiers(price, provider, model)


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
