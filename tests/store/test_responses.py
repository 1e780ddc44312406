"""Kept responses, in whichever database."""

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from aldgate.core.errors import BodyTooLarge
from aldgate.core.kept import KeptResponse
from aldgate.storage import Store
from aldgate.store.responses import ROW_BYTES
from aldgate.store.tables import response_sizes
from tests.store.rows import NOON

DAY_S = 86_400
MANY = 10_000_000
FIRST = KeptResponse("resp_1", None, NOON, NOON + 30 * DAY_S, "completed", "this-process", b'"Hi"', b'{"id":"resp_1"}')
SECOND = replace(FIRST, id="resp_2", previous_id="resp_1", created_at=NOON + 1, expires_at=NOON + 31 * DAY_S)


async def keep(store: Store, kept: KeptResponse, account: str = "key-1", events: bytes | None = None, quota: int = MANY) -> None:
    await store.keep_response(account, kept, events, quota)


async def test_a_response_is_found_as_it_was_kept_by_its_owner_alone(store: Store):
    await keep(store, FIRST)
    assert await store.find_response("key-1", "resp_1", NOON) == FIRST
    assert await store.find_response("key-2", "resp_1", NOON) is None
    assert await store.response_chain("key-2", "resp_1", MANY) == []
    assert await store.delete_response("key-2", "resp_1") is False


async def test_the_same_id_may_be_kept_by_two_accounts(store: Store):
    other = replace(FIRST, body=b"{}")
    await keep(store, FIRST)
    await keep(store, other, "key-2")
    assert await store.find_response("key-1", "resp_1", NOON) == FIRST
    assert await store.find_response("key-2", "resp_1", NOON) == other


async def test_a_later_state_takes_the_place_of_an_earlier_one(store: Store):
    await keep(store, replace(FIRST, status="in_progress"))
    await keep(store, FIRST)
    assert await store.find_response("key-1", "resp_1", NOON) == FIRST


async def test_a_chain_is_told_from_its_beginning(store: Store):
    third = replace(SECOND, id="resp_3", previous_id="resp_2")
    fork = replace(SECOND, id="resp_fork")
    for kept in (FIRST, SECOND, third, fork):
        await keep(store, kept)
    await keep(store, replace(SECOND, previous_id="resp_9"), "key-2")
    assert await store.response_chain("key-1", "resp_3", MANY) == [FIRST, SECOND, third]
    assert await store.response_chain("key-1", "resp_fork", MANY) == [FIRST, fork]
    assert await store.response_chain("key-1", "resp_9", MANY) == []


async def test_a_chain_that_leads_back_to_itself_ends(store: Store):
    await keep(store, replace(FIRST, previous_id="resp_2"))
    await keep(store, SECOND)
    chain = await store.response_chain("key-1", "resp_2", MANY)
    assert len(chain) > 1


async def test_what_is_deleted_is_gone(store: Store):
    await keep(store, FIRST)
    assert await store.delete_response("key-1", "resp_1") is True
    assert await store.find_response("key-1", "resp_1", NOON) is None
    assert await store.delete_response("key-1", "resp_1") is False


async def test_an_expired_response_is_kept_only_for_what_continues_it(store: Store):
    await keep(store, replace(FIRST, expires_at=NOON + 1))
    await keep(store, replace(FIRST, id="resp_lone", expires_at=NOON + 1))
    await keep(store, SECOND)
    assert await store.find_response("key-1", "resp_1", NOON + 2) is None
    await keep(store, replace(FIRST, id="resp_new", created_at=NOON + 2))
    assert await store.response_chain("key-1", "resp_lone", MANY) == []
    assert [kept.id for kept in await store.response_chain("key-1", "resp_2", MANY)] == ["resp_1", "resp_2"]


async def test_a_chain_that_is_too_much_is_not_read(store: Store):
    await keep(store, FIRST)
    await keep(store, SECOND)
    size = 2 * len(FIRST.input + FIRST.body)
    assert await store.response_chain("key-1", "resp_2", size) == [FIRST, SECOND]
    with pytest.raises(BodyTooLarge):
        await store.response_chain("key-1", "resp_2", size - 1)


