"""Routes of the configuration, and the names that need none."""

import msgspec
import pytest

from aldgate.core.catalogue import build_catalogue
from aldgate.core.defaults import MOST_SEATS, Wanted, chats
from aldgate.core.limits import Limits
from aldgate.core.plans import RouteEntry, tightest
from aldgate.core.prices import FREE, MILLION, Price
from aldgate.core.routes import Catalogue, Deployment, Facts, Source


def deployment(name: str, model: str, cost: int | None = 1, cannot: frozenset[str] = frozenset()) -> Deployment:
    price = None if cost is None else Price(input=cost * MILLION, output=cost * MILLION)
    return Deployment(f"{name}/{model}", name, model, price, "file", facts=Facts(cannot=cannot))


def source(name: str, *deployments: Deployment, accepts_any: bool = False) -> Source:
    return Source(name, deployments, "file", accepts_any=accepts_any, unlisted_price=FREE)


A = source("a", deployment("a", "gpt", 2), deployment("a", "gpt-embedding", 1))
B = source("b", deployment("b", "gpt", 1), deployment("b", "mini", None))
ECHO = source("builtin", Deployment("builtin/echo", "builtin", "echo", FREE, "builtin", frozenset({"chat"})))


def build(
    routes: dict[str, object] | None = None, default: Wanted = Wanted(), aliases: dict[str, str] | None = None
) -> Catalogue:
    catalogue, problems = build_catalogue(
        [A, B, ECHO], aliases or {}, msgspec.convert(routes or {}, dict[str, RouteEntry]), default
    )
    assert problems == []
    return catalogue


def names(catalogue: Catalogue, name: str) -> list[str]:
    return [each.id for each in catalogue.resolve(name).deployments]


def test_a_route_joins_what_several_providers_call_the_same() -> None:
    tables: dict[str, object] = {
        "gpt": {"deployments": ["b/gpt", {"model": "a/gpt", "weight": 3, "priority": 1}], "strategy": "weighted", "retries": 1},
        "big": {"deployments": ["a/gpt"], "fallbacks": ["gpt", "b/mini"], "hedge_after_ms": 500, "deadline_s": 9},
    }
    catalogue = build(tables, aliases={"mine": "gpt"})
    assert names(catalogue, "gpt") == names(catalogue, "mine") == ["b/gpt", "a/gpt"]
    assert names(catalogue, "a/gpt") == ["a/gpt"] and catalogue.resolve("a/gpt").plan is None
    plan = catalogue.resolve("gpt").plan
    assert plan is not None and plan is catalogue.resolve("mine").plan
    assert (plan.stage.strategy, plan.retries) == ("weighted", 1)
    assert [(seat.weight, seat.priority) for seat in plan.stage.seats] == [(1, 0), (3, 1)]
    big = catalogue.resolve("big").plan
    assert big is not None and (big.hedge_after_s, big.deadline_s) == (0.5, 9)
    assert [each.id for each in big.deployments] == ["a/gpt", "b/gpt", "a/gpt", "b/mini"]
    assert big.fallbacks[0].strategy == "weighted", "a fallback that is a route chooses as that route does"


def test_routes_that_fall_back_on_each_other_end() -> None:
    tables: dict[str, object] = {
        "x": {"deployments": ["a/gpt"], "fallbacks": ["y"]},
        "y": {"deployments": ["b/gpt"], "fallbacks": ["x"]},
    }
    plan = build(tables).resolve("x").plan
    assert plan is not None and [each.id for each in plan.deployments] == ["a/gpt", "b/gpt"]


def test_limits_hold_for_a_deployment_on_whatever_route() -> None:
    tables: dict[str, object] = {
        "x": {"deployments": [{"model": "a/gpt", "rpm": 10, "tpm": 500}]},
        "y": {"deployments": [{"model": "a:gpt", "rpm": 5, "concurrency": 2}, "b/gpt"]},
    }
    catalogue = build(tables)
    for name in ("x", "y", "gpt", "a/gpt", "a:gpt"):
        plan = catalogue.resolve(name).plan
        assert plan is not None and plan.limits == {"a/gpt": Limits(rpm=5, tpm=500, concurrency=2)}, name
    assert catalogue.resolve("b/gpt").plan is None


