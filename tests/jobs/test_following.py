"""Following a job: one reader for all, which survives a database that is away and ends with the last who follows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from aldgate.core.errors import NotFound, StoreUnavailable
from aldgate.core.jobs import Job, Owner
from aldgate.jobs import following
from aldgate.jobs.following import Following
from aldgate.jobs.watching import Watching
from aldgate.queueing import Heard

pytestmark = pytest.mark.anyio
JOB = Job(id="job-1", owner=Owner("key-1", "key-1"), operation="image", engine="builtin")


class OneJob:
    """As much of a store as is asked here."""

    def __init__(self) -> None:
        self.job: Job | None = JOB
        self.fault: Exception | None = None
        self.reads = 0
        self.was_read = asyncio.Event()
        self.heard: Heard | None = None

    async def find_job(self, job_id: str, account: str | None = None, *, is_brief: bool = False) -> Job | None:
        self.reads += 1
        self.was_read.set()
        if self.fault is not None:
            raise self.fault
        return self.job

    async def listen_to_jobs(self, heard: Heard) -> None:
        self.heard = heard
        await asyncio.Event().wait()

    async def change(self, **new: object) -> None:
        """Change the job, and wait until it was read."""
        assert self.job is not None and self.heard is not None
        self.job = replace(self.job, version=self.job.version + 1, **new)
        await self.tell()

    async def tell(self) -> None:
        assert self.heard is not None
        self.was_read.clear()
        self.heard("job-1", "builtin", "state")
        await self.was_read.wait()


@asynccontextmanager
async def followed_by_two() -> AsyncIterator[tuple[OneJob, Following, list[asyncio.Event], following.Followed]]:
    store = OneJob()
    watching = Watching(store)  # pyright: ignore[reportArgumentType]
    listening = asyncio.create_task(watching.run())
    both = Following(store, watching)  # pyright: ignore[reportArgumentType]
    nudges = [asyncio.Event(), asyncio.Event()]
    with both.of(JOB, nudges[0]) as first, both.of(JOB, nudges[1]) as second:
        assert first is second
        await store.was_read.wait()
        while store.heard is None:
            await asyncio.sleep(0)
        yield store, both, nudges, first
    assert both._followed == {}
    reads = store.reads
    store.heard("job-1", "builtin", "state")
    await asyncio.sleep(0)
    assert store.reads == reads
    listening.cancel()


async def test_a_change_is_read_once_and_told_to_all() -> None:
    async with followed_by_two() as (store, _, nudges, followed):
        reads = store.reads
        await store.change(state="running")
        for nudge in nudges:
            await nudge.wait()
        assert followed.job.state == "running" and store.reads == reads + 1


async def test_what_is_told_without_a_change_nudges_nobody() -> None:
    async with followed_by_two() as (store, _, nudges, _followed):
        await store.tell()
        await asyncio.sleep(0)
        assert not any(nudge.is_set() for nudge in nudges)


async def test_a_database_that_was_away_is_asked_again() -> None:
    async with followed_by_two() as (store, _, nudges, followed):
        store.fault = StoreUnavailable("away")
        await store.change(state="running")
        assert followed.job.state == "queued"
        store.fault = None
        await store.tell()
        await nudges[0].wait()
        assert followed.job.state == "running"


async def test_what_has_ended_is_read_no_more() -> None:
    async with followed_by_two() as (store, both, nudges, followed):
        await store.change(state="succeeded")
        await nudges[1].wait()
        reads, late = store.reads, asyncio.Event()
        with both.of(JOB, late) as found:
            assert found.job.state == "succeeded"
        assert (followed.job.state, store.reads) == ("succeeded", reads)


async def test_what_somebody_knows_already_is_told_to_the_others() -> None:
    async with followed_by_two() as (_, both, nudges, followed):
        with both.of(replace(JOB, state="running", version=JOB.version + 5), asyncio.Event()):
            await nudges[0].wait()
            assert followed.job.state == "running"
        with both.of(JOB, asyncio.Event()) as found:
            assert found.job.version == JOB.version + 5


@pytest.mark.parametrize("fault", [None, RuntimeError("a fault of ours")])
async def test_who_follows_what_cannot_be_read_is_told(fault: Exception | None) -> None:
    async with followed_by_two() as (store, _, nudges, followed):
        store.job, store.fault = None, fault
        await store.tell()
        for nudge in nudges:
            await nudge.wait()
        with pytest.raises(NotFound if fault is None else RuntimeError):
            followed.job  # noqa: B018 - reading it raises


async def test_a_job_that_has_ended_already_is_never_read() -> None:
    store = OneJob()
    with Following(store, Watching(store)).of(replace(JOB, state="failed"), asyncio.Event()) as followed:  # pyright: ignore[reportArgumentType]
        await asyncio.sleep(0)
        assert (followed.job.state, store.reads) == ("failed", 0)
