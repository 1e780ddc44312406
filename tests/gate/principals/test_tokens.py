from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.budgets import Budget
from aldgate.core.errors import GatewayError, InvalidRequest, PolicyDenied, ScopeDenied
from aldgate.core.levels import ALL_SCOPES, Level
from aldgate.core.limits import Limits
from aldgate.core.policies import Policy
from aldgate.core.principals import ADMIN, Principal
from aldgate.gate.principals.identity import principal_of
from aldgate.gate.principals.tokens import own_token
from aldgate.storage import StoredAccount

scopes = st.frozensets(st.sampled_from(sorted(ALL_SCOPES)))


def account(policy: Policy) -> StoredAccount:
    return StoredAccount(id="user-1", kind="user", name="ada", policy=policy, created_at=0.0)


def user(policy: Policy) -> Principal:
    return Principal.of("user", account(policy).level)


def key(own: Policy, above: Policy, expires_at: float | None = None) -> Principal:
    return Principal.of("key", Level("key", "key-1", "k", own), (account(above).level,), expires_at)


@given(scopes, scopes, st.none() | scopes, st.booleans())
def test_no_key_may_more_than_its_maker(of_user: frozenset[str], of_key: frozenset[str], wanted: Any, is_key: bool) -> None:
    above = Policy(scopes=of_user, models=("a*",))
    maker = key(Policy(scopes=of_key, models=("*b",)), above) if is_key else user(above)
    try:
        _, made = own_token(maker, "t", wanted, None)
    except ScopeDenied:
        assert wanted is not None and not wanted <= maker.rights.scopes
        return
    new = principal_of(made, (account(above),))
    assert new.rights.scopes <= maker.rights.scopes
    assert made.policy.models == maker.levels[-1].policy.models or not is_key
    assert (made.owner, made.made_by) == ("user-1", maker.id)


def test_a_key_lives_no_longer_than_the_key_that_made_it() -> None:
    maker = key(Policy(), Policy(), expires_at=50.0)
    for lifetime_s in (None, 1e6):
        assert own_token(maker, "t", None, lifetime_s)[1].expires_at == 50.0
    assert own_token(user(Policy()), "t", None, None)[1].expires_at is None


@pytest.mark.parametrize(
    ("maker", "scopes", "error"),
    [
        (ADMIN, None, PolicyDenied),
        (key(Policy(limits=Limits(rpm=1)), Policy()), None, PolicyDenied),
        (key(Policy(budgets=(Budget(1, "day"),)), Policy()), None, PolicyDenied),
        (user(Policy()), frozenset({"fly"}), InvalidRequest),
        (user(Policy()), frozenset({"admin"}), ScopeDenied),
    ],
)
def test_what_would_be_more_is_refused(maker: Principal, scopes: frozenset[str] | None, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        own_token(maker, "t", scopes, None)
