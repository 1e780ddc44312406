"""Files and batches in every store: who sees them, who may write to a batch, and what is left of a worker that was cut off."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from aldgate.core.batches import BatchLine, LineError, LineResult, StoredBatch
from aldgate.core.errors import Conflict, StorageFull
from aldgate.core.files import StoredFile
from aldgate.core.leases import LeaseLost
from aldgate.core.usage import Usage
from aldgate.storage import Store
from aldgate.store.stores import open_url
from tests.servers import NewUrl
from tests.store.rows import NOON, ROW

FILE = StoredFile("file-1", "key-1", "batch", 'a "name".jsonl', 100, "ab" * 32, NOON)
BATCH = StoredBatch(
    id="batch_1",
    account="key-1",
    principal="key-1",
    endpoint="/v1/chat/completions",
    input_file_id="file-1",
    input_sha256="ab" * 32,
    created_at=NOON,
    expires_at=NOON + 86_400,
    metadata={"día": "☂"},
)
LINES = [BatchLine(number, f"c-{number}", number * 10, 9) for number in range(1, 6)]
QUOTA = 10 * 4_096


async def taken(store: Store, lease_s: float = 30, batch: StoredBatch = BATCH) -> StoredBatch:
    found = await store.take_batch(lease_s)
    assert found is not None and found.id == batch.id
    return found


async def test_a_file_is_its_accounts_until_it_expires(store: Store):
    await store.add_file(FILE, QUOTA)
    await store.add_file(replace(FILE, id="file-2", expires_at=NOON + 10), QUOTA)
    assert await store.get_file("key-1", "file-1", NOON) == FILE
    assert await store.get_file("key-2", "file-1", NOON) is None
    assert await store.get_file("key-1", "file-2", NOON + 10) is None
    assert not await store.delete_file("key-2", "file-1")
    assert await store.delete_expired_files(NOON + 9) == []
    assert await store.delete_expired_files(NOON + 10) == [FILE.sha256]
    assert await store.unused_contents([FILE.sha256, "cd" * 32]) == {"cd" * 32}
    assert await store.delete_file("key-1", "file-1") and not await store.delete_file("key-1", "file-1")
    assert await store.unused_contents([FILE.sha256]) == {FILE.sha256}
    await store.add_batch(BATCH)
    assert await store.unused_contents([FILE.sha256]) == set()


async def test_an_accounts_files_have_a_bound(store: Store):
    for number in range(10):
        await store.add_file(replace(FILE, id=f"file-{number}", bytes=number % 2 * 4_096), QUOTA)
    with pytest.raises(StorageFull):
        await store.add_file(replace(FILE, id="file-x", bytes=0), QUOTA)
    await store.add_file(replace(FILE, id="file-x", account="key-2"), QUOTA)


async def test_files_of_one_moment_are_listed_each_once(store: Store):
    for number in range(7):
        await store.add_file(replace(FILE, id=f"file-{number}", purpose="evals" if number == 3 else "batch"), QUOTA)
    options = {"purpose": None, "limit": 3}
    for is_ascending in (True, False):
        seen: list[str] = []
        last = None
        while page := await store.list_files("key-1", NOON, after=last, is_ascending=is_ascending, **options):
            seen += [file.id for file in page]
            last = page[-1]
        assert seen == sorted(seen, reverse=not is_ascending) and len(seen) == 7
    found = await store.list_files("key-1", NOON, purpose="evals", after=None, limit=9, is_ascending=True)
    assert [file.id for file in found] == ["file-3"]


async def test_a_batch_comes_back_as_it_was_kept(store: Store):
    await store.add_batch(BATCH)
    with pytest.raises(Conflict):
        await store.add_batch(BATCH)
    assert await store.get_batch("key-1", "batch_1") == BATCH
    assert await store.get_batch("key-2", "batch_1") is None
    assert await store.cancel_batch("key-2", "batch_1", NOON) is None
    assert await store.count_unfinished_batches("key-1") == 1
    later = replace(BATCH, id="batch_2", created_at=NOON + 1, metadata=None)
    await store.add_batch(later)
    assert await store.list_batches("key-1", after=None, limit=9) == [later, BATCH]
    assert await store.list_batches("key-1", after=later, limit=9) == [BATCH]
    assert await store.list_batches("key-2", after=None, limit=9) == []


async def test_from_its_lines_to_its_end(store: Store):
    await store.add_batch(BATCH)
    batch = await taken(store)
    await store.add_lines(batch, LINES[:3])
    await store.add_lines(batch, LINES)  # by one who was cut off before, some are there already
    assert await store.start_batch(batch, NOON + 1, 5, "small") == "in_progress"
    assert await store.waiting_lines("batch_1", 0, 2) == LINES[:2]
    assert await store.waiting_lines("batch_1", 2, 9) == LINES[2:]
    usage = Usage(10, 5, cached_tokens=2, reasoning_tokens=1)
    for line in LINES:
        assert await store.call_line(batch, line.line, f"req-{line.line}") == "in_progress"
        await store.finish_line(batch, LineResult(line.line, b"\x00text", line.line != 2, usage))
    assert await store.waiting_lines("batch_1", 0, 9) == []
    assert [(each.line, each.is_good) for each in await store.line_results("batch_1", 1, 2)] == [(2, False), (3, True)]
    assert await store.finalize_batch(batch, NOON + 2) == "finalizing"
    output = replace(FILE, id="file-out", purpose="batch_output")
    await store.finish_batch(batch, "completed", NOON + 3, [output, replace(output, id="file-err", bytes=0)])
    done = await store.get_batch("key-1", "batch_1")
    assert done is not None and (done.status, done.model, done.total, done.completed, done.failed) == (
        "completed",
        "small",
        5,
        4,
        1,
    )
    assert (done.in_progress_at, done.finalizing_at, done.completed_at) == (NOON + 1, NOON + 2, NOON + 3)
    assert (done.output_file_id, done.error_file_id) == ("file-out", None)
    assert (done.input_tokens, done.cached_tokens, done.output_tokens, done.reasoning_tokens) == (50, 10, 25, 5)
    assert await store.get_file("key-1", "file-out", NOON) == output
    assert await store.get_file("key-1", "file-err", NOON) is None
    assert await store.line_results("batch_1", 0, 9) == []
    assert await store.take_batch(30) is None
    cancelled = await store.cancel_batch("key-1", "batch_1", NOON)
    assert cancelled is not None and cancelled.status == "completed"


async def test_a_failed_batch_says_why(store: Store):
    await store.add_batch(BATCH)
    errors = [LineError("invalid_json_line", "No.", 2), LineError("empty_file", "No.")]
    await store.finish_batch(await taken(store), "failed", NOON, errors=errors)
    failed = await store.get_batch("key-1", "batch_1")
    assert failed is not None and (failed.status, failed.errors, failed.failed_at) == ("failed", errors, NOON)


async def test_a_cancelled_batch_does_not_go_on(store: Store):
    await store.add_batch(BATCH)
    batch = await taken(store)
    await store.add_lines(batch, LINES)
    cancelled = await store.cancel_batch("key-1", "batch_1", NOON + 1)
    assert cancelled is not None and (cancelled.status, cancelled.cancelling_at) == ("cancelling", NOON + 1)
    assert await store.start_batch(batch, NOON + 2, 5, None) == "cancelling"
    assert await store.hold_batch(batch, 60) == "cancelling"
    assert await store.finalize_batch(batch, NOON + 3) == "cancelling"
    again = await store.cancel_batch("key-1", "batch_1", NOON + 4)
    assert again is not None and again.cancelling_at == NOON + 1
    await store.finish_batch(batch, "cancelled", NOON + 5, failed=5)
    ended = await store.get_batch("key-1", "batch_1")
    assert ended is not None and (ended.status, ended.cancelled_at, ended.failed) == ("cancelled", NOON + 5, 5)


async def test_whose_lease_ran_out_may_write_nothing(store: Store):
    await store.add_batch(BATCH)
    first = await taken(store)
    assert await store.take_batch(30) is None
    await store.hold_batch(first, -1)
    second = await taken(store)
    await store.add_lines(second, LINES)
    for write in (
        store.hold_batch(first, 30),
        store.add_lines(first, LINES),
        store.start_batch(first, NOON, 5, None),
        store.call_line(first, 1, "req-1"),
        store.put_line_back(first, 1),
        store.finish_line(first, LineResult(1, b"", True)),
        store.finalize_batch(first, NOON),
        store.finish_batch(first, "completed", NOON, [FILE]),
    ):
        with pytest.raises(LeaseLost):
            await write
    assert await store.get_file("key-1", "file-1", NOON) is None
    assert [line.line for line in await store.waiting_lines("batch_1", 0, 9)] == [1, 2, 3, 4, 5]


async def test_a_worker_whose_clock_is_fast_takes_nobodys_batch(new_postgres: NewUrl, monkeypatch: pytest.MonkeyPatch):
    url = new_postgres()
    slow, fast = open_url(url, "slow"), open_url(url, "fast")
    for each in (slow, fast):
        await each.open()
    await slow.add_batch(BATCH)
    await taken(slow)
    hour_ahead = time.time() + 3_600
    monkeypatch.setattr(time, "time", lambda: hour_ahead)
    assert await fast.take_batch(30) is None
    monkeypatch.undo()
    for each in (slow, fast):
        await each.aclose()


async def test_of_workers_at_once_one_takes_a_batch(url: str):
    stores = [open_url(url, f"process-{number}") for number in range(3)]
    for each in stores:
        await each.open()
    await stores[0].add_batch(BATCH)
    found = await asyncio.gather(*(each.take_batch(30) for each in stores))
    assert sorted(batch is None for batch in found) == [False, True, True]
    for each in stores:
        await each.aclose()


async def test_what_was_cut_off_waits_again_and_is_billed_once(store: Store):
    """Only a call that is in the ledger as good keeps its id: the ledger then leaves its second row alone."""
    await store.add_batch(BATCH)
    batch = await taken(store)
    await store.add_lines(batch, LINES)
    for line in LINES[:4]:
        await store.call_line(batch, line.line, f"req-{line.line}")
    await store.finish_line(batch, LineResult(4, b"done", True))
    await store.record([replace(ROW, call_id="req-1"), replace(ROW, call_id="req-2", status=429)], [])
    await store.put_line_back(batch, 3)
    await store.hold_batch(batch, 0)
    await taken(store)
    assert await store.waiting_lines("batch_1", 0, 9) == [
        replace(LINES[0], call_id="req-1", cuts=1),
        replace(LINES[1], cuts=1),
        LINES[2],
        LINES[4],
    ]


async def test_a_database_of_ones_own_has_no_leases_left_at_the_start(sqlite_url: str):
    first = open_url(sqlite_url, "one")
    await first.open()
    await first.add_batch(BATCH)
    await taken(first)
    await first.aclose()
    second = open_url(sqlite_url, "two")
    await second.open()
    assert (await taken(second)).token == 2
    await second.aclose()
