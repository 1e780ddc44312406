"""The provider of Anthropic's wire: where it sends what, and what it makes of the models that are listed."""

from __future__ import annotations

from typing import Any

import pytest

from aldgate.config.settings import Upstream
from aldgate.core.calls import Attempt
from aldgate.core.errors import UpstreamAuth, UpstreamInvalid, UpstreamOverloaded
from aldgate.core.prices import FREE
from aldgate.core.routes import Facts
from aldgate.ports import CountsTokens
from aldgate.providers.anthropic import Anthropic
from aldgate.providers.finding import in_environment
from aldgate.providers.prices import PriceBook
from aldgate.providers.section import Surroundings, build_provider
from aldgate.testing.upstream import FakeUpstream, Reply, Step, anthropic, wire

pytestmark = pytest.mark.anyio

ENVIRONMENT = {"LAB_KEY": "sk-lab"}
CLAUDES = Reply(models=("claude-opus-5", "claude-haiku-4-5", "claude-opus-4-6"))


def build(base_url: str = "", **table: Any) -> Anthropic:
    surroundings = Surroundings(Upstream(), 1_000_000, ENVIRONMENT)
    provider = build_provider(
        "claude", {"kind": "anthropic", "base_url": base_url, "api_key": "env:LAB_KEY", **table}, "file", surroundings
    )
    assert isinstance(provider, Anthropic) and isinstance(provider, CountsTokens)
    return provider


def raw(data: bytes) -> Step:
    return Step("raw", lambda asked: iter([data]))


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "LLM_API_ANTHROPIC_API_KEY"])
def test_a_key_in_the_environment_adds_it(name: str) -> None:
    environment = {name: "sk-ant"}
    ((kind, table),) = in_environment(environment, []).items()
    found = build_provider(kind, table, "environment", Surroundings(Upstream(), 1024, environment))
    assert (found.name, found.pools[0].origin.host, found.pools[0].origin.is_tls) == ("anthropic", "api.anthropic.com", True)


@pytest.mark.parametrize(
    ("path", "sent"), [("", "/v1/messages"), ("/v1", "/v1/messages"), ("/anthropic/", "/anthropic/v1/messages")]
)
async def test_any_address_will_do_with_or_without_the_version(path: str, sent: str) -> None:
    async with FakeUpstream() as upstream:
        provider = build(upstream.url.removesuffix("/v1") + path)
        deployment = provider.unlisted()
        assert deployment.accepts_any
        found = (await build(upstream.url, models=["m"]).discover()).deployments[0]
        reply = await provider.start(Attempt("req-1", "chat", found, b"{}", False, "anthropic", b"anthropic-beta: x\r\n"))
        reply.close()
        await provider.aclose()
        seen = upstream.requests[0]
        assert (seen.method, seen.path, seen.body) == ("POST", sent, b"{}")
        lines = [seen.header(name) for name in ("x-api-key", "anthropic-version", "anthropic-beta", "accept-encoding")]
        assert lines == ["sk-lab", "2023-06-01", "x", "identity"]


async def test_listed_models_bring_their_facts_and_retired_ones_stay_away() -> None:
    async with FakeUpstream(reply=CLAUDES) as upstream:
        provider = build(upstream.url)
        source = await provider.discover()
        await provider.aclose()
    assert [deployment.model for deployment in source.deployments] == list(CLAUDES.models)
    assert source.accepts_any
    can, cannot = frozenset({"vision"}), frozenset({"documents"})
    assert source.deployments[0].facts == Facts(context_window=200_000, max_output=64_000, can=can, cannot=cannot)
    listed = b'{"data":[{"id":"old","lifecycle":"retired"},{"id":"new","retires_at":"2027-01-02T00:00:00Z"}],"has_more":false}'
    async with FakeUpstream() as upstream:
        upstream.script(raw(wire.whole(listed)))
        provider = build(upstream.url)
        (new,) = (await provider.discover()).deployments
        await provider.aclose()
    assert (new.model, new.facts) == ("new", Facts(ends_on="2027-01-02"))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (wire.whole(b"[]"), UpstreamInvalid),
        (wire.whole(b"<html>"), UpstreamInvalid),
        (wire.whole(b'{"data":[{"id":"a"}],"has_more":true,"last_id":"a b\\r\\nx: y"}'), UpstreamInvalid),
        (anthropic.refusal(401, "authentication_error", "no"), UpstreamAuth),
        (anthropic.refusal(529, "overloaded_error", "busy"), UpstreamOverloaded),
    ],
)
async def test_what_is_no_list_or_no_count_is_an_error(answer: bytes, kind: type[Exception]) -> None:
    async with FakeUpstream() as upstream:
        provider = build(upstream.url)
        upstream.script(raw(answer), raw(answer))
        with pytest.raises(kind):
            await provider.discover()
        with pytest.raises(kind):
            await provider.count_tokens(b"{}", b"")
        await provider.aclose()


async def test_a_list_without_end_is_given_up() -> None:
    async with FakeUpstream(default=raw(wire.whole(b'{"data":[{"id":"a"}],"has_more":true,"last_id":"a"}'))) as upstream:
        provider = build(upstream.url)
        assert len(await provider.list_models()) == 20
        await provider.aclose()


def test_f1_prices_tell_writes_for_five_minutes_from_those_for_an_hour() -> None:
    """The public catalogue knows both, and so does the bill."""
    price = PriceBook("anthropic", is_free=False).price("claude-opus-5")
    assert price is not None
    assert (price.input, price.cached, price.cache_write, price.cache_write_1h) == (5_000_000, 500_000, 6_250_000, 10_000_000)


def test_a_local_server_costs_nothing() -> None:
    assert build("http://127.0.0.1:9", models=["m"]).unlisted().deployments[0].price == FREE
    assert build("https://host.example", models=["m"]).unlisted().deployments[0].price is None
