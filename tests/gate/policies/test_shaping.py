"""Whatever a request brings and whatever the levels say: no cap is exceeded, what is forced holds, the rest stays."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.levels import Level
from aldgate.core.policies import Policy
from aldgate.core.principals import Principal
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.gate.policies.shaping import shaped

NAMES = st.sampled_from(["temperature", "top_p", "frequency_penalty"])
NUMBERS = st.integers(-5, 5) | st.floats(-5, 5)
TABLES = st.dictionaries(NAMES, NUMBERS)
POLICIES = st.builds(Policy, parameter_caps=TABLES, parameter_defaults=TABLES, forced_parameters=TABLES)
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "metadata": {"a": [1, None]}}


@given(st.lists(POLICIES, min_size=1, max_size=4), st.dictionaries(NAMES, NUMBERS | st.none() | NUMBERS.map(str)))
def test_rules_hold(policies: list[Policy], given_values: dict[str, Any]) -> None:
    levels = [Level("key", str(number), "level", policy) for number, policy in enumerate(policies)]
    principal = Principal.of("key", levels[-1], tuple(levels[:-1]))
    peek = OPENAI.peek("chat", msgspec.json.encode({**ASKED, **given_values}))
    found = msgspec.json.decode(shaped(OPENAI, principal, "chat", peek, None).body)
    assert {name: found[name] for name in ASKED} == ASKED
    rights = principal.rights
    for name, cap in rights.parameter_caps.items():
        assert found.get(name) is None or float(found[name]) <= cap
    for name, value in rights.forced_parameters.items():
        assert found[name] == min(value, rights.parameter_caps.get(name, value))
    for name in rights.parameter_defaults:
        assert found[name] is not None
    for name in found.keys() - ASKED.keys():
        assert name in given_values or name in rights.parameter_defaults or name in rights.forced_parameters
