"""Clients and their secrets, and changed keys, in every kind of store."""

import asyncio

import pytest
from msgspec.structs import replace

from aldgate.core.clients import ClientSecret, StoredClient
from aldgate.core.errors import Conflict
from aldgate.core.policies import Policy
from aldgate.storage import Store, StoredAccount

from .rows import KEY, NOON

ACCOUNT = StoredAccount(id="client-1", kind="client", name="shop", policy=Policy(models=("a*",)), created_at=NOON)
FIRST = ClientSecret("$argon2id$first", NOON)
CLIENT = StoredClient("client-1", "groq", "mixtral", (FIRST,))


async def test_a_client_comes_back_as_it_was_kept(store: Store):
    await store.add_client(ACCOUNT, CLIENT)
    assert await store.find_client("client-1") == CLIENT
    assert await store.find_account("client", "shop") == ACCOUNT
    assert await store.find_client("client-2") is None


async def test_a_client_whose_name_is_taken_leaves_nothing_behind(store: Store):
    await store.add_client(ACCOUNT, CLIENT)
    with pytest.raises(Conflict):
        await store.add_client(replace(ACCOUNT, id="client-2"), replace(CLIENT, account="client-2"))
    assert await store.find_client("client-2") is None and await store.lineage("client-2") == ()


async def test_a_client_is_changed_without_its_secrets(store: Store):
    await store.add_client(ACCOUNT, CLIENT)
    renamed = replace(ACCOUNT, name="store")
    assert await store.save_client(renamed, StoredClient("client-1", "openai", ""))
    assert await store.find_client("client-1") == StoredClient("client-1", "openai", "", (FIRST,))
    assert await store.find_account("client", "store") == renamed
    assert not await store.save_client(replace(ACCOUNT, id="client-2", name="x"), StoredClient("client-2"))
    assert await store.find_client("client-2") is None


async def test_an_account_becomes_a_client_when_it_is_given_what_clients_have(store: Store):
    await store.add_account(ACCOUNT)
    await store.add_account(replace(ACCOUNT, id="client-2", name="other"))
    assert await store.save_client(ACCOUNT, StoredClient("client-1", "groq", ""))
    assert await store.rotate_client_secret("client-2", FIRST, NOON)
    assert await store.find_client("client-1") == StoredClient("client-1", "groq", "")
    assert await store.find_client("client-2") == StoredClient("client-2", secrets=(FIRST,))


async def test_a_rotation_overlaps_never_prolongs_and_forgets_what_has_ended(store: Store):
    await store.add_client(ACCOUNT, CLIENT)
    second, third = ClientSecret("second", NOON + 10), ClientSecret("third", NOON + 20)
    assert await store.rotate_client_secret("client-1", second, NOON + 15)
    kept = await store.find_client("client-1")
    assert kept is not None and kept.secrets == (second, replace(FIRST, expires_at=NOON + 15))
    assert await store.rotate_client_secret("client-1", third, NOON + 999)
    kept = await store.find_client("client-1")
    assert kept is not None and kept.secrets == (third, replace(second, expires_at=NOON + 999))
    assert await store.rotate_client_secret("client-1", ClientSecret("fourth", NOON + 30), NOON + 40)
    kept = await store.find_client("client-1")
    assert kept is not None and [each.expires_at for each in kept.secrets] == [None, NOON + 40, NOON + 40]
    assert not await store.rotate_client_secret("client-2", FIRST, NOON)


async def test_rotations_at_once_are_all_kept(store: Store):
    await store.add_client(ACCOUNT, CLIENT)
    fresh = [ClientSecret(f"hash {number}", NOON + number) for number in range(4)]
    assert all(await asyncio.gather(*(store.rotate_client_secret("client-1", each, NOON + 60) for each in fresh)))
    kept = await store.find_client("client-1")
    assert kept is not None and len(kept.secrets) == 5
    assert sum(each.expires_at is None for each in kept.secrets) == 1


async def test_a_deleted_account_takes_its_secrets_with_it(store: Store):
    await store.add_client(ACCOUNT, CLIENT)
    assert await store.delete_account("client-1")
    assert await store.find_client("client-1") is None
    await store.add_client(ACCOUNT, CLIENT)
    await store.add_key(replace(KEY, owner="client-1"), b"digest")
    with pytest.raises(Conflict):
        await store.delete_account("client-1")
    assert await store.find_client("client-1") == CLIENT


async def test_a_key_is_changed_in_name_policy_and_end_alone(store: Store):
    await store.add_key(KEY, b"digest")
    wanted = replace(KEY, name="other", policy=Policy(scopes=frozenset({"embed"})), expires_at=NOON + 1)
    assert await store.change_key(replace(wanted, prefix="forged", made_by="somebody", revoked_at=NOON))
    assert await store.get_key(KEY.id) == wanted
    assert not await store.change_key(replace(KEY, id="key-none"))
