import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.prices import FREE, Price
from aldgate.core.tiers import DEARER, TIERS, asked_tier, tier_of
from aldgate.core.usage import Usage

PRICE = Price(2_000_000, 8_000_000, tiers=(("flex", Price(1_000_000, 4_000_000)), ("priority", Price(4_000_000, 16_000_000))))


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ("flex", "flex"),
        ("fast", "priority"),
        ("priority", "priority"),
        ("SERVICE_TIER_FLEX", "flex"),
        ("ON_DEMAND_PRIORITY", "priority"),
        ("default", ""),
        ("on_demand", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_what_providers_call_a_tier(said: object, tier: str) -> None:
    assert tier_of(said) == tier


@pytest.mark.parametrize(
    ("body", "tier"),
    [
        (b'{"model":"m"}', ""),
        (b'{"service_tier": "flex"}', "flex"),
        (b'{"service_tier":"auto"}', ""),
        (b'{"serviceTier":"PRIORITY"}', "priority"),
        (b'{"service_tier":"flex","service_tier":"priority"}', "priority"),
        (b'{"service_\\u0074ier":"priority"}', "priority"),
        (b'{"service_tier":"\\u0070riority"}', "priority"),
        (b'{"speed":"fast"}', "fast"),
        (b'{"sp\\u0065ed":"fast"}', "fast"),
        (b'[{"\\u0061":1}]', ""),
        (b'{"\\u00"', ""),
    ],
)
def test_what_a_request_asks_for(body: bytes, tier: str) -> None:
    assert asked_tier(body) == tier


@given(st.sampled_from(["flex", "batch", "priority"]), st.text())
def test_what_callers_say_is_not_what_they_ask_for(tier: str, text: str) -> None:
    quoted = json.dumps({"messages": [{"role": "user", "content": f'{text}"service_tier": "{tier}"'}]})
    assert asked_tier(quoted.encode()) == ""


@given(st.sampled_from(sorted(TIERS) + [""]), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_bound_covers_the_tier_and_the_usual_price(tier: str, given_tokens: int, made: int) -> None:
    bound = PRICE.bound(given_tokens, made, tier=tier)
    assert bound >= PRICE.cost(Usage(given_tokens, made, tier=tier))
    assert bound >= PRICE.cost(Usage(given_tokens, made))


@given(st.sampled_from(["", "flex", "priority"]), st.integers(0, 10**6), st.integers(0, 10**5))
def test_what_is_affordable_is_paid_for(tier: str, microusd: int, given_tokens: int) -> None:
    output = PRICE.affordable_output(microusd, Usage(given_tokens, tier=tier))
    assert output is not None
    if output:
        assert PRICE.cost(Usage(given_tokens, output, tier=tier)) <= microusd


def test_a_dearer_tier_needs_a_figure_of_its_own() -> None:
    flat = Price(2_000_000, 8_000_000)
    assert PRICE.covers("priority") and not PRICE.covers("fast")
    assert all(FREE.covers(tier) for tier in DEARER)
    assert not any(flat.covers(tier) for tier in DEARER) and flat.covers("flex") and flat.covers("")
    assert flat.cost(Usage(10, 5, tier="priority")) == flat.cost(Usage(10, 5))
