"""What people write for a policy, and that what is shown reads as the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.budgets import PERIODS, Budget
from aldgate.core.errors import InvalidRequest
from aldgate.core.levels import ALL_SCOPES
from aldgate.core.limits import Limits
from aldgate.core.policies import ANYTHING, Policy
from aldgate.surfaces.admin.policies import changed, merged, read_policy, show_policy

NAMES = st.lists(st.text("abc*?-/", min_size=1, max_size=8), max_size=3).map(tuple)
COUNTS = st.integers(1, 10**12)
BUDGETS = st.dictionaries(st.sampled_from(PERIODS), st.tuples(st.integers(1, 10**15), st.booleans())).map(
    lambda found: tuple(Budget(most, period, soft) for period, (most, soft) in found.items())
)
POLICIES = st.builds(
    Policy,
    scopes=st.none() | st.frozensets(st.sampled_from(sorted(ALL_SCOPES)), min_size=1),
    providers=st.none() | NAMES,
    denied_providers=NAMES,
    models=st.none() | NAMES,
    denied_models=NAMES,
    endpoints=st.none() | NAMES,
    max_input_tokens=st.none() | COUNTS,
    max_output_tokens=st.none() | COUNTS,
    parameter_caps=st.dictionaries(st.sampled_from(["temperature", "n"]), st.floats(0, 10)),
    parameter_defaults=st.dictionaries(st.sampled_from(["seed", "top_p"]), st.integers(0, 9) | st.text("ab")),
    tools=st.none() | NAMES,
    retention_s=st.none() | st.floats(1, 10**9),
    networks=st.none() | st.just(("10.0.0.0/8", "::1")),
    residency=st.none() | st.frozensets(st.sampled_from(["eu", "us"])),
    expires_at=st.none() | st.integers(0, 4_000_000_000).map(float),
    limits=st.builds(Limits, rpm=st.none() | COUNTS, tpd=st.none() | COUNTS, images_per_day=st.none() | COUNTS),
    budgets=BUDGETS,
)


@given(POLICIES)
def test_what_is_shown_reads_as_it_was(policy: Policy) -> None:
    assert read_policy(show_policy(policy)) == policy
    assert changed(policy, {}) == policy


@given(POLICIES, POLICIES)
def test_a_patch_of_every_field_is_the_other_policy(policy: Policy, other: Policy) -> None:
    nothing: dict[str, Any] = dict.fromkeys(Policy.__struct_fields__)
    assert changed(changed(policy, nothing), show_policy(other)) == other
    assert changed(policy, nothing) == ANYTHING


def test_lengths_of_time_are_read_as_people_write_them() -> None:
    policy = read_policy({"retention": "30d", "expires_at": "2027-01-01T00:00:00+00:00", "budgets": ["2.50/day soft"]})
    assert policy == Policy(retention_s=2_592_000.0, expires_at=1_798_761_600.0, budgets=(Budget(2_500_000, "day", True),))
    assert read_policy({"expires_at": "2027-01-01"}) == read_policy({"expires_at": 1_798_761_600})
    ends = read_policy({"expires": "1d"}).expires_at
    assert ends is not None and ends > 1.7e9


def test_a_merge_patch_is_as_its_rfc_has_it() -> None:
    known = {"a": {"b": 1, "c": 2}, "d": [1], "e": "x"}
    assert merged(known, {"a": {"b": None, "f": {"g": 3, "h": None}}, "d": [2], "e": None}) == {
        "a": {"c": 2, "f": {"g": 3}},
        "d": [2],
    }
    assert known["a"] == {"b": 1, "c": 2}


def test_an_error_names_the_field_where_the_policy_stands() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_policy({"limits": {"tpm": "many"}}, "here")
    assert refused.value.param == "here.limits.tpm" and "here.limits.tpm" in refused.value.message
