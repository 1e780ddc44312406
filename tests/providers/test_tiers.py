from aldgate.core.usage import Usage
from aldgate.providers.prices import PriceBook


def test_flex_is_half_at_openai_and_google() -> None:
    for catalogue, model in (("openai", "gpt-5"), ("google", "gemini-2.5-pro")):
        price = PriceBook(catalogue, is_free=False).price(model)
        assert price is not None
        usual, flex = price.cost(Usage(300_000, 1_000_000)), price.cost(Usage(300_000, 1_000_000, tier="flex"))
        assert abs(2 * flex - usual) <= 2


def test_priority_is_what_openais_page_says() -> None:
    for model in ("gpt-5", "gpt-5-2025-08-07"):
        price = PriceBook("openai", is_free=False).price(model)
        assert price is not None and price.covers("priority")
        assert price.cost(Usage(1_000_000, 1_000_000, tier="priority")) == 22_500_000
    other = PriceBook("openai", is_free=False).price("gpt-4o")
    assert other is not None and not other.covers("priority")


def test_elsewhere_no_tier_is_known() -> None:
    price = PriceBook("anthropic", is_free=False).price("claude-opus-4-5")
    assert price is not None and price.tiers == ()


def test_openais_searches_of_the_web_cost_a_cent() -> None:
    price = PriceBook("openai", is_free=False).price("gpt-5")
    assert price is not None and price.cost(Usage(searches=3)) - price.cost(Usage()) == 30_000