def test_what_a_route_names_in_vain_is_said() -> None:
    tables = {
        "x": {"deployments": ["gone", "a/gpt"], "fallbacks": ["away"]},
        "y": {"deployments": [{"model": "gone", "rpm": 1}]},
    }
    catalogue, problems = build_catalogue([A], {}, msgspec.convert(tables, dict[str, RouteEntry]))
    assert names(catalogue, "x") == ["a/gpt"] and "y" not in catalogue.routes
    assert [problem.partition(":")[0] for problem in problems] == ["route `x`", "route `y`", "route `x`", "route `y`"]
    assert problems[-1] == "route `y`: none of its deployments exists"


def test_a_route_may_name_what_an_open_provider_did_not_list() -> None:
    hub = source("hub", accepts_any=True)
    catalogue, problems = build_catalogue([hub], {}, {"x": RouteEntry(deployments=("hub/new",))})
    assert problems == [] and names(catalogue, "x") == ["hub/new"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), "a/gpt"),
        (Wanted(provider="b"), "b/gpt"),
        (Wanted(model="mini"), "b/mini"),
        (Wanted("b", "mini"), "b/mini"),
    ],
)
def test_default_is_what_was_said_or_the_first_that_chats(wanted: Wanted, found: str) -> None:
    assert names(build(default=wanted), "default") == [found]


def test_a_default_that_is_not_there_is_said_and_does_without() -> None:
    catalogue, problems = build_catalogue([A, ECHO], {}, {}, Wanted(model="gone"))
    assert names(catalogue, "default") == ["a/gpt"]
    assert len(problems) == 1 and problems[0].startswith("`routing.default_model`: The model `gone` does not exist.")
    assert names(build_catalogue([ECHO], {})[0], "default") == ["builtin/echo"]
    assert "default" not in build_catalogue([], {})[0].routes


def test_names_without_configuration_give_way_to_yours() -> None:
    catalogue = build(aliases={"fast": "a/gpt"}, routes={"auto": {"deployments": ["b/mini"]}})
    assert names(catalogue, "fast") == ["a/gpt"] and names(catalogue, "auto") == ["b/mini"]
    assert names(catalogue, "cheapest") == ["b/gpt", "a/gpt"]
    plan = catalogue.resolve("cheapest").plan
    assert plan is not None and plan.stage.strategy == "lowest-cost"


def test_cheapest_stays_short_and_keeps_what_can_do_each_thing() -> None:
    blind = [deployment("a", f"m{number}", number, frozenset({"vision"})) for number in range(2_000)]
    seeing = deployment("b", "eyes", 10**9)
    catalogue, _ = build_catalogue([source("a", *blind), source("b", seeing)], {})
    found = catalogue.resolve("cheapest").deployments
    assert seeing in found and len(found) < 3 * MOST_SEATS
    assert [each.id for each in catalogue.resolve("fastest").deployments] == ["a/m0", "b/eyes"]


@pytest.mark.parametrize("model", ["text-embedding-3-small", "whisper-1", "dall-e-3", "omni-moderation-latest", "rerank-v3.5"])
def test_what_does_not_chat_is_known_by_its_name(model: str) -> None:
    assert not chats(deployment("a", model)) and chats(deployment("a", "claude-sonnet-4"))


def test_the_tightest_of_two_limits_is_what_both_allow() -> None:
    assert tightest(Limits(), Limits(rpm=1)) == tightest(Limits(rpm=1), Limits()) == Limits(rpm=1)
    assert tightest(Limits(rpm=3, tpm=1), Limits(rpm=2, tpd=4)) == Limits(rpm=2, tpm=1, tpd=4)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "no name"),
        ("a/gpt", "listed id"),
        ("gpt", "bare name"),
        ("b:mini", "provider:model"),
        ("quick", "alias"),
        ("team", "route"),
        ("cheapest", "standing name"),
        ("new name", "other name"),
        ("open/anything", "unlisted"),
    ],
)
def test_the_rule_that_a_name_follows_is_known(name: str, rule: str) -> None:
    renamed = Deployment("c/old", "c", "old", FREE, "file", also=("new name",))
    sources = [A, B, source("c", renamed), source("open", accepts_any=True)]
    routes = msgspec.convert({"team": {"deployments": ["a/gpt", "b/gpt"]}}, dict[str, RouteEntry])
    assert build_catalogue(sources, {"quick": "team"}, routes)[0].rule(name) == rule
