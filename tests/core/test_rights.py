"""Rights: over every field of a policy, a level below allows nothing that one above does not."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.budgets import PERIODS, Budget, tightest
from aldgate.core.levels import ALL_SCOPES, CALLER_SCOPES, Level
from aldgate.core.limits import Limits
from aldgate.core.policies import ANYTHING, Policy
from aldgate.core.prices import FREE
from aldgate.core.rights import Rights
from aldgate.core.routes import Deployment, Facts

NAMES = ("gpt-4.1", "gpt-4.1-mini", "claude", "echo")
PROVIDERS = ("openai", "azure", "builtin")
globs = st.lists(st.sampled_from(["*", "gpt-*", "g?t-4.1", "claude", "openai", "azure", "[eo]*", "openai/*"]), max_size=3).map(
    tuple
)
some_globs = st.none() | globs
number = st.none() | st.integers(1, 20)
limits = st.builds(Limits, **dict.fromkeys(Limits.__struct_fields__, number))
budgets = st.lists(st.builds(Budget, st.integers(1, 20), st.sampled_from(PERIODS), st.booleans()), max_size=3).map(tuple)
numbers = st.dictionaries(st.sampled_from(["temperature", "top_p"]), st.floats(0, 2), max_size=2)
values = st.dictionaries(st.sampled_from(["seed", "temperature"]), st.integers(0, 3), max_size=2)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "scopes": st.none() | st.frozensets(st.sampled_from(sorted(ALL_SCOPES))),
    "providers": some_globs,
    "denied_providers": globs,
    "models": some_globs,
    "denied_models": globs,
    "endpoints": st.none() | st.lists(st.sampled_from(["/v1/*", "/v1/chat/*", "/api/*"]), max_size=2).map(tuple),
    "max_input_tokens": number,
    "max_output_tokens": number,
    "parameter_caps": numbers,
    "parameter_defaults": values,
    "forced_parameters": values,
    "tools": some_globs,
    "retention_s": st.none() | st.floats(1, 20),
    "networks": st.none() | st.lists(st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "::1", "127.0.0.1"]), max_size=2).map(tuple),
    "residency": st.none() | st.frozensets(st.sampled_from(["eu", "us"])),
    "expires_at": st.none() | st.floats(1, 20),
    "limits": limits,
    "budgets": budgets,
    "guardrails": st.just(()),
}
policies = st.builds(Policy, **FIELDS)
chains = st.lists(policies, min_size=1, max_size=4)


def rights(chain: list[Policy]) -> Rights:
    return Rights(tuple(Level("team", f"account-{place}", f"level {place}", policy) for place, policy in enumerate(chain)))


def test_every_field_of_a_policy_is_tried_here() -> None:
    assert set(FIELDS) == set(Policy.__struct_fields__)


def deployment(provider: str, model: str, tags: frozenset[str] = frozenset()) -> Deployment:
    return Deployment(f"{provider}/{model}", provider, model, FREE, "file", facts=Facts(residency=tags))


@given(chains, policies, st.sampled_from(NAMES), st.sampled_from(PROVIDERS), st.frozensets(st.sampled_from(["eu", "us"])))
def test_a_child_may_call_no_model_that_its_parent_may_not(
    above: list[Policy], own: Policy, name: str, provider: str, tags: frozenset[str]
) -> None:
    parent, child = rights(above), rights([*above, own])
    answers = deployment(provider, name, tags)
    if child.against_model((name,), answers) is None:
        assert parent.against_model((name,), answers) is None
    if child.against_name(name, provider) is None:
        assert parent.against_name(name, provider) is None


@given(
    chains,
    policies,
    st.sampled_from(["/v1/chat/completions", "/v1/models", "/api/chat"]),
    st.sampled_from(["10.1.2.3", "::1", ""]),
)
def test_a_child_may_come_from_no_place_that_its_parent_may_not(
    above: list[Policy], own: Policy, path: str, address: str
) -> None:
    parent, child = rights(above), rights([*above, own])
    if child.against_place(path, address) is None:
        assert parent.against_place(path, address) is None


def lower(child: float | None, parent: float | None) -> bool:
    return parent is None or (child is not None and child <= parent)


@given(chains, policies)
def test_no_number_and_no_set_of_a_child_is_greater_than_its_parents(above: list[Policy], own: Policy) -> None:
    parent, child = rights(above), rights([*above, own])
    assert child.scopes <= parent.scopes or all(policy.scopes is None for policy in above)
    assert lower(child.max_input_tokens, parent.max_input_tokens) and lower(child.max_output_tokens, parent.max_output_tokens)
    assert lower(child.retention_s, parent.retention_s) and lower(child.expires_at, parent.expires_at)
    assert parent.residency is None or (child.residency is not None and child.residency <= parent.residency)
    assert all(lower(child.parameter_caps.get(name), most) for name, most in parent.parameter_caps.items())
    assert child.forced_parameters.items() >= parent.forced_parameters.items()
    assert all(child.against_tool(name) for name in NAMES if parent.against_tool(name))
    assert child.has_budget >= parent.has_budget and child.levels[: len(above)] == parent.levels


@given(limits, limits)
def test_the_meet_of_limits_is_the_most_that_both_allow(one: Limits, other: Limits) -> None:
    both = one.meet(other)
    for name in Limits.__struct_fields__:
        asked = [value for value in (getattr(one, name), getattr(other, name)) if value is not None]
        assert getattr(both, name) == min(asked, default=None)


@given(budgets)
def test_the_tightest_budgets_have_one_for_each_period(given_budgets: tuple[Budget, ...]) -> None:
    least = tightest(given_budgets)
    assert len({budget.period for budget in least}) == len(least) and {each.period for each in least} == {
        each.period for each in given_budgets
    }
    assert all(each.microusd == min(b.microusd for b in given_budgets if b.period == each.period) for each in least)


def test_a_key_of_which_nothing_is_said_may_call_and_not_administer() -> None:
    assert rights([ANYTHING]).scopes == CALLER_SCOPES


@pytest.mark.parametrize(
    ("field", "value", "decided"),
    [
        ("denied_models", ("gpt-*",), lambda found: found.against_model(("gpt-4.1",), deployment("openai", "gpt-4.1"))),
        ("providers", ("azure",), lambda found: found.against_name("openai/gpt-4.1", "openai")),
        ("endpoints", ("/api/*",), lambda found: found.against_place("/v1/models", "::1")),
        ("networks", ("10.0.0.0/8",), lambda found: found.against_place("/v1/models", "::1")),
        ("residency", frozenset({"eu"}), lambda found: found.against_model(("x",), deployment("openai", "x", frozenset({"us"})))),
        ("max_input_tokens", 5, lambda found: found.says("max_input_tokens", 5)),
    ],
)
def test_the_level_that_decided_is_named(field: str, value: object, decided: Callable[[Rights], Level | None]) -> None:
    chain = [ANYTHING, msgspec.structs.replace(ANYTHING, **{field: value}), ANYTHING]
    level = decided(rights(chain))
    assert level is not None and str(level) == "team `level 1`"


def test_an_untagged_model_is_nowhere_and_an_ipv4_address_in_ipv6_clothes_is_itself() -> None:
    found = rights([Policy(residency=frozenset({"eu"}), networks=("10.0.0.0/8",))])
    assert found.against_model(("x",), deployment("openai", "x")) is not None
    assert found.against_model(("x",), deployment("openai", "x", frozenset({"eu"}))) is None
    assert found.against_place("/", "::ffff:10.1.2.3") is None and found.against_place("/", "no address") is not None
