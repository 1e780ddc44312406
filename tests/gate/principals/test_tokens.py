from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import GatewayError, InvalidRequest, PolicyDenied, ScopeDenied
from aldgate.core.levels import ALL_SCOPES, Level
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


@given(scopes, st.none() | scopes)
def test_no_key_may_more_than_its_maker(of_user: frozenset[str], wanted: Any) -> None:
    above = Policy(scopes=of_user, models=("a*",))
    maker = user(above)
    try:
        _, made = own_token(maker, "t", wanted, None)
    except ScopeDenied:
        assert wanted is not None and not wanted <= maker.rights.scopes
        return
    new = principal_of(made, (account(above),))
    assert new.rights.scopes <= maker.rights.scopes
    assert new.levels[:-1] == maker.levels, "all that restricts the maker restricts it"
    assert (made.owner, made.made_by) == ("user-1", maker.id)


def test_a_key_outlives_the_login_that_made_it_unless_it_is_said_how_long_it_lives() -> None:
    maker = Principal.of("user", account(Policy()).level, expires_at=50.0)
    assert own_token(maker, "t", None, None)[1].expires_at is None
    made = own_token(maker, "t", None, 1e6)[1]
    assert made.expires_at == made.created_at + 1e6


@pytest.mark.parametrize(
    ("maker", "scopes", "error"),
    [
        (ADMIN, None, PolicyDenied),
        (key(Policy(), Policy()), None, PolicyDenied),
        (key(Policy(scopes=ALL_SCOPES), Policy(), expires_at=50.0), frozenset({"chat"}), PolicyDenied),
        (user(Policy()), frozenset({"fly"}), InvalidRequest),
        (user(Policy()), frozenset({"admin"}), ScopeDenied),
    ],
)
def test_what_would_be_more_is_refused(maker: Principal, scopes: frozenset[str] | None, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        own_token(maker, "t", scopes, None)
