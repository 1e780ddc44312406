import asyncio
from typing import Any

import pytest

from aldgate.core.budgets import Budget
from aldgate.core.errors import ExpiredKey, GatewayError, MissingKey, RevokedKey, StoreUnavailable, UnknownKey
from aldgate.core.limits import Limits
from aldgate.core.policies import Policy
from aldgate.gate.principals import identity as module
from aldgate.gate.principals.identity import ADMIN, LONGEST_SECRET, Identity
from aldgate.storage import Credential, Store, StoredKey
from tests.gate.conftest import Clock

PEPPER = b"pepper"
SECRET = b"agk-secret"
POLICY = Policy(scopes=frozenset({"chat"}), limits=Limits(rpm=3), budgets=(Budget(5, "day"),))


def key(clock: Clock, **more: Any) -> StoredKey:
    fields: dict[str, Any] = {
        "id": "key-1",
        "name": "shop",
        "prefix": "agk-",
        "policy": POLICY,
    }
    return StoredKey(**{**fields, "created_at": clock.at, **more})


class Asked:
    """The part of a store that `Identity` asks: counts the questions, and holds answers back on request."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.questions = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_away = False

    async def find_credential(self, digest: bytes) -> Credential | None:
        self.questions += 1
        if self.is_away:
            raise StoreUnavailable("away")
        found = await self._store.find_credential(digest)
        await self.gate.wait()
        return found


@pytest.fixture
def asked(store: Store) -> Asked:
    return Asked(store)


@pytest.fixture
def identity(asked: Asked, clock: Clock) -> Identity:
    probe = Identity(asked, PEPPER, b"")  # pyright: ignore[reportArgumentType]
    return Identity(asked, PEPPER, probe.digest(b"admin-secret"), clock)  # pyright: ignore[reportArgumentType]


async def refused(identity: Identity, secret: bytes) -> type[GatewayError]:
    with pytest.raises(GatewayError) as raised:
        await identity.identify(secret)
    return type(raised.value)


@pytest.mark.anyio
async def test_a_key_is_looked_up_once_and_means_its_principal(
    identity: Identity, asked: Asked, store: Store, clock: Clock
) -> None:
    await store.add_key(key(clock, expires_at=clock.at + 9), identity.digest(SECRET))
    assert identity.known(SECRET) is None
    for _ in range(3):
        principal = await identity.identify(SECRET)
    assert (principal.id, principal.account, principal.kind, principal.name) == ("key-1", "key-1", "key", "shop")
    assert principal.rights.scopes == {"chat"} and [level.policy for level in principal.levels] == [POLICY]
    assert (principal.rights.has_budget, principal.expires_at) == (True, clock.at + 9)
    assert identity.known(SECRET) is principal
    assert asked.questions == 1


@pytest.mark.anyio
async def test_the_admin_is_known_without_the_store(identity: Identity, asked: Asked) -> None:
    asked.is_away = True
    assert (await identity.identify(b"admin-secret")).id == ADMIN.id
    assert asked.questions == 0


@pytest.mark.anyio
async def test_missing_unknown_expired_and_revoked_are_told_apart(
    identity: Identity, asked: Asked, store: Store, clock: Clock
) -> None:
    assert await refused(identity, b"") is MissingKey
    assert await refused(identity, b"x" * (LONGEST_SECRET + 1)) is UnknownKey
    assert asked.questions == 0
    assert await refused(identity, b"nobody's") is UnknownKey
    await store.add_key(key(clock, expires_at=clock.at), identity.digest(b"late"))
    assert await refused(identity, b"late") is ExpiredKey
    await store.add_key(key(clock, id="key-2", revoked_at=clock.at, expires_at=clock.at), identity.digest(b"gone"))
    assert await refused(identity, b"gone") is RevokedKey


@pytest.mark.anyio
async def test_refusals_are_cached_and_never_the_same_exception(identity: Identity, asked: Asked) -> None:
    raised: list[GatewayError] = []
    for _ in range(3):
        try:
            await identity.identify(b"nobody's")
        except UnknownKey as error:
            raised.append(error)
    assert asked.questions == 1
    assert len({id(error) for error in raised}) == 3
    assert len({error.message for error in raised}) == 1


@pytest.mark.anyio
async def test_a_cached_key_expires_on_time(identity: Identity, store: Store, clock: Clock) -> None:
    await store.add_key(key(clock, expires_at=clock.at + 1), identity.digest(SECRET))
    await identity.identify(SECRET)
    clock.at += 0.999
    assert identity.known(SECRET) is not None
    clock.at += 0.001
    with pytest.raises(ExpiredKey):
        identity.known(SECRET)


@pytest.mark.anyio
async def test_after_a_rotation_both_secrets_work_until_the_old_one_ends(identity: Identity, store: Store, clock: Clock) -> None:
    await store.add_key(key(clock), identity.digest(b"old"))
    await store.rotate_key("key-1", identity.digest(b"new"), "agk-new", clock.at + 60)
    assert (await identity.identify(b"old")).id == (await identity.identify(b"new")).id == "key-1"
    clock.at += 60
    assert await refused(identity, b"old") is ExpiredKey
    assert (await identity.identify(b"new")).id == "key-1"


@pytest.mark.anyio
async def test_a_revoked_key_is_refused_from_the_moment_it_is_forgotten(identity: Identity, store: Store, clock: Clock) -> None:
    await store.add_key(key(clock), identity.digest(SECRET))
    await identity.identify(SECRET)
    await store.revoke_key("key-1", clock.at)
    identity.forget()
    assert await refused(identity, SECRET) is RevokedKey


@pytest.mark.anyio
async def test_a_look_up_under_way_while_the_key_is_revoked_is_not_believed(
    identity: Identity, asked: Asked, store: Store, clock: Clock
) -> None:
    await store.add_key(key(clock), identity.digest(SECRET))
    asked.gate.clear()
    call = asyncio.create_task(identity.identify(SECRET))
    while not asked.questions:
        await asyncio.sleep(0)
    await store.revoke_key("key-1", clock.at)
    identity.forget()
    asked.gate.set()
    with pytest.raises(RevokedKey):
        await call
    assert await refused(identity, SECRET) is RevokedKey


@pytest.mark.anyio
async def test_a_store_that_is_away_is_not_an_unknown_key_and_is_not_remembered(
    identity: Identity, asked: Asked, store: Store, clock: Clock
) -> None:
    asked.is_away = True
    assert await refused(identity, SECRET) is StoreUnavailable
    asked.is_away = False
    await store.add_key(key(clock), identity.digest(SECRET))
    assert (await identity.identify(SECRET)).id == "key-1"


@pytest.mark.anyio
async def test_strangers_cannot_fill_the_memory(identity: Identity, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_SIZE", 3)
    for number in (1, 2, 3, 4, 2, 3, 4):
        await refused(identity, b"guess %d" % number)
    assert asked.questions == 4
    await refused(identity, b"guess 1")
    assert asked.questions == 5


@pytest.mark.anyio
async def test_a_digest_depends_on_the_pepper_and_the_whole_secret(identity: Identity, store: Store) -> None:
    other = Identity(store, b"another pepper", b"")
    digests = {each.digest(secret) for each in (identity, other) for secret in (b"x", b"xx", b"", b"x" * 10_000)}
    assert len(digests) == 8 and {len(digest) for digest in digests} == {32}
