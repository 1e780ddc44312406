"""The audit log's chain, whichever database it is in and however many processes add to it."""

import asyncio

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, update

from aldgate.core.audit import Anchor
from aldgate.core.principals import ADMIN
from aldgate.gate.audit import Audit
from aldgate.storage import Store
from aldgate.store.stores import open_url
from aldgate.store.tables import audit
from tests.core.test_audit import ENTRY


async def test_processes_that_write_together_make_one_chain(url: str):
    stores = [open_url(url, f"process-{number}") for number in range(3)]
    for store in stores:
        await store.open()
    await asyncio.gather(*(stores[number % 3].add_audit(replace(ENTRY, target=f"key-{number}")) for number in range(30)))
    findings, rows, head = await Audit(stores[0]).verify()
    assert (findings, rows) == ([], 30) and head is not None and head.seq == 30
    listed = await stores[1].audit_rows(where={}, after=0, limit=100)
    assert [row.seq for row in listed] == list(range(1, 31))
    assert {row.target for row in listed} == {f"key-{number}" for number in range(30)}
    for store in stores:
        await store.aclose()


async def test_an_empty_log_is_whole(store: Store):
    assert await Audit(store).verify() == ([], 0, None)
    assert await store.audit_head() is None


async def test_rows_are_filtered_and_paged(store: Store):
    log = Audit(store, now=lambda: 1_000.0)
    for number in range(5):
        await log.did(ADMIN, "key.create", f"key-{number}", {"name": "a\0\ud800", "n": number})
    await log.refused(ADMIN, "key.revoke", "a\0\ud800", {})
    assert [row.seq for row in await store.audit_rows(where={"act": ["key.create"]}, limit=2)] == [5, 4]
    assert [row.seq for row in await store.audit_rows(where={}, before=4, limit=2)] == [3, 2]
    assert [row.seq for row in await store.audit_rows(where={}, after=4, limit=9)] == [5, 6]
    assert [row.seq for row in await store.audit_rows(where={"outcome": ["refused"]}, limit=9)] == [6]
    assert await store.audit_rows(where={}, since_us=1_000_000_001, limit=9) == []
    assert len(await store.audit_rows(where={}, since_us=1_000_000_000, until_us=1_000_000_001, limit=9)) == 6
    assert (await log.verify())[0] == []


@pytest.mark.parametrize(
    ("harm", "what", "seq"),
    [
        (update(audit).where(audit.c.seq == 2).values(who="nobody"), "changed", 2),
        (delete(audit).where(audit.c.seq == 2), "removed", 2),
        (delete(audit).where(audit.c.seq == 4), "removed", 4),
        (update(audit).where(audit.c.seq == 4).values(seq=9), "reordered", 9),
    ],
    ids=["changed", "removed", "cut off", "moved"],
)
async def test_what_was_done_to_the_table_is_found(store: Store, harm, what: str, seq: int):
    log = Audit(store)
    for number in range(4):
        await log.did(ADMIN, "key.create", f"key-{number}", {})
    head = await store.audit_head()
    assert head is not None
    async with store._database.write() as connection:
        await connection.execute(harm)
    findings, _, _ = await log.verify([Anchor(head.seq, head.hash)])
    assert (seq, what) in [(finding.seq, finding.what) for finding in findings]
