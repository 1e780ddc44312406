"""Kept responses, in whichever database."""

import pytest
from msgspec.structs import replace

from aldgate.core.errors import BodyTooLarge
from aldgate.ports import KeptResponse, Store
from tests.store.rows import NOON

DAY_S = 86_400
MANY = 10_000_000
FIRST = KeptResponse("resp_1", None, NOON, NOON + 30 * DAY_S, "completed", "this-process", b'"Hi"', b'{"id":"resp_1"}')
SECOND = replace(FIRST, id="resp_2", previous_id="resp_1", created_at=NOON + 1, expires_at=NOON + 31 * DAY_S)


async def test_a_response_is_found_as_it_was_kept_by_its_owner_alone(store: Store):
    await store.keep_response("key-1", FIRST)
    assert await store.find_response("key-1", "resp_1", NOON) == FIRST
    assert await store.find_response("key-2", "resp_1", NOON) is None
    assert await store.response_chain("key-2", "resp_1", MANY) == []
    assert await store.delete_response("key-2", "resp_1") is False


async def test_the_same_id_may_be_kept_by_two_accounts(store: Store):
    other = replace(FIRST, body=b"{}")
    await store.keep_response("key-1", FIRST)
    await store.keep_response("key-2", other)
    assert await store.find_response("key-1", "resp_1", NOON) == FIRST
    assert await store.find_response("key-2", "resp_1", NOON) == other


async def test_a_later_state_takes_the_place_of_an_earlier_one(store: Store):
    await store.keep_response("key-1", replace(FIRST, status="in_progress"))
    await store.keep_response("key-1", FIRST)
    assert await store.find_response("key-1", "resp_1", NOON) == FIRST


async def test_a_chain_is_told_from_its_beginning(store: Store):
    third = replace(SECOND, id="resp_3", previous_id="resp_2")
    fork = replace(SECOND, id="resp_fork")
    for kept in (FIRST, SECOND, third, fork):
        await store.keep_response("key-1", kept)
    await store.keep_response("key-2", replace(SECOND, previous_id="resp_9"))
    assert await store.response_chain("key-1", "resp_3", MANY) == [FIRST, SECOND, third]
    assert await store.response_chain("key-1", "resp_fork", MANY) == [FIRST, fork]
    assert await store.response_chain("key-1", "resp_9", MANY) == []


async def test_a_chain_that_leads_back_to_itself_ends(store: Store):
    await store.keep_response("key-1", replace(FIRST, previous_id="resp_2"))
    await store.keep_response("key-1", SECOND)
    chain = await store.response_chain("key-1", "resp_2", MANY)
    assert len(chain) > 1


async def test_what_is_deleted_is_gone(store: Store):
    await store.keep_response("key-1", FIRST)
    assert await store.delete_response("key-1", "resp_1") is True
    assert await store.find_response("key-1", "resp_1", NOON) is None
    assert await store.delete_response("key-1", "resp_1") is False


async def test_an_expired_response_is_kept_only_for_what_continues_it(store: Store):
    await store.keep_response("key-1", replace(FIRST, expires_at=NOON + 1))
    await store.keep_response("key-1", replace(FIRST, id="resp_lone", expires_at=NOON + 1))
    await store.keep_response("key-1", SECOND)
    assert await store.find_response("key-1", "resp_1", NOON + 2) is None
    await store.keep_response("key-1", replace(FIRST, id="resp_new", created_at=NOON + 2))
    assert await store.response_chain("key-1", "resp_lone", MANY) == []
    assert [kept.id for kept in await store.response_chain("key-1", "resp_2", MANY)] == ["resp_1", "resp_2"]


async def test_a_chain_that_is_too_much_is_not_read(store: Store):
    await store.keep_response("key-1", FIRST)
    await store.keep_response("key-1", SECOND)
    size = 2 * len(FIRST.input + FIRST.body)
    assert await store.response_chain("key-1", "resp_2", size) == [FIRST, SECOND]
    with pytest.raises(BodyTooLarge):
        await store.response_chain("key-1", "resp_2", size - 1)
