"""What jobs count in limits: expected at first, corrected when they have ended, wherever that is."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aldgate.core.errors import IdempotencyConflict
from aldgate.core.generation import Generated
from aldgate.core.jobs import Job, Made, Work
from aldgate.core.limits import Limits
from aldgate.core.principals import Policy
from aldgate.gate.jobs import cancel, enqueue, ledger_row, settled, succeeded
from aldgate.jobs.counting import Counting
from aldgate.store.store import SqlStore
from aldgate.store.writer import wait_for_event
from aldgate.testing.making import FolderEngine
from tests.gate.conftest import Clock
from tests.gate.test_gate import House
from tests.gate.test_jobs import claimed, wanted

pytestmark = pytest.mark.anyio
FEW = Policy(limits=Limits(images_per_day=4, gpu_seconds_per_day=1_000, rpm=100))
ALL = {"images per day": 4, "GPU-seconds per day": 1_000}


@pytest.fixture
def house(store: SqlStore, clock: Clock) -> House:
    return House(store, clock)


@pytest.fixture
def engine(tmp_path: Path) -> FolderEngine:
    return FolderEngine("painter", tmp_path, "cancel")


async def left(house: House, engine: FolderEngine) -> dict[str, int]:
    limiter, _ = await house.gate.accounts(wanted(engine, FEW).principal)
    gauge = limiter.of(wanted(engine, FEW).principal)
    assert gauge is not None
    return {each.what: each.left for each in gauge.remaining(0) if each.what in ALL}


async def finished(house: House, store: SqlStore, images: int, gpu_s: int) -> Job:
    running = await claimed(store)
    made = [Made(str(number), "image/png", 1, "x") for number in range(images)]
    end = succeeded(running, Generated(), made, gpu_s)
    return await store.finish_job(running.lease, end, ledger_row(running, end, 0.0))


async def test_the_end_corrects_what_was_expected(house: House, store: SqlStore, engine: FolderEngine):
    await enqueue(house.gate, store, wanted(engine, FEW))
    assert await left(house, engine) == {"images per day": 2, "GPU-seconds per day": 990}
    ended = await finished(house, store, 1, 700)
    row = ledger_row(ended, succeeded(ended, Generated(), [], 0), 0.0)
    settled(house.gate, ended, row)
    settled(house.gate, ended, row)  # only the first time counts
    assert await left(house, engine) == {"images per day": 3, "GPU-seconds per day": 300}


async def test_what_was_cancelled_counts_for_nothing(house: House, store: SqlStore, engine: FolderEngine):
    job = await enqueue(house.gate, store, wanted(engine, FEW))

    def ended(job: Job, row: Any) -> None:
        settled(house.gate, job, row)

    await cancel(store, job.id, "key-1", ended)
    assert await left(house, engine) == ALL


async def test_what_was_not_kept_counts_for_nothing(house: House, store: SqlStore, engine: FolderEngine):
    given = {"idempotency_key": "k"}
    await enqueue(house.gate, store, wanted(engine, FEW, **given))
    await enqueue(house.gate, store, wanted(engine, FEW, **given))
    with pytest.raises(IdempotencyConflict):
        await enqueue(house.gate, store, wanted(engine, FEW, prompt="another", **given))
    assert (await left(house, engine))["images per day"] == 2


async def test_a_job_that_another_process_ended_is_heard_of(house: House, store: SqlStore, engine: FolderEngine):
    job = await enqueue(house.gate, store, wanted(engine, FEW))
    counting = Counting(store, house.gate.job_counts, wait_for_event)
    await counting.look({job.id})
    assert (await left(house, engine))["images per day"] == 2  # it has not ended
    await finished(house, store, 1, 1)
    counting.heard(job.id, "painter", "progress")
    counting.heard("job-of-another", "painter", "state")
    await counting.look({job.id, "job-of-another"})
    assert await left(house, engine) == {"images per day": 3, "GPU-seconds per day": 999}
    assert house.gate.job_counts.open == ()


async def test_it_is_corrected_in_the_background(house: House, store: SqlStore, engine: FolderEngine):
    job = await enqueue(house.gate, store, wanted(engine, FEW))
    await finished(house, store, 1, 1)
    looked = asyncio.Event()

    async def wait(event: asyncio.Event, patience_s: float) -> None:
        if not house.gate.job_counts.has(job.id):
            looked.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    counting = Counting(store, house.gate.job_counts, wait)
    counting.heard(job.id, "painter", "state")
    running = asyncio.create_task(counting.run())
    await asyncio.wait_for(looked.wait(), 10)
    running.cancel()
    assert (await left(house, engine))["images per day"] == 3


async def test_a_job_that_is_forgotten_stays_counted(house: House, store: SqlStore, engine: FolderEngine):
    job = await enqueue(house.gate, store, wanted(engine, FEW))
    await finished(house, store, 2, 1)
    await store.forget_jobs(0.0)
    await Counting(store, house.gate.job_counts, wait_for_event).look({job.id})
    assert (await left(house, engine))["images per day"] == 2 and not house.gate.job_counts.has(job.id)


async def test_the_next_job_is_expected_to_take_as_long_as_those_before(house: House, store: SqlStore, engine: FolderEngine):
    counts = house.gate.job_counts
    assert counts.expected_gpu_s("painter", "") == 1
    job = await enqueue(house.gate, store, wanted(engine))
    for state, gpu_s in (("failed", 900), ("succeeded", 40), ("succeeded", 80)):
        counts.ended(Job(id=job.id, owner=job.owner, operation="image", engine="painter", state=state, done=Work(gpu_s=gpu_s)))
    assert counts.expected_gpu_s("painter", "") == 50