async def test_events_are_kept_beside_a_response(store: Store):
    await keep(store, FIRST, events=b"events")
    assert await store.response_events("key-1", "resp_1") == b"events"
    assert await store.response_events("key-2", "resp_1") is None
    await keep(store, SECOND)
    assert await store.response_events("key-1", "resp_2") is None


async def test_what_is_under_way_ends_once(store: Store):
    queued = replace(FIRST, status="queued", lease_s=60, warnings="left out: x")
    await keep(store, queued)
    assert await store.hold_responses([("key-1", "resp_1"), ("key-1", "resp_2")], 90) == {("key-1", "resp_1")}
    found = await store.find_response("key-1", "resp_1", NOON)
    assert found is not None and found.lease_s is not None and 60 < found.lease_s <= 90
    assert replace(found, lease_s=60) == queued
    assert await store.end_response("key-1", FIRST, b"events", MANY) is True
    assert await store.end_response("key-1", replace(FIRST, status="cancelled"), None, MANY) is False
    assert await store.hold_responses([("key-1", "resp_1")], 120) == set()
    assert await store.find_response("key-1", "resp_1", NOON) == FIRST
    assert await store.response_events("key-1", "resp_1") == b"events"


async def test_what_a_process_that_is_gone_had_under_way_is_given_up(store: Store):
    mine = replace(FIRST, id="resp_mine", incarnation=store._incarnation, lease_s=60)
    lost = replace(FIRST, id="resp_lost", incarnation="before", lease_s=60)
    for kept in (mine, lost, FIRST):
        await keep(store, kept)
    await store._give_up_responses()
    held, given_up = [await store.find_response("key-1", name, NOON) for name in ("resp_mine", "resp_lost")]
    assert held is not None and held.lease_s is not None and 0 < held.lease_s <= 60
    assert given_up is not None and given_up.lease_s is not None and given_up.lease_s < 0
    assert await store.find_response("key-1", "resp_1", NOON) == FIRST


BIG = replace(FIRST, body=b"x" * 9_000)
EACH = len(BIG.body) + len(BIG.input) + ROW_BYTES


async def names(store: Store, account: str = "key-1") -> list[str]:
    kept = [await store.find_response(account, f"resp_{number}", NOON) for number in range(10)]
    return [each.id.removeprefix("resp_") for each in kept if each is not None]


def big(number: int, previous: int | None = None) -> KeptResponse:
    previous_id = None if previous is None else f"resp_{previous}"
    return replace(BIG, id=f"resp_{number}", created_at=NOON + number, previous_id=previous_id)


async def test_the_oldest_make_room_for_the_newest(store: Store):
    await keep(store, big(0), "key-2")
    for number in range(6):
        await keep(store, big(number), quota=3 * EACH)
    assert await names(store) == ["3", "4", "5"]
    assert await names(store, "key-2") == ["0"]
    await keep(store, replace(big(6), body=b"x" * 50_000), quota=3 * EACH)
    assert await names(store) == ["6"]


async def test_what_a_younger_one_continues_stays_and_so_does_what_is_under_way(store: Store):
    await keep(store, replace(big(0), lease_s=60), quota=4 * EACH)
    for number, previous in ((1, None), (2, None), (3, 1), (4, 3)):
        await keep(store, big(number, previous), quota=4 * EACH)
    assert await names(store) == ["0", "1", "3", "4"]
    await keep(store, big(5), quota=4 * EACH)
    assert await names(store) == ["0", "1", "3", "5"]


async def test_what_goes_is_counted_off(store: Store):
    for number in range(3):
        await keep(store, big(number), events=b"12345", quota=MANY)
        await keep(store, big(number), quota=3 * EACH)
    await store.delete_response("key-1", "resp_0")
    await keep(store, replace(big(3), lease_s=60), quota=3 * EACH)
    await store.end_response("key-1", big(3), None, 3 * EACH)
    assert await names(store) == ["1", "2", "3"]
    for number in (1, 2, 3):
        await store.delete_response("key-1", f"resp_{number}")
    async with store._database.read() as connection:
        assert await connection.scalar(select(response_sizes.c.bytes).where(response_sizes.c.account == "key-1")) == 0
