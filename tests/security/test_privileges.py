"""Nobody becomes more than they are: by fields, scopes, tokens, or the beginnings of somebody else's secret."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aldgate.core.errors import GatewayError
from aldgate.core.levels import ALL_SCOPES, SCOPES_OF_ROLES, Level
from aldgate.core.policies import Policy
from aldgate.core.principals import Principal
from aldgate.gate.principals.tokens import own_token
from aldgate.surfaces.http.openapi import Path as Route
from aldgate.testing.issuer import FakeIssuer
from aldgate.testing.upstream import FakeUpstream
from tests.policies import key_with
from tests.security.routes import GUARDED, asked, name_of
from tests.support import RunningGate, anonymous, lab, running_gate

pytestmark = pytest.mark.anyio
PASSWORD = "correct horse battery"
HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
GREEDY: dict[str, Any] = {
    "role": "admin",
    "user_role": "admin",
    "admin": True,
    "is_admin": True,
    "scopes": ["admin"],
    "policy": {"scopes": ["admin"]},
    "owner": "organisation:first",
    "team": "first",
    "budget": "1000000/day",
    "rpm": 1_000_000,
    "expires_at": None,
    "must_change": False,
    "made_by": "admin",
    "parent": None,
    "id": "admin",
    "name": "admin",
    "username": "admin",
    "disabled_at": None,
}


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture(scope="module")
async def people(gate: RunningGate) -> dict[str, str]:
    """Sessions of users by their roles, and of keys."""
    found: dict[str, str] = {}
    for role in ("viewer", "member"):
        made = await gate.http.post("/admin/users", json={"name": f"the-{role}", "password": PASSWORD, "role": role})
        assert made.status_code == 201
        login = await gate.http.post("/v1/users/login", json={"username": f"the-{role}", "password": PASSWORD})
        found[role] = login.json()["token"]
    found["key"] = await gate.key()
    return found


WRITES = [
    path for path in GUARDED if path.method in ("post", "put", "patch") and path.tag in ("admin", "people", "keys", "clients")
]


@pytest.mark.parametrize("path", [path for path in WRITES if "logout" not in path.path], ids=name_of)
async def test_cve_2026_47102_no_field_makes_anybody_more(gate: RunningGate, people: dict[str, str], path: Route) -> None:
    """Each field that would be a promotion, sent by each role to each route that writes: 4xx, or passed over; never obeyed."""
    async with anonymous(gate, {}) as http:
        for role, secret in people.items():
            before = (await http.get("/v1/users/me", headers=bearer(secret))).json()
            for field, value in GREEDY.items():
                url = path.path.replace("{provider}", "lab").replace("{name}", f"the-{role}")
                reply = await http.request(path.method, url, json={field: value}, headers=bearer(secret))
                assert reply.status_code >= 400 or path.path in ("/v1/users/tokens", "/v1/users/invites"), (
                    role,
                    field,
                    reply.text,
                )
                if reply.status_code < 400:
                    assert "admin" not in reply.json().get("info", {}).get("scopes", []) and reply.json().get("role") != "admin"
            assert (await http.get("/v1/users/me", headers=bearer(secret))).json() == before
            assert (await http.get("/admin/keys", headers=bearer(secret))).status_code == 403


async def test_cve_2026_47102_registration_takes_its_role_from_the_invite(gate: RunningGate) -> None:
    """Who registers says a name and a password; a role beside them is refused."""
    invite = (await gate.http.post("/admin/users/invites", json={"role": "viewer"})).json()["invite_token"]
    async with anonymous(gate, {}) as http:
        for field in ("role", "scopes", "is_admin", "team", "policy"):
            wanted = {"invite_token": invite, "username": "newcomer", "password": PASSWORD, field: GREEDY.get(field, "admin")}
            assert (await http.post("/v1/users/register", json=wanted)).status_code == 400


async def test_cve_2026_47101_no_wildcard_is_a_scope(gate: RunningGate, people: dict[str, str]) -> None:
    """Scopes are words of a list: no star, no path, no empty name; and none that the maker has not."""
    for scopes in (["*"], ["admin"], ["/*"], ["chat", "*"], ["**"], [""], ["ADMIN"], ["admin "], ["all"], ["management_routes"]):
        for role in ("viewer", "member"):
            made = await gate.http.post("/v1/users/tokens", json={"scopes": scopes}, headers=bearer(people[role]))
            assert made.status_code in (400, 403), scopes
        if scopes != ["admin"]:
            assert (await gate.http.post("/admin/keys", json={"name": "x", "scopes": scopes})).status_code == 400
    made = await gate.http.post("/v1/users/tokens", json={"scopes": ["chat"]}, headers=bearer(people["viewer"]))
    assert made.status_code == 403


@given(
    role=st.sampled_from(sorted(SCOPES_OF_ROLES)),
    own=st.none() | st.frozensets(st.sampled_from(sorted(ALL_SCOPES))),
    wanted=st.none() | st.frozensets(st.sampled_from(sorted(ALL_SCOPES)), min_size=1),
    ends=st.none() | st.integers(1, 10**9),
    lifetime_s=st.none() | st.integers(1, 10**9),
)
def test_cve_2026_47101_a_key_never_grants_more_than_its_maker(
    role: Any, own: frozenset[str] | None, wanted: frozenset[str] | None, ends: int | None, lifetime_s: int | None
) -> None:
    """Whatever is asked for, what a user makes lies within what they are, and a key of theirs makes nothing."""
    expires_at = None if ends is None else time.time() + ends
    above = Level(
        "user", "user-1", "ada", Policy(scopes=SCOPES_OF_ROLES[role], denied_models=("secret-*",), expires_at=expires_at)
    )
    maker = Principal.of("user", above)
    with pytest.raises(GatewayError):
        own_token(Principal.of("key", Level("key", "key-1", "k", Policy(scopes=own)), (above,)), "new", wanted, lifetime_s)
    try:
        _, key = own_token(maker, "new", wanted, lifetime_s)
    except GatewayError:
        assert wanted is not None and not wanted <= maker.rights.scopes
        return
    assert key.owner == above.account
    made = Principal.of("key", Level("key", key.id, key.name, key.policy), (above,), key.expires_at)
    assert made.rights.scopes <= maker.rights.scopes
    assert expires_at is None or (made.expires_at is not None and made.expires_at <= expires_at)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, 46), tail=st.text(st.sampled_from("abcXYZ019-_"), max_size=60))
async def test_cve_2026_35030_a_prefix_is_nobody(gate: RunningGate, people: dict[str, str], cut: int, tail: str) -> None:
    """After a key was seen, another secret that begins as it does, or is a part of it, is unknown all the same."""
    key = people["key"]
    await gate.app.identity.identify(key.encode())
    other = key[:cut] + tail
    if other != key:
        with pytest.raises(GatewayError, match="not known"):
            await gate.app.identity.identify(other.encode())


@pytest.fixture(scope="module")
async def issuer(anyio_backend: str) -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
async def believer(
    upstream: FakeUpstream, issuer: FakeIssuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGate]:
    """A gate that believes an issuer."""
    config = f'[auth.issuers.corp]\nissuer = "{issuer.url}"\naudience = ["aldgate"]\ndefault_role = "member"\n'
    async with running_gate(tmp_path_factory.mktemp("believer"), providers={"lab": lab(upstream.url)}, config=config) as gate:
        yield gate


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_jwt_no_token_chooses_how_it_is_checked(believer: RunningGate, issuer: FakeIssuer) -> None:
    """Through a running gate: `alg` of none or of a shared secret, made-up `kid`, keys brought along, all 401."""
    good = issuer.token(sub="ann")
    called = await believer.http.post("/v1/chat/completions", json=HELLO, headers=bearer(good))
    assert called.status_code == 200, called.text
    _, key = issuer.keys[-1]
    claims = {"iss": issuer.url, "sub": "ann", "aud": "aldgate", "exp": int(time.time()) + 300}
    public = key.as_pem(private=False)
    heads: list[dict[str, Any]] = [{"alg": alg, "kid": key.kid} for alg in ("none", "None", "HS256", "HS512", "RS256")]
    heads += [
        {"alg": "ES256", "kid": kid}
        for kid in ("../../../dev/null", "' UNION SELECT 'x", "http://127.0.0.1/k", "x\0y", "", "|/bin/sh", "k" * 5000)
    ]
    heads += [{"alg": "ES256", "jwk": key.as_dict(private=False)}, {"alg": "HS256", "jku": issuer.url + "/jwks", "kid": key.kid}]
    for head in heads:
        told = f"{part(head)}.{part(claims)}"
        proof = base64.urlsafe_b64encode(hmac.digest(public, told.encode(), sha256)).rstrip(b"=").decode()
        for forged in (f"{told}.", f"{told}.{proof}", f"{told}.{'A' * 86}"):
            reply = await believer.http.post("/v1/chat/completions", json=HELLO, headers=bearer(forged))
            assert reply.status_code == 401, head


@pytest.mark.parametrize(
    "claims", [{"aud": "aldgate-staging"}, {"aud": None}, {"iss": "http://127.0.0.1:1"}, {"exp": 1}, {"exp": None}]
)
async def test_ghsa_vgf8_3685_66j9_a_token_of_another_environment(
    believer: RunningGate, issuer: FakeIssuer, claims: dict[str, Any]
) -> None:
    """A good signature is not enough: the token must be for this gate, by its issuer, and in its time."""
    reply = await believer.http.post("/v1/chat/completions", json=HELLO, headers=bearer(issuer.token(sub="ann", **claims)))
    assert reply.status_code == 401


async def test_cve_2026_35030_two_tokens_that_begin_alike_are_two(believer: RunningGate, issuer: FakeIssuer) -> None:
    """Tokens of one issuer share their head: who came first is not who comes second."""
    tokens = [issuer.token(sub=name, email=f"{name}@example.com") for name in ("first", "second")]
    assert tokens[0][:20] == tokens[1][:20]
    names = [(await believer.http.get("/v1/users/me", headers=bearer(token))).json() for token in tokens]
    assert names[0] != names[1]
    half = tokens[0].rpartition(".")[0] + "." + tokens[1].rpartition(".")[2]
    assert (await believer.http.get("/v1/models", headers=bearer(half))).status_code == 401


CARRIERS = ("authorization", "x-api-key", "x-goog-api-key", "x-admin-secret")


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_cve_2026_45339_restrictions_hold_whatever_carries_the_key(gate: RunningGate, carrier: str) -> None:
    """Scopes, models, endpoints, networks, ends and administration: the same answer from every carrier."""
    async with anonymous(gate, {}) as http:
        for status, policy in (
            (403, Policy(scopes=frozenset({"embed"}))),
            (403, Policy(denied_models=("*",))),
            (403, Policy(endpoints=("/v1/embeddings",))),
            (403, Policy(networks=("10.0.0.0/8",))),
            (401, Policy(expires_at=1)),
        ):
            secret = await key_with(gate, policy)
            headers = {carrier: f"Bearer {secret}" if carrier == "authorization" else secret}
            assert (await http.post("/v1/chat/completions", json=HELLO, headers=headers)).status_code == status
            assert (await http.get("/admin/keys", headers=headers)).status_code in (401, 403)


async def test_seeds_an_address_is_nobodys_credential(gate: RunningGate) -> None:
    """No header about where a request comes from opens anything, and neither do well-known secrets."""
    names = ("x-forwarded-for", "x-real-ip", "forwarded", "x-client-ip", "cf-connecting-ip", "true-client-ip", "x-original-url")
    async with anonymous(gate, {}) as http:
        for name in names:
            for value in ("127.0.0.1", "for=127.0.0.1", "::1", "/health"):
                assert (await http.get("/admin/keys", headers={name: value})).status_code == 401
        for secret in ("change-me", "changeme", "admin", "password", "secret", "sk-1234", "test", "null", "undefined", "Bearer"):
            assert (await http.get("/admin/keys", headers={"x-admin-secret": secret})).status_code == 401
        assert (await http.post("/auth/keys", json={"name": "x"})).status_code == 401
        query = {"api_key": await gate.key(), "token": secrets.token_hex(8)}
        assert (await http.get("/v1/models", params=query)).status_code == 401


async def test_portkey_1372_nothing_is_relayed_for_who_shows_no_key(gate: RunningGate, upstream: FakeUpstream) -> None:
    """Without a key no call reaches a provider, at any face, whatever provider key the caller brings; loopback is the default."""
    upstream.requests.clear()
    async with anonymous(gate, {}) as http:
        for path in GUARDED:
            if path.method == "post":
                assert (await asked(http, path, {"authorization": "Bearer sk-a-providers-own-key"})).status_code == 401
    assert not upstream.requests


def test_portkey_1372_it_listens_on_loopback(tmp_path: Path) -> None:
    """Unless its operator says otherwise."""
    from aldgate.config.loader import load

    found = load(flags={"data": str(tmp_path)}, environment={"ALDGATE_ADMIN_KEY": secrets.token_urlsafe(32)}, directory=tmp_path)
    assert {listener.host for listener in found.server.listeners} <= {"127.0.0.1", "::1", "localhost"}
