"""What every store does, whichever database it is in."""

import asyncio
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from aldgate.core.budgets import Budget
from aldgate.core.errors import Conflict
from aldgate.ports import Credential, IdempotencyRecord, KeyUse, SavedReply, SliceGrant, Store
from aldgate.store.stores import open_url

from .rows import KEY, NOON, ROW, ask

DAY_S = 86_400
REPLY = SavedReply(200, ((b"content-type", b"application/json"), (b"x-odd", b"\xff\x00")), b'{"ok":true}\x00\xff')


async def test_a_store_opens_again_as_it_was_left(url: str):
    store = open_url(url, "one")
    await store.open()
    await store.add_key(KEY, b"digest")
    await store.aclose()
    again = open_url(url, "two")
    await again.open()
    assert await again.get_key("key-1") == KEY
    await again.ping()
    await again.aclose()


async def test_stores_that_open_an_empty_database_together_take_turns(url: str):
    stores = [open_url(url, f"process-{number}") for number in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    kept = await asyncio.gather(*(store.secret("pepper", store_bytes(n)) for n, store in enumerate(stores)))
    assert len({value for value, _ in kept}) == 1
    assert sorted(is_kept for _, is_kept in kept) == [False, False, False, True]
    for store in stores:
        await store.aclose()


def store_bytes(number: int) -> bytes:
    return bytes([number]) * 32


async def test_a_secret_is_kept_once(store: Store):
    assert await store.secret("pepper", b"\x00first") == (b"\x00first", True)
    assert await store.secret("pepper", b"second") == (b"\x00first", False)
    assert await store.secret("other", b"third") == (b"third", True)


# keys


async def test_a_key_comes_back_as_it_was_kept(store: Store):
    budget = Budget(10**15, "month")
    key = replace(KEY, policy=replace(KEY.policy, budgets=(budget,)), expires_at=NOON + 0.5)
    await store.add_key(key, b"\x00digest\xff")
    assert await store.get_key("key-1") == key
    assert await store.find_credential(b"\x00digest\xff") == Credential(b"\x00digest\xff", key, None)


async def test_unknown_keys_are_none(store: Store):
    assert await store.get_key("nobody") is None
    assert await store.find_credential(b"nothing") is None
    assert await store.revoke_key("nobody", NOON) is False
    assert await store.rotate_key("nobody", b"digest", "ag-", NOON) is False
    assert await store.find_credential(b"digest") is None


async def test_an_id_or_digest_is_taken_once(store: Store):
    await store.add_key(KEY, b"one")
    with pytest.raises(Conflict):
        await store.add_key(KEY, b"two")
    with pytest.raises(Conflict):
        await store.add_key(replace(KEY, id="key-2"), b"one")
    assert await store.get_key("key-2") is None


async def test_keys_are_listed_newest_first(store: Store):
    for number in (2, 1, 3):
        await store.add_key(replace(KEY, id=f"key-{number}", created_at=NOON + number), bytes([number]))
    await store.revoke_key("key-2", NOON)
    assert [key.id for key in await store.list_keys()] == ["key-3", "key-2", "key-1"]


async def test_revoking_twice_keeps_the_first_time(store: Store):
    await store.add_key(KEY, b"digest")
    assert await store.revoke_key("key-1", NOON + 1) is True
    assert await store.revoke_key("key-1", NOON + 2) is True
    credential = await store.find_credential(b"digest")
    assert credential is not None and credential.key.revoked_at == NOON + 1


async def test_rotation_overlaps_and_never_prolongs(store: Store):
    await store.add_key(KEY, b"first")
    assert await store.rotate_key("key-1", b"second", "ag-second", NOON + 10) is True
    assert await store.rotate_key("key-1", b"third", "ag-third", NOON + 20) is True
    found = [await store.find_credential(digest) for digest in (b"first", b"second", b"third")]
    assert [each and each.expires_at for each in found] == [NOON + 10, NOON + 20, None]
    assert {each and each.key.prefix for each in found} == {"ag-third"}


async def test_key_uses_count_the_ledger(store: Store):
    await store.add_key(KEY, b"one")
    await store.add_key(replace(KEY, id="key-2"), b"two")
    await store.record(
        [ROW, replace(ROW, call_id="req-1", received_at=NOON + 9), replace(ROW, call_id="req-2", account="admin")], []
    )
    assert await store.key_uses() == {"key-1": KeyUse(2, NOON + 9)}


# ledger


async def sums(store: Store, *group_by: str, account: str | None = None, since: float | None = None, until: float | None = None):
    return await store.usage(group_by=group_by, account=account, since=since, until=until)


async def test_a_row_recorded_twice_is_there_once(store: Store):
    await store.record([ROW, ROW], [])
    await store.record([replace(ROW, cost_microusd=999), replace(ROW, call_id="req-1")], [])
    (total,) = await sums(store)
    assert (total.calls, total.cost_microusd) == (2, 200)


async def test_an_empty_ledger_sums_to_nothing(store: Store):
    (total,) = await sums(store)
    assert (total.calls, total.errors, total.prompt_tokens, total.cost_microusd, total.day) == (0, 0, 0, 0, None)
    assert await sums(store, "key", "model", "day") == []


async def test_usage_is_grouped_and_ordered(store: Store):
    await store.add_key(KEY, b"digest")
    await store.record(
        [
            ROW,
            replace(ROW, call_id="req-1", received_at=NOON + DAY_S / 2 - 0.001, status=500, cost_microusd=7),
            replace(ROW, call_id="req-2", received_at=NOON + DAY_S / 2, model="large", cost_microusd=50),
            replace(ROW, call_id="req-3", received_at=NOON + DAY_S, account="admin", cost_microusd=900),
        ],
        [],
    )
    rows = await sums(store, "key", "model", "day")
    today, tomorrow = (datetime.fromtimestamp(NOON + days * DAY_S, UTC).strftime("%Y-%m-%d") for days in (0, 1))
    assert [(row.key_id, row.key, row.model, row.day, row.calls, row.errors, row.cost_microusd) for row in rows] == [
        ("admin", "admin", "small", tomorrow, 1, 0, 900),
        ("key-1", "web shop", "large", tomorrow, 1, 0, 50),
        ("key-1", "web shop", "small", today, 2, 1, 107),
    ]
    assert [(row.model, row.key, row.cost_microusd) for row in await sums(store, "model")] == [
        ("small", None, 1007),
        ("large", None, 50),
    ]
    (mine,) = await sums(store, account="key-1", since=NOON, until=NOON + DAY_S / 2)
    assert (mine.calls, mine.prompt_tokens, mine.completion_tokens, mine.cached_tokens) == (2, 20, 10, 4)


async def test_recent_use_is_fine_within_the_last_minute_and_coarse_before(store: Store):
    now = datetime.now(UTC).timestamp()
    second = now // 1 - 20
    minute = now // 60 * 60 - 600
    times = [minute + 1, minute + 59, minute + 61, second + 0.1, second + 0.9, second + 1.5]
    await store.record([replace(ROW, call_id=f"req-{at}", received_at=at) for at in times], [])
    await store.record([replace(ROW, call_id="req-other", account="other", received_at=now)], [])
    uses = await store.recent_use("key", "key-1", minute)
    assert [(use.at, use.calls, use.tokens) for use in uses] == [
        (minute + 59, 2, 30),
        (minute + 61, 1, 15),
        (second + 0.9, 2, 30),
        (second + 1.5, 1, 15),
    ]
    assert len(await store.recent_use("key", "key-1", second)) == 2


async def test_a_row_no_database_can_hold_is_mended_and_keeps_none_out(store: Store):
    odd = replace(ROW, call_id="req-1", model="a\0b\ud800", input_tokens=10**30, cost_microusd=-(10**30), total_s=float("nan"))
    most = replace(ROW, call_id="req-2", output_tokens=2**63 - 1)
    await store.record([ROW, odd, most, replace(most, call_id="req-3")], [])
    by_model = {row.model: row for row in await sums(store, "model")}
    assert by_model["small"].calls == 3
    assert (by_model["a?b?"].calls, by_model["a?b?"].prompt_tokens) == (1, 10**15)


# budgets


async def test_a_slice_is_half_of_what_is_free_or_the_minimum(store: Store):
    assert await store.refill("p", 1, [ask(minimum=10, maximum=10_000)]) == [SliceGrant(500, 500)]
    assert await store.refill("p", 2, [ask(minimum=10, maximum=100)]) == [SliceGrant(100, 400)]
    assert await store.refill("p", 3, [ask(minimum=300, maximum=1_000)]) == [SliceGrant(300, 100)]
    assert await store.refill("p", 4, [ask(minimum=101)]) == [SliceGrant(0, 100)]
    assert await store.refill("p", 5, [ask(minimum=100)]) == [SliceGrant(100, 0)]


async def test_all_budgets_grant_or_none_does(store: Store):
    requests = [ask("team", limit=1_000, minimum=50), ask("key-1", limit=40, minimum=50)]
    assert await store.refill("p", 1, requests) == [SliceGrant(0, 1_000), SliceGrant(0, 40)]
    requests = [ask("team", limit=1_000, minimum=50), ask("key-1", limit=90, minimum=50)]
    assert await store.refill("p", 2, requests) == [SliceGrant(50, 950), SliceGrant(50, 40)]


async def test_a_repeated_seq_is_answered_as_before(store: Store):
    first = await store.refill("p", 7, [ask(minimum=100)])
    assert await store.refill("p", 7, [ask(minimum=100)]) == first == [SliceGrant(100, 900)]
    assert await store.refill("p", 8, [ask()]) == [SliceGrant(0, 900)]
    assert await store.refill("p", 7, [ask(minimum=100)]) == [SliceGrant(0, 900)]
    assert await store.refill("q", 7, [ask(minimum=100)]) == [SliceGrant(100, 800)]


async def test_repeats_racing_each_other_are_one_grant(store: Store):
    answers = await asyncio.gather(*(store.refill("p", 1, [ask(minimum=100)]) for _ in range(5)))
    assert answers == [[SliceGrant(100, 900)]] * 5


async def test_reports_settle_and_give_backs_free(store: Store):
    await store.refill("p", 1, [ask(minimum=400)])
    assert await store.refill("p", 2, [ask(reported=150, give_back=200)]) == [SliceGrant(0, 800)]
    assert await store.refill("p", 3, [ask(reported=150, give_back=10_000)]) == [SliceGrant(0, 850)]
    assert await store.refill("p", 4, [ask(reported=100, give_back=-5)]) == [SliceGrant(0, 850)]


async def test_a_bill_over_its_bound_is_a_visible_overdraft(store: Store):
    await store.refill("p", 1, [ask(limit=100, minimum=50)])
    assert await store.refill("p", 2, [ask(limit=100, reported=130)]) == [SliceGrant(0, -30)]
    assert await store.refill("q", 1, [ask(limit=100, minimum=1)]) == [SliceGrant(0, -30)]
    assert await store.refill("p", 3, [ask(limit=200, reported=130, minimum=60)]) == [SliceGrant(60, 10)]


async def test_record_folds_reports_of_this_process(store: Store):
    await store.refill("this-process", 1, [ask(minimum=400)])
    await store.record([ROW], [ask(reported=300, give_back=50)])
    await store.record([], [ask(reported=300)])
    assert await store.refill("this-process", 2, [ask(reported=300, give_back=100)]) == [SliceGrant(0, 700)]


async def test_money_is_counted_to_the_last_microdollar(store: Store):
    limit = 10**15
    assert await store.refill("p", 1, [ask(limit=limit, minimum=limit - 1)]) == [SliceGrant(limit - 1, 1)]
    await store.refill("p", 2, [ask(limit=limit, reported=10**30)])
    await store.refill("q", 1, [ask(limit=limit, reported=10**30)])
    (grant,) = await store.refill("p", 3, [ask(limit=limit, minimum=1)])
    assert grant.granted == 0 and grant.free < 0


async def test_many_budgets_fit_one_refill(store: Store):
    requests = [ask(f"account-{number:04}", minimum=10) for number in range(1_200)]
    assert await store.refill("p", 1, requests) == [SliceGrant(10, 990)] * 1_200


async def test_processes_racing_for_one_budget_never_get_more_than_it_has(url: str):
    stores = [open_url(url, f"process-{number}") for number in range(3)]
    for store in stores:
        await store.open()

    async def take(process: str, store: Store) -> int:
        grants = [await store.refill(process, seq, [ask("b", limit=500, minimum=20), ask("a", minimum=20)]) for seq in range(12)]
        return sum(grant[0].granted for grant in grants)

    taken = await asyncio.gather(*(take(f"process-{number}", store) for number, store in enumerate(stores)))
    assert sum(taken) == 500
    for store in stores:
        await store.aclose()


async def test_what_is_free_is_told_and_nothing_changes(store: Store):
    assert await store.budget_free("p", "key-1", "2026-09", 1_000, 0) == 1_000
    await store.refill("p", 1, [ask(minimum=100)])
    await store.refill("q", 1, [ask(minimum=50)])
    assert await store.budget_free("p", "key-1", "2026-09", 1_000, 30) == 850
    assert await store.budget_free("p", "key-1", "2026-09", 1_000, 130) == 820
    assert await store.budget_free("p", "key-1", "2026-09", 100, 0) == -50
    assert await store.refill("p", 2, [ask(reported=30)]) == [SliceGrant(0, 850)]


# idempotency


async def test_the_first_claim_wins_and_its_reply_is_kept(store: Store):
    claim = ("key-1", "retry-1", b"\x00body", "this-process")
    assert await store.begin_idempotent(*claim, NOON) is None
    assert await store.begin_idempotent("key-1", "retry-1", b"other", "later-process", NOON + 1) == IdempotencyRecord(
        b"\x00body", None, "this-process"
    )
    await store.finish_idempotent("key-1", "retry-1", REPLY)
    assert await store.begin_idempotent(*claim, NOON + 2) == IdempotencyRecord(b"\x00body", REPLY, "this-process")
    assert await store.begin_idempotent("key-2", "retry-1", b"body", "this-process", NOON) is None


async def test_a_key_let_go_may_be_tried_anew(store: Store):
    claim = ("key-1", "retry-1", b"body", "this-process", NOON)
    assert await store.begin_idempotent(*claim) is None
    await store.finish_idempotent("key-1", "retry-1", None)
    assert await store.begin_idempotent(*claim) is None


async def test_of_claims_at_once_one_wins(store: Store):
    claims = [store.begin_idempotent("key-1", "retry-1", b"body", f"process-{number}", NOON) for number in range(6)]
    found = await asyncio.gather(*claims)
    assert found.count(None) == 1


async def test_records_older_than_a_day_are_gone(store: Store):
    for number in range(150):
        await store.begin_idempotent("key-1", f"old-{number:03}", b"body", "this-process", NOON)
    await store.finish_idempotent("key-1", "old-149", REPLY)
    later = NOON + DAY_S + 1
    assert await store.begin_idempotent("key-1", "old-149", b"body", "this-process", later) is None
    assert await store.begin_idempotent("key-1", "old-149", b"body", "this-process", later) is not None
    assert await store.begin_idempotent("key-1", "old-000", b"body", "this-process", later) is None
