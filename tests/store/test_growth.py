"""A batch of the ledger leaves nothing behind, not even for the garbage collector: there is one five times a second."""

import gc

import pytest
from msgspec.structs import replace

from aldgate.storage import Store
from tests.store.rows import ROW, ask
from tests.support import uncollected

BATCHES = 50
"""Something per batch would be at least as many objects."""


async def record(store: Store, first: int) -> None:
    for number in range(first, first + BATCHES):
        await store.record([replace(ROW, call_id=f"req-{number}")], [ask(reported=number)])


@pytest.mark.anyio
async def test_batches_leave_nothing(store: Store) -> None:
    await record(store, 0)
    with uncollected():
        before = len(gc.get_objects())
        await record(store, BATCHES)
        assert len(gc.get_objects()) - before < BATCHES
