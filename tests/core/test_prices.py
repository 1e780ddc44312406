from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.prices import FREE, MILLION, Price
from aldgate.core.usage import Usage

amounts = st.one_of(st.integers(0, 5), st.integers(0, 10**12))
tokens = st.one_of(st.integers(0, 60), st.integers(0, 10**9))


@st.composite
def prices(draw: st.DrawFn) -> Price:
    """A price with up to three tiers, each at least as dear as the one before."""
    cached, written = draw(st.none() | amounts), draw(st.none() | amounts)
    price = Price(draw(amounts), draw(amounts), cached, written, draw(amounts))
    dearer = [price]
    for start in sorted(draw(st.sets(st.integers(1, 100), max_size=2))):
        last, more = dearer[-1], draw(amounts)
        figures = {name: getattr(last, name) and getattr(last, name) + more for name in ("cached", "cache_write", "request")}
        dearer.append(Price(last.input + more, last.output + draw(amounts), **figures, above=start))
    while len(dearer) > 1:
        last = dearer.pop()
        dearer[-1] = msgspec.structs.replace(dearer[-1], dearer=last)
    return dearer[0]


def exact(price: Price, usage: Usage) -> Fraction:
    """What a usage whose parts add up costs, in micro-dollars, by the tier it falls in."""
    tier = max((each for each in tiers(price) if not each.above or usage.input_tokens > each.above), key=lambda each: each.above)
    plain = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    cached = tier.input if tier.cached is None else tier.cached
    written = tier.input if tier.cache_write is None else tier.cache_write
    total = plain * tier.input + usage.cached_tokens * cached + usage.cache_write_tokens * written
    return Fraction(total + usage.output_tokens * tier.output + usage.requests * tier.request, MILLION)


def test_searches_cost_their_own_price() -> None:
    assert Price(input=MILLION, search=10_000 * MILLION).cost(Usage(7, searches=3)) == 7 + 30_000


def tiers(price: Price) -> list[Price]:
    return [price, *(tiers(price.dearer) if price.dearer else [])]


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    cached, written = draw(tokens), draw(tokens)
    return Usage(cached + written + draw(tokens), draw(tokens), cached, written, requests=draw(st.integers(0, 2)))


@given(prices(), usages())
def test_a_cost_is_exact_and_rounded_up_once(price: Price, usage: Usage) -> None:
    cost = price.cost(usage)
    assert 0 <= cost - exact(price, usage) < 1


@given(prices(), usages(), tokens, tokens)
def test_the_bound_covers_whatever_the_call_turns_out_to_use(price: Price, used: Usage, more_in: int, more_out: int) -> None:
    bound = price.bound(used.input_tokens + more_in, used.output_tokens + more_out, used.requests)
    assert bound >= price.cost(used)


@given(prices(), st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_parts_that_do_not_add_up_are_within_the_bound_all_the_same(price: Price, given_: int, cached: int, written: int) -> None:
    odd = Usage(given_, 3, cached, written)
    assert 0 <= price.cost(odd) <= price.bound(given_, 3)


@given(prices(), st.integers(0, 10**9), st.integers(0, 200), st.integers(0, 2))
def test_affordable_output_is_all_that_the_money_pays_for(price: Price, microusd: int, given_: int, requests: int) -> None:
    fixed = Usage(input_tokens=given_, requests=requests)
    output = price.affordable_output(microusd, fixed)
    if output is None:
        assert price.bound(given_, 10**9, requests) == price.bound(given_, 0, requests)
        return
    assert output >= 0
    assert price.bound(given_, output + 1, requests) > microusd
    if output:
        assert price.bound(given_, output, requests) <= microusd


def test_tiers_hold_for_the_whole_call_and_begin_above_their_mark() -> None:
    price = Price(input=1 * MILLION, output=2 * MILLION, dearer=Price(input=3 * MILLION, output=4 * MILLION, above=100))
    assert price.cost(Usage(100, 1)) == 102
    assert price.cost(Usage(101, 1)) == 307
    assert price.at(100) is price and price.at(101) is price.dearer


def test_free_is_free() -> None:
    assert FREE.cost(Usage(10**9, 10**9)) == FREE.bound(10**9, 10**9) == 0
    assert FREE.affordable_output(0, Usage(10**9)) is None
