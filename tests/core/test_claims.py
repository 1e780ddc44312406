import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.claims import ClaimMapping, ClaimNames, Claims, claim, lacking, read_claims, text, texts

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
NAMES = st.sampled_from(["sub", "email", "email_verified", "roles", "team", "client_id", "organisation", "name", "a.b", "a", "x"])
PAYLOADS = st.dictionaries(NAMES, VALUES, max_size=8)
WORDS = st.text(string.ascii_lowercase + " -./:", min_size=1, max_size=12)
ROLES: Any = st.dictionaries(WORDS, st.sampled_from(["admin", "member", "viewer"]), max_size=4)


def read(payload: dict[str, Any], mapping: ClaimMapping = ClaimMapping()) -> Claims | None:
    return read_claims(payload, mapping, issuer="https://i", issuer_name="corp", expires_at=9.0)


@given(PAYLOADS, ROLES, st.none() | st.sampled_from(["member", "viewer"]))
def test_nothing_that_a_token_says_breaks_the_reading(payload: dict[str, Any], roles: Any, default: Any) -> None:
    claims = read(payload, ClaimMapping(roles=roles, default_role=default))
    subject = payload.get("sub")
    said = isinstance(subject, list) and len(texts(payload, "sub")) == 1
    if claims is None:
        assert not said and text(payload, "sub") == ""
        return
    assert claims.subject in (subject, *(subject if isinstance(subject, list) else ()))
    for field in (claims.subject, claims.email, claims.name, claims.client, claims.team, claims.organisation):
        assert len(field) <= 255 and (field.isprintable() or field == "")
    assert not claims.is_email_verified or claims.email


@given(PAYLOADS, ROLES)
def test_a_role_comes_from_a_word_that_the_token_has(payload: dict[str, Any], roles: Any) -> None:
    claims = read({**payload, "sub": "ann"}, ClaimMapping(roles=roles))
    assert claims is not None
    said = payload.get("roles")
    words = said if isinstance(said, list) else [said]
    assert claims.roles == {
        roles[word] for word in words if isinstance(word, str) and word in texts(payload, "roles") and word in roles
    }


@given(ROLES, st.lists(WORDS, max_size=5))
def test_more_words_never_take_a_role_away(roles: Any, words: list[str]) -> None:
    mapping = ClaimMapping(roles=roles)
    few, many = read({"sub": "a", "roles": words[:2]}, mapping), read({"sub": "a", "roles": words}, mapping)
    assert few is not None and many is not None and few.roles <= many.roles


@given(WORDS, ROLES)
def test_no_role_is_had_by_part_of_a_text(word: str, roles: Any) -> None:
    claims = read({"sub": "a", "roles": f"not {word}"}, ClaimMapping(roles={**roles, word: "admin"}))
    assert claims is not None
    assert claims.roles == (frozenset({roles[f"not {word}"]}) if f"not {word}" in roles else frozenset())


def test_scopes_are_words() -> None:
    mapping = ClaimMapping(ClaimNames(roles="scope"), roles={"gate:admin": "admin", "openid": "viewer"})
    claims = read({"sub": "a", "scope": "openid gate:admin"}, mapping)
    assert claims is not None and claims.roles == {"admin", "viewer"}


@given(st.dictionaries(st.sampled_from(["a", "a.b", "b"]), VALUES))
def test_a_name_beats_a_path(payload: dict[str, Any]) -> None:
    inner = payload.get("a")
    below = inner.get("b") if isinstance(inner, dict) else None
    assert claim(payload, "a.b") == payload.get("a.b", below)


@pytest.mark.parametrize(
    ("said", "teams", "team"),
    [
        ("ml", {}, "ml"),
        (["ml"], {}, "ml"),
        (["ml", "ops"], {}, ""),
        (["ml", "ops"], {"ops": "operations", "ml": "learning"}, "operations"),
        ("other", {"ops": "operations"}, ""),
        (None, {"ops": "operations"}, ""),
        ({"ops": 1}, {"ops": "operations"}, ""),
    ],
)
def test_teams(said: Any, teams: dict[str, str], team: str) -> None:
    claims = read({"sub": "a", "team": said}, ClaimMapping(teams=teams))
    assert claims is not None and claims.team == team


@pytest.mark.parametrize(("said", "is_verified"), [(True, True), ("true", True), (1, False), ("yes", False), (None, False)])
def test_an_address_counts_once_the_issuer_has_seen_it(said: Any, is_verified: bool) -> None:
    claims = read({"sub": "a", "email": "a@example.com", "email_verified": said})
    assert claims is not None and claims.is_email_verified is is_verified


@given(PAYLOADS)
def test_what_a_token_has_is_not_lacking(payload: dict[str, Any]) -> None:
    flat = {name: value for name, value in payload.items() if not isinstance(value, list | dict) and value is not None}
    assert lacking(payload, flat) is None
    assert lacking({}, {"hd": "example.com"}) == "hd"


@given(VALUES, VALUES)
def test_required_values_are_not_stretched(said: Any, wanted: Any) -> None:
    if lacking({"x": said}, {"x": wanted}) is None:
        has, accepted = (value if isinstance(value, list) else [value] for value in (said, wanted))
        assert any(type(one) is type(other) and one == other for one in has for other in accepted)
