"""Whatever an administrator gives, over every field of a policy, it is no more than they have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.budgets import Budget
from aldgate.core.errors import PolicyDenied
from aldgate.core.giving import check_beneath, check_given, end_of, ending, restriction
from aldgate.core.guardrails.kinds import Pii, Words
from aldgate.core.levels import ALL_SCOPES, Level
from aldgate.core.limits import Limits
from aldgate.core.policies import ANYTHING, Policy
from aldgate.core.prices import FREE
from aldgate.core.principals import ADMIN, Principal
from aldgate.core.rights import Rights
from aldgate.core.routes import Deployment, Facts
from tests.core.test_rights import FIELDS, NAMES, PROVIDERS

guardrails = st.lists(st.sampled_from([Pii(), Words(words=("banana",))]), max_size=2, unique=True).map(tuple)
one_field = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda name: st.builds(Policy, **{name: guardrails if name == "guardrails" else FIELDS[name]})
)
policies = st.just(ANYTHING) | one_field | st.builds(Policy, **{**FIELDS, "guardrails": guardrails})
ends = st.none() | st.floats(1, 20)
RESTRICTED: dict[str, Policy] = {
    "providers": Policy(providers=("lab",)),
    "denied_providers": Policy(denied_providers=("lab",)),
    "models": Policy(models=("a*",)),
    "denied_models": Policy(denied_models=("b*",)),
    "endpoints": Policy(endpoints=("/admin/*",)),
    "max_input_tokens": Policy(max_input_tokens=9),
    "max_output_tokens": Policy(max_output_tokens=9),
    "parameter_caps": Policy(parameter_caps={"temperature": 1.0}),
    "parameter_defaults": Policy(parameter_defaults={"temperature": 1.0}),
    "forced_parameters": Policy(forced_parameters={"seed": 1}),
    "tools": Policy(tools=()),
    "retention_s": Policy(retention_s=9.0),
    "networks": Policy(networks=("127.0.0.1",)),
    "residency": Policy(residency=frozenset({"eu"})),
    "guardrails": Policy(guardrails=(Pii(),)),
    "limits": Policy(limits=Limits(rpm=1)),
    "budgets": Policy(budgets=(Budget(1, "day"),)),
}


def chain(*policies: Policy, name: str = "account") -> tuple[Level, ...]:
    return tuple(Level("team", f"{name}-{place}", f"{name} {place}", policy) for place, policy in enumerate(policies))


def maker_of(policies: list[Policy], expires_at: float | None = None, kind: str = "key") -> Principal:
    *above, own = chain(*policies)
    return Principal.of("key" if kind == "key" else "user", own, tuple(above), expires_at)


@given(
    st.lists(policies, min_size=1, max_size=3),
    ends,
    st.integers(0, 3),
    st.dictionaries(st.integers(0, 2), policies, max_size=1),
    st.lists(policies, min_size=1, max_size=2),
    ends,
)
def test_what_is_given_is_never_more(
    of_maker: list[Policy],
    end: float | None,
    shared: int,
    changed: dict[int, Policy],
    beneath: list[Policy],
    wanted: float | None,
) -> None:
    maker = maker_of(of_maker, end)
    kept = [changed.get(place, policy) for place, policy in enumerate(of_maker[:shared])]
    levels = (*chain(*kept), *chain(*beneath, name="other"))
    try:
        check_given(maker, levels, wanted)
    except PolicyDenied:
        return
    _is_no_more(Rights(levels), maker.rights)
    own, of_given = {level.account: level.policy for level in levels}, [wanted, Rights(levels).expires_at]
    for level in maker.levels:
        for field in ("limits", "budgets"):
            if getattr(level.policy, field) != getattr(ANYTHING, field):
                assert getattr(own[level.account], field) == getattr(level.policy, field), "counted for the same account"
    last = min((at for at in of_given if at is not None), default=float("inf"))
    assert last <= (maker.expires_at or float("inf"))


def _is_no_more(given: Rights, maker: Rights) -> None:
    for field in ("max_input_tokens", "max_output_tokens", "retention_s"):
        most = getattr(maker, field)
        assert most is None or getattr(given, field) <= most
    assert maker.residency is None or (given.residency is not None and given.residency <= maker.residency)
    assert all(given.parameter_caps[name] <= most for name, most in maker.parameter_caps.items())
    assert maker.forced_parameters.items() <= given.forced_parameters.items()
    assert set(maker.guardrails) <= set(given.guardrails)
    for name in (*NAMES, *PROVIDERS):
        assert given.against_tool(name) or not maker.against_tool(name)
        for backend in PROVIDERS:
            deployment = Deployment(f"{backend}/{name}", backend, name, FREE, "file", facts=Facts(residency=frozenset({"eu"})))
            assert given.against_model((name,), deployment) is not None or maker.against_model((name,), deployment) is None
    for path in ("/v1/chat/completions", "/v1/models", "/api/chat"):
        for address in ("10.1.2.3", "10.2.2.3", "::1", "203.0.113.9"):
            assert given.against_place(path, address) is not None or maker.against_place(path, address) is None


def test_every_field_restricts_but_scopes_and_the_end() -> None:
    assert set(RESTRICTED) == set(Policy.__struct_fields__) - {"scopes", "expires_at"}
    assert restriction(Policy(scopes=frozenset({"admin"}), expires_at=1.0)) is None


@pytest.mark.parametrize("field", RESTRICTED)
def test_who_is_restricted_gives_only_what_is_under_the_same(field: str) -> None:
    policy = RESTRICTED[field]
    maker = maker_of([policy, ANYTHING])
    with pytest.raises(PolicyDenied, match=f"team `account 0` restricts you .`{field}`."):
        check_given(maker, chain(policy, name="other"))
    with pytest.raises(PolicyDenied, match=field):
        check_given(maker, (Level("team", "account-0", "renamed", ANYTHING),))
    check_given(maker, (Level("team", "account-0", "renamed", policy), *chain(ANYTHING, name="other")))


def test_who_is_not_restricted_gives_anything() -> None:
    for maker in (ADMIN, maker_of([Policy(scopes=ALL_SCOPES)])):
        check_given(maker, ())
        assert ending(maker, None) is None and ending(maker, 5.0) == 5.0


def test_a_key_that_ends_gives_what_ends_by_then_and_a_login_that_ends_is_no_bound() -> None:
    maker = maker_of([ANYTHING], 10.0)
    assert [ending(maker, at) for at in (None, 5.0, 20.0)] == [10.0, 5.0, 10.0]
    check_given(maker, (), 10.0)
    check_given(maker, chain(Policy(expires_at=9.0)))
    check_beneath(maker, ())
    for at in (None, 10.5):
        with pytest.raises(PolicyDenied, match="would outlive"):
            check_given(maker, (), at)
    assert end_of(maker_of([ANYTHING], 10.0, kind="user")) is None
    assert end_of(maker_of([Policy(expires_at=7.0)], 10.0, kind="user")) == 7.0
