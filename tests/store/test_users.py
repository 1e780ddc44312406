"""What every store keeps of people, whichever database it is in."""

import asyncio

import pytest
from msgspec.structs import replace

from aldgate.core.errors import Conflict
from aldgate.core.policies import Policy
from aldgate.core.users import StoredInvite, StoredOwnCredential, StoredSession, StoredUser
from aldgate.gate.principals.user_store import UserStore as Store
from aldgate.storage import StoredAccount

NOON = 1_790_000_000.0

ACCOUNT = StoredAccount(id="user-1", kind="user", name="ada", policy=Policy(scopes=frozenset({"chat"})), created_at=NOON)
USER = StoredUser(id="user-1", email="ada@x.org", display_name="Ada", password="$argon2", preferences=b'{"a":1}')
SESSION = StoredSession(digest=b"\x00session", user="user-1", created_at=NOON, seen_at=NOON, expires_at=NOON + 60)
INVITE = StoredInvite(digest=b"\xffinvite", role="viewer", email="bo@x.org", made_by="admin", expires_at=NOON + 60)
OWN = StoredOwnCredential(id="own-1", user="user-1", provider="lab", sealed=b"\x00\xff", hint="cret", created_at=NOON)


async def test_a_user_comes_back_as_kept_by_name_address_and_id(store: Store):
    assert await store.add_user(ACCOUNT, USER)
    for name in ("ada", "ada@x.org", "user-1"):
        assert await store.find_user(name) == (ACCOUNT, USER)
    assert await store.find_user("Ada") is None
    assert await store.list_users() == [(ACCOUNT, USER)]
    assert await store.lineage("user-1") == (ACCOUNT,)


async def test_names_and_addresses_are_one_space(store: Store):
    await store.add_user(ACCOUNT, USER)
    other = replace(ACCOUNT, id="user-2", name="bo")
    for account, user in (
        (replace(other, name="ada"), StoredUser(id="user-2")),
        (replace(other, name="ada@x.org"), StoredUser(id="user-2")),
        (other, StoredUser(id="user-2", email="ada@x.org")),
        (other, StoredUser(id="user-2", email="ada")),
    ):
        with pytest.raises(Conflict):
            await store.add_user(account, user)
    await store.add_user(other, StoredUser(id="user-2"))
    with pytest.raises(Conflict):
        await store.change_user("user-2", {"email": "ada"})
    await store.change_user("user-1", {"email": "ada@x.org"})


async def test_of_two_that_take_one_name_together_one_has_it(store: Store):
    people = [(replace(ACCOUNT, id=f"user-{n}"), StoredUser(id=f"user-{n}")) for n in range(4)]
    results = await asyncio.gather(*(store.add_user(*each) for each in people), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Conflict", "Conflict", "bool"]


async def test_a_change_touches_nothing_else(store: Store):
    await store.add_user(ACCOUNT, USER)
    await store.change_user("user-1", {"role": "admin", "policy": Policy(), "disabled_at": NOON})
    expected = replace(ACCOUNT, policy=Policy(), disabled_at=NOON), replace(USER, role="admin")
    assert await store.find_user("ada") == expected
    await store.change_user("user-1", {"disabled_at": None})
    assert await store.find_user("ada") == (replace(expected[0], disabled_at=None), expected[1])


async def test_an_invite_is_used_once_and_not_by_who_could_not_be_made(store: Store):
    await store.add_invite(INVITE)
    assert await store.find_invite(INVITE.digest) == INVITE
    await store.add_user(ACCOUNT, USER)
    with pytest.raises(Conflict):
        await store.add_user(replace(ACCOUNT, id="user-2"), StoredUser(id="user-2"), INVITE.digest)
    assert await store.find_invite(INVITE.digest) == INVITE
    people = [(replace(ACCOUNT, id=f"user-b{n}", name=f"b{n}"), StoredUser(id=f"user-b{n}")) for n in range(3)]
    made = await asyncio.gather(*(store.add_user(*each, INVITE.digest) for each in people))
    assert sorted(made) == [False, False, True]
    assert await store.find_invite(INVITE.digest) is None


async def test_a_session_is_kept_seen_and_ended(store: Store):
    await store.add_user(ACCOUNT, USER)
    assert await store.add_session(SESSION, "$argon2")
    assert await store.find_session(SESSION.digest) == SESSION
    found = await store.find_user("ada")
    assert found is not None and found[1].last_login_at == NOON
    await store.see_session(SESSION.digest, NOON + 5)
    assert await store.find_session(SESSION.digest) == replace(SESSION, seen_at=NOON + 5)
    other = replace(SESSION, digest=b"other", created_at=NOON + 1)
    await store.add_session(other, "$argon2")
    await store.end_sessions("user-2", SESSION.digest)
    await store.end_sessions("user-1", other.digest)
    assert await store.find_session(SESSION.digest) and await store.find_session(other.digest) is None
    await store.end_sessions("user-1")
    assert await store.find_session(SESSION.digest) is None


async def test_no_session_begins_with_a_password_that_was_changed_or_of_who_is_disabled(store: Store):
    await store.add_user(ACCOUNT, USER)
    assert not await store.add_session(SESSION, "$another")
    assert not await store.add_session(SESSION, None)
    await store.change_user("user-1", {"disabled_at": NOON})
    assert not await store.add_session(SESSION, "$argon2")
    assert await store.find_session(SESSION.digest) is None


async def test_a_login_forgets_sessions_that_have_expired(store: Store):
    await store.add_user(ACCOUNT, USER)
    await store.add_session(SESSION, "$argon2")
    await store.add_session(replace(SESSION, digest=b"late", created_at=NOON + 60, expires_at=NOON + 99), "$argon2")
    assert await store.find_session(SESSION.digest) is None


async def test_a_credential_replaces_the_one_before_and_is_its_users(store: Store):
    await store.add_user(ACCOUNT, USER)
    await store.add_user(replace(ACCOUNT, id="user-2", name="bo"), StoredUser(id="user-2"))
    for own in (OWN, replace(OWN, user="user-2"), replace(OWN, provider="far"), newer := replace(OWN, id="own-2", sealed=b"2")):
        await store.save_own_credential(own)
    assert await store.own_credentials("user-1") == [replace(OWN, provider="far"), newer]
    assert len(await store.own_credentials()) == 3
    await store.save_own_credential(replace(OWN, sealed=b"again"), again=True)
    assert newer in await store.own_credentials("user-1"), "what is sealed anew does not undo a newer one"
    await store.save_own_credential(replace(newer, sealed=b"again"), again=True)
    assert replace(newer, sealed=b"again") in await store.own_credentials("user-1")
    assert await store.delete_own_credential("user-1", "lab") and not await store.delete_own_credential("user-1", "lab")
    assert [own.provider for own in await store.own_credentials("user-2")] == ["lab"]


async def test_with_an_account_goes_all_that_is_its_users(store: Store):
    await store.add_user(ACCOUNT, USER)
    await store.add_session(SESSION, "$argon2")
    await store.save_own_credential(OWN)
    assert await store.delete_account("user-1")
    assert await store.list_users() == [] and await store.own_credentials() == []
    assert await store.find_session(SESSION.digest) is None
