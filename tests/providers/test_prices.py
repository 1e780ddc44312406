from datetime import UTC, datetime, time
from decimal import Decimal

import pytest
from genai_prices.data_snapshot import get_snapshot

from aldgate.core.prices import FREE, MILLION
from aldgate.core.usage import Usage
from aldgate.providers.prices import PriceBook


def book(provider: str, *, catalogue: str | None = None, is_free: bool = False) -> PriceBook:
    return PriceBook(provider if catalogue is None else catalogue, is_free=is_free)


def test_what_nobody_knows_has_no_price_unless_it_runs_here() -> None:
    assert book("openai").price("made-up-model") is None
    assert book("openai").unlisted() is None
    assert book("ollama", catalogue="", is_free=True).price("llama") is FREE
    assert book("lab", catalogue="").price("gpt-4.1") is None


def test_a_listed_price_is_dollars_per_million_to_the_micro_dollar() -> None:
    price = book("openai").price("gpt-4.1")
    assert price is not None
    assert (price.input, price.output, price.cached) == (2 * MILLION, 8 * MILLION, MILLION // 2)
    assert price.cost(Usage(1_000_000, 1_000_000)) == 10 * MILLION


def test_what_is_sold_in_other_units_is_not_free() -> None:
    for provider, model in (("openai", "whisper-1"), ("openai", "tts-1"), ("mistral", "mistral-ocr-2503")):
        found = get_snapshot().find_provider_model(model, None, provider, None)[1].get_prices(datetime.now(UTC))
        assert found.input_mtok is None and found.output_mtok is None
        assert book(provider).price(model) is None


@pytest.mark.parametrize("provider", ["openai", "groq", "mistral", "deepseek", "openrouter", "x-ai", "google", "anthropic"])
def test_every_price_of_the_catalogue_is_read(provider: str) -> None:
    noon = datetime.combine(datetime.now(UTC), time(12), UTC)  # some are cheaper by night; a price is that of the day
    (listed,) = [each for each in get_snapshot().providers if each.id == provider]
    seen = 0
    for model in listed.models:
        price = book(provider).price(model.id)
        if price is None:
            continue
        seen += 1
        figures = model.get_prices(noon)
        if isinstance(figures.input_mtok, Decimal):
            assert 0 <= price.input - figures.input_mtok * MILLION < 1
        while price.dearer is not None:  # bounds count on it: no tier is cheaper than the one before
            assert price.above < price.dearer.above
            for name in ("input", "output", "cached", "cache_write", "request"):
                assert (getattr(price, name) or 0) <= (getattr(price.dearer, name) or 0), model.id
            price = price.dearer
    assert seen
