"""Prices an operator sets: dollars as people write them, exact down to the unit the ledger counts in."""

from decimal import Decimal

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.core.jobs import Price as JobPrice
from aldgate.core.prices import MILLION, Price
from aldgate.core.tiers import Tier

MAX_USD = 1_000_000
VERSION = "config"


class TierEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The figures of a service tier, as of `PriceEntry`; unset, they are the usual ones."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None


class PriceEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One price, under `[prices."provider/model"]`, of jobs `"engine/model"` or `"engine"`. Numbers or strings, read exactly."""

    input: Decimal | None = None
    """Dollars per million input tokens."""
    output: Decimal | None = None
    """Dollars per million output tokens."""
    cached_input: Decimal | None = None
    """Dollars per million input tokens read from the provider's cache; unset, what other input costs."""
    cache_write: Decimal | None = None
    """Dollars per million input tokens written to the provider's cache; unset, what other input costs."""
    cache_write_1h: Decimal | None = None
    """Dollars per million of those that are kept for an hour; unset, what `cache_write` says."""
    request: Decimal | None = None
    """Dollars per request, or per job that was done."""
    search: Decimal | None = None
    """Dollars per search of the web that the provider makes for an answer."""
    image: Decimal | None = None
    """Dollars per picture that an engine made."""
    audio_second: Decimal | None = None
    """Dollars per second of sound that an engine made or listened to."""
    gpu_second: Decimal | None = None
    """Dollars per second that an engine's device worked; unset, what the device's table says."""
    tools: Decimal | None = None
    """Dollars per request that brings tools with a fee of their own, such as `file_search`; unset, keys with a budget may not."""
    tiers: dict[Tier, TierEntry] = {}
    """What costs otherwise in a service tier (`flex`, `batch`, `priority`, `fast`): `[prices."provider/model".tiers.flex]`."""


def is_of_calls(entry: PriceEntry) -> bool:
    """Whether it says what calls of a provider cost, and not jobs alone."""
    own = {"image", "audio_second", "gpu_second", "tiers"}
    return bool(entry.tiers) or any(getattr(entry, name) is not None for name in entry.__struct_fields__ if name not in own)


def to_job_price(entry: PriceEntry | None, rate_microusd_per_s: int) -> JobPrice:
    """What jobs of an engine cost.

    Args:
        entry: What was said of the engine or its model, if anything was.
        rate_microusd_per_s: What a second of its device costs where nothing else was said.

    Raises:
        ConfigError: As of `to_price`.
    """
    rate = rate_microusd_per_s * MILLION
    if entry is None:
        return JobPrice(gpu_second=rate, version="device" if rate else "free")
    gpu_second = _micro("gpu_second", entry.gpu_second, MILLION * MILLION)
    return JobPrice(
        gpu_second=rate if gpu_second is None else gpu_second,
        image=_micro("image", entry.image, MILLION * MILLION) or 0,
        audio_second=_micro("audio_second", entry.audio_second, MILLION * MILLION) or 0,
        job=_micro("request", entry.request, MILLION * MILLION) or 0,
        version=VERSION,
    )


def to_price(entry: PriceEntry) -> Price:
    """The price as the ledger counts it, in micro-dollars per million units.

    Raises:
        ConfigError: A figure is negative, not finite, beyond 10^6 dollars or finer than the ledger's unit, or there is none.
    """
    if entry == PriceEntry(tiers=entry.tiers):
        raise ConfigError("a price has no figures", hint="write `input = 0` for a model that is free")
    return Price(
        input=_micro("input", entry.input, MILLION) or 0,
        output=_micro("output", entry.output, MILLION) or 0,
        cached=_micro("cached_input", entry.cached_input, MILLION),
        cache_write=_micro("cache_write", entry.cache_write, MILLION),
        cache_write_1h=_micro("cache_write_1h", entry.cache_write_1h, MILLION),
        request=_micro("request", entry.request, MILLION * MILLION) or 0,
        version=VERSION,
        search=_micro("search", entry.search, MILLION * MILLION) or 0,
        tools=_micro("tools", entry.tools, MILLION * MILLION),
        tiers=tuple((tier, to_price(_over(figures, entry))) for tier, figures in sorted(entry.tiers.items())),
    )


def _over(figures: TierEntry, usual: PriceEntry) -> PriceEntry:
    """The whole price of a tier."""
    said = {name: value for name, value in msgspec.structs.asdict(figures).items() if value is not None}
    return msgspec.structs.replace(usual, tiers={}, **said)


def _micro(name: str, usd: Decimal | None, scale: int) -> int | None:
    """Dollars times `scale`, which must come out whole."""
    if usd is None:
        return None
    if not usd.is_finite() or not 0 <= usd <= MAX_USD:
        raise ConfigError(f"`{name}` is not an amount from 0 to {MAX_USD} dollars", hint="write dollars, like `input = 2.50`")
    digits = len(str(scale)) - 1
    exponent = usd.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > digits:
        raise ConfigError(f"`{name}` has more than {digits} decimals", hint="round it; finer amounts cannot be billed")
    return int(usd * scale)
