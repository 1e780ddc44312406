"""Tokens of a real issuer, through the one cache of principals."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aldgate.core.claims import Claims
from aldgate.core.errors import ExpiredKey, GatewayError, IssuerUnavailable, PolicyDenied, RevokedKey, UnknownKey
from aldgate.core.levels import Level
from aldgate.core.policies import Policy
from aldgate.core.principals import Principal
from aldgate.gate.principals.clients import Clients
from aldgate.gate.principals.identity import Identity
from aldgate.gate.principals.issued import TokenResolver
from aldgate.gate.principals.secret_checks import SecretChecks
from aldgate.oidc import keyset
from aldgate.ports import Standing
from aldgate.storage import Store, StoredAccount
from aldgate.testing.issuer import FakeIssuer
from aldgate.testing.upstream import faults
from tests.oidc.asking import Clock, believing

pytestmark = pytest.mark.anyio


class People:
    """Users who are made as they come."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def user_of(self, claims: Claims) -> Standing:
        self.asked.append(claims.subject)
        if not claims.roles:
            return Standing(error=PolicyDenied("no role"))
        level = Level("user", f"user-{claims.subject}", claims.subject)
        return Standing(Principal.of("user", level, (), claims.expires_at), claims.expires_at)


class Door:
    """What stands in front of the gate: an issuer's tokens go in, principals come out."""

    def __init__(self, identity: Identity, people: People, issuer: FakeIssuer, clock: Clock, clients: Clients) -> None:
        self.identity = identity
        self.people = people
        self.issuer = issuer
        self.clock = clock
        self.clients = clients

    async def enter(self, **claims: Any) -> Principal:
        return await self.identity.identify(self.issuer.token(**claims).encode())

    async def refused(self, secret: bytes) -> type[GatewayError]:
        with pytest.raises(GatewayError) as raised:
            await self.identity.identify(secret)
        return type(raised.value)


@pytest.fixture
async def door(store: Store, tmp_path: Path) -> AsyncIterator[Door]:
    clock, people = Clock(), People()
    roles: Any = {"staff": "member"}
    async with FakeIssuer() as issuer, believing(issuer, clock, roles=roles) as tokens:
        clients = Clients(store, SecretChecks(1), tmp_path, clock)
        identity = Identity(store, b"p" * 32, b"", clock, [TokenResolver(tokens, clients, people), clients])
        yield Door(identity, people, issuer, clock, clients)


async def account(store: Store, name: str, **more: Any) -> StoredAccount:
    made = StoredAccount(id=f"acc-{name}", kind=more.pop("kind", "client"), name=name, created_at=1.0, **more)
    await store.add_account(made)
    return made


async def test_a_user_comes_with_a_token(door: Door) -> None:
    secret = door.issuer.token(sub="ann", roles=["staff"], email="ann@example.com").encode()
    ann = await door.identity.identify(secret)
    assert (ann.kind, ann.id) == ("user", "user-ann")
    assert door.identity.known(secret) is ann
    assert door.people.asked == ["ann"]


async def test_an_application_comes_as_the_client_of_its_name(door: Door, store: Store) -> None:
    await account(store, "acme", kind="organisation")
    await account(store, "shop", parent="acc-acme", policy=Policy(models=("gpt-*",)))
    for claims in ({"sub": "shop", "client_id": "shop", "roles": ["staff"]}, {"sub": "ann", "client_id": "shop"}):
        shop = await door.enter(**claims)
        assert (shop.kind, shop.id, shop.organisation, shop.client) == ("client", "acc-shop", "acc-acme", "acc-shop")
        assert shop.levels[-1].policy.models == ("gpt-*",)
    assert door.people.asked == []
    assert (await door.enter(sub="ann", client_id="shop", roles=["staff"])).kind == "user"


async def test_an_application_may_be_a_client_in_a_file(door: Door, tmp_path: Path) -> None:
    said = {
        "client_id": "kiosk",
        "client_secret_hash": "ab" * 32,
        "allowed_providers": ["lab"],
        "allowed_endpoints": ["generate"],
    }
    (tmp_path / "kiosk.json").write_bytes(msgspec.json.encode(said))
    await door.clients.reload()
    kiosk = await door.enter(sub="kiosk", client_id="kiosk")
    assert (kiosk.kind, kiosk.id, kiosk.levels[-1].policy.providers) == ("client", "client-file:kiosk", ("lab",))
    (tmp_path / "kiosk.json").unlink()
    await door.clients.reload()
    door.identity.forget()
    assert await door.refused(door.issuer.token(sub="kiosk", client_id="kiosk").encode()) is PolicyDenied


async def test_a_client_that_is_disabled_lets_nobody_in(door: Door, store: Store) -> None:
    await account(store, "shop", disabled_at=2.0)
    assert await door.refused(door.issuer.token(sub="shop", client_id="shop").encode()) is RevokedKey


async def test_who_is_nobody_here_may_do_nothing(door: Door, store: Store) -> None:
    await account(store, "shop", kind="team")
    for claims in ({"sub": "ann"}, {"sub": "shop", "client_id": "shop"}, {"sub": "ann", "roles": "staffer"}):
        assert await door.refused(door.issuer.token(**claims).encode()) is PolicyDenied


async def test_what_is_wrong_with_a_token_is_not_remembered(door: Door) -> None:
    early = door.issuer.token(roles="staff", nbf=int(time.time()) + 60).encode()
    assert await door.refused(early) is UnknownKey
    door.issuer.faults["/jwks"] = faults.not_json()
    good = door.issuer.token(roles="staff").encode()
    assert await door.refused(good) is IssuerUnavailable
    door.issuer.faults.clear()
    door.clock.ahead = 40
    assert (await door.identity.identify(good)).id == "user-ann"
    assert (await door.identity.identify(early)).id == "user-ann"


async def test_a_token_is_verified_again_once_its_keys_are_old_and_ends_when_it_says(door: Door) -> None:
    door.issuer.cache_control = "max-age=400"
    secret = door.issuer.token(roles="staff", exp=int(time.time()) + 1000).encode()
    await door.identity.identify(secret)
    door.clock.ahead = 401
    assert door.identity.known(secret) is None
    assert (await door.identity.identify(secret)).id == "user-ann"
    door.clock.ahead = 1031
    assert await door.refused(secret) is ExpiredKey


async def test_a_withdrawn_key_opens_nothing(door: Door) -> None:
    door.issuer.cache_control = "max-age=300"
    ends = int(time.time()) + 90_000
    secret = door.issuer.token(roles="staff", exp=ends).encode()
    await door.identity.identify(secret)
    door.issuer.rotate()
    door.clock.ahead = 301 + keyset.PAUSE_S
    await door.enter(roles="staff", exp=ends)  # fetches the new keys
    assert await door.refused(secret) is UnknownKey


async def test_other_secrets_are_as_unknown_as_before(door: Door) -> None:
    async with FakeIssuer() as other:
        for secret in (b"agk-nobody", other.token(roles="staff").encode(), b"eyJ.eyJ.x"):
            assert await door.refused(secret) is UnknownKey
    assert not door.issuer.asked
