"""The worker: what becomes of jobs whatever becomes of engines, workers, callers and clocks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from aldgate.core.errors import InvalidRequest, UpstreamBroken, UpstreamOverloaded, UpstreamUnreachable
from aldgate.core.generation import Recovery
from aldgate.core.job_decisions import ByPlaces
from aldgate.core.jobs import Job, Price
from aldgate.gate.jobs import cancel
from aldgate.store.store import SqlStore
from aldgate.store.stores import open_url
from aldgate.testing.making import FolderEngine
from tests.jobs.working import job, shop, until, working

FOREVER_S = 1_000.0
RECOVERIES: tuple[Recovery, ...] = ("adopt", "cancel", "kill", "wait")


@pytest.fixture
async def store(tmp_path: Path):
    store = open_url(f"sqlite:///{tmp_path}/jobs.db", "this-process")
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "engine"
    path.mkdir()
    return path


async def billed(store: SqlStore, ended: Job) -> int:
    """How often it was billed."""
    (sums,) = await store.usage(group_by=[], account=None, since=None, until=None)
    assert sums.cost_microusd == ended.cost_microusd
    return sums.calls


async def lost(store: SqlStore, folder: Path, engine: FolderEngine, **more) -> None:
    """A job that was sent to its engine by a worker that is gone."""
    await store.enqueue_job(job(**more))
    (claim,) = await store.claim_jobs([engine.name], ByPlaces({}), FOREVER_S)
    handle = claim.attempt.reference
    await store.submit_job(claim.job.lease, handle)
    piece = b'{"prompt":"prompt-1","began_at":0,"done_at":%d}'
    (folder / f"{handle}.json").write_bytes(piece % 0)
    await store.renew_jobs([claim.job.lease], -1.0)


async def test_a_job_is_made_kept_and_billed_once(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "cancel", takes_s=0.05)
    async with working(shop(store, folder, engine)):
        await store.enqueue_job(job())
        ended = await until(store, job().id)
    assert (ended.state, ended.attempts, ended.error) == ("succeeded", 1, None)
    assert ended.result is not None and ended.result.text == "prompt-1"
    (made,) = ended.made
    assert (folder / made.sha256).read_bytes() == b"prompt-1"
    assert ended.progress.fraction is not None
    assert await billed(store, ended) == 1


async def test_from_enqueueing_to_starting_nobody_polls(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "cancel")
    async with working(shop(store, folder, engine, poll_s=FOREVER_S)) as worker:
        await until_idle(worker)
        await store.enqueue_job(job())
        assert (await until(store, job().id)).state == "succeeded"


async def until_idle(worker) -> None:
    while not worker._shop.store._bell._heard:
        await asyncio.sleep(0)


async def test_what_fails_is_tried_again_with_its_history(store: SqlStore, folder: Path):
    faults = {"prompt-1": [UpstreamOverloaded("full"), UpstreamBroken("broke")]}
    engine = FolderEngine("painter", folder, "cancel", faults=faults)
    async with working(shop(store, folder, engine)):
        await store.enqueue_job(job())
        ended = await until(store, job().id)
    assert (ended.state, ended.attempts, ended.failures) == ("succeeded", 3, 2)
    attempts = await store.job_attempts(ended.id)
    assert [(each.end, each.error and each.error.code) for each in attempts] == [
        ("failed", "upstream_overloaded"),
        ("failed", "upstream_broken"),
        ("succeeded", None),
    ]
    assert engine.stopped == [attempts[1].handle]  # the first was refused; the second may have gone on
    assert await billed(store, ended) == 1


@pytest.mark.parametrize(("error", "attempts"), [(UpstreamUnreachable("away"), 2), (InvalidRequest("bad"), 1)])
async def test_what_cannot_be_made_is_parked_and_not_charged(store: SqlStore, folder: Path, error, attempts: int):
    engine = FolderEngine("painter", folder, "cancel", faults={"prompt-1": [error] * 9})
    hold = replace(job().hold, price=Price(job=1_000_000))
    async with working(shop(store, folder, engine)):
        await store.enqueue_job(job(hold=hold, most_failures=2))
        ended = await until(store, job().id)
    assert (ended.state, ended.attempts, ended.cost_microusd) == ("failed", attempts, 0)
    assert ended.error is not None and ended.error.code == error.code
    assert await billed(store, ended) == 1


async def test_an_adapter_that_breaks_ends_neither_the_worker_nor_other_jobs(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "cancel", faults={"prompt-1": [ZeroDivisionError()] * 3})  # type: ignore[list-item]
    async with working(shop(store, folder, engine)):
        await store.enqueue_job(job(1, most_failures=1))
        await store.enqueue_job(job(2))
        assert (await until(store, job(2).id)).state == "succeeded"
        broken = await until(store, job(1).id)
    assert broken.error is not None and broken.error.code == "internal_error"


async def test_cancelling_stops_the_engine_and_charges_what_has_run(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "cancel", takes_s=FOREVER_S)
    hold = replace(job().hold, price=Price(gpu_second=5_000_000), most_microusd=500)
    async with working(shop(store, folder, engine)):
        await store.enqueue_job(job(hold=hold))
        await engine.began.wait()
        assert (await cancel(store, job().id, "key-1")).state == "running"
        ended = await until(store, job().id)
    assert (ended.state, ended.cost_microusd) == ("cancelled", 5)
    assert engine.stopped == [each.handle for each in await store.job_attempts(ended.id)]
    assert await billed(store, ended) == 1


async def test_a_job_that_waits_is_cancelled_at_once(store: SqlStore):
    await store.enqueue_job(job())
    ended = await cancel(store, job().id, "key-1")
    assert (ended.state, ended.attempts) == ("cancelled", 0)
    assert await cancel(store, job().id, None) == replace(ended, asked=job().asked)
    assert await billed(store, ended) == 1


async def test_a_deadline_ends_the_work_and_what_waits(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "cancel", takes_s=FOREVER_S)
    now = store._clock()
    async with working(shop(store, folder, engine, choose=ByPlaces({}))):
        await store.enqueue_job(job(1, deadline=now + 0.3))
        await store.enqueue_job(job(2, deadline=now + 0.3))
        ended = [await until(store, job(number).id) for number in (1, 2)]
        assert {(each.state, each.error and each.error.code) for each in ended} == {("failed", "deadline_exceeded")}
        assert len(engine.stopped) == 1
        engine.takes_s = 0.0
        await store.enqueue_job(job(3))
        assert (await until(store, job(3).id)).state == "succeeded"  # the worker lives


async def test_an_attempt_that_takes_too_long_is_stopped(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "kill", takes_s=FOREVER_S)
    async with working(shop(store, folder, engine)):
        await store.enqueue_job(job(timeout_s=0.2))
        ended = await until(store, job().id)
    assert (ended.state, ended.error and ended.error.code) == ("failed", "deadline_exceeded")
    assert len(engine.stopped) == 1


@pytest.mark.parametrize("recovery", RECOVERIES)
async def test_a_lost_attempt_is_recovered_before_another_begins(store: SqlStore, folder: Path, recovery: Recovery):
    engine = FolderEngine("painter", folder, recovery)
    await lost(store, folder, engine, timeout_s=0.5 if recovery == "wait" else 60.0)
    async with working(shop(store, folder, engine)):
        ended = await until(store, job().id)
    attempts = await store.job_attempts(ended.id)
    first = attempts[0]
    assert ended.state == "succeeded"
    if recovery == "adopt":
        assert (engine.adopted, len(attempts), ended.failures) == ([first.handle], 1, 0)
        assert first.note
    else:
        assert [each.end for each in attempts] == ["lost", "succeeded"]
        assert engine.stopped == ([first.handle] if recovery in ("cancel", "kill") else [])
        assert attempts[1].began_at >= (first.until if recovery == "wait" else first.began_at)
    assert await billed(store, ended) == 1


async def test_what_was_done_while_no_worker_was_there_is_collected(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "adopt")
    await lost(store, folder, engine, timeout_s=0.001)
    async with working(shop(store, folder, engine)):
        ended = await until(store, job().id)
    assert (ended.state, ended.attempts) == ("succeeded", 1)


async def test_what_its_engine_has_forgotten_is_begun_anew(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "adopt")
    await lost(store, folder, engine)
    for file in folder.glob("*.json"):
        file.unlink()
    async with working(shop(store, folder, engine)):
        ended = await until(store, job().id)
    assert (ended.state, ended.attempts, engine.adopted) == ("succeeded", 2, [])


@pytest.mark.parametrize("recovery", ["adopt", "cancel", "kill"])
async def test_a_lost_attempt_that_nobody_wants_is_stopped(store: SqlStore, folder: Path, recovery: Recovery):
    engine = FolderEngine("painter", folder, recovery)
    await lost(store, folder, engine)
    await cancel(store, job().id, None)
    async with working(shop(store, folder, engine)):
        ended = await until(store, job().id)
    assert (ended.state, ended.attempts, len(engine.stopped)) == ("cancelled", 1, 1)


async def test_an_engine_that_does_not_say_that_it_stopped_keeps_its_place(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "cancel")
    engine.stop_error = UpstreamBroken("no word")
    await lost(store, folder, engine)
    async with working(shop(store, folder, engine, choose=ByPlaces({}))):
        await store.enqueue_job(job(2))
        waiting = await until(store, job().id, lambda each: each.worker is None and bool(each.reason))
        assert waiting.state == "running"
        other = await until(store, job(2).id, lambda each: bool(each.reason))
        assert other.state == "queued"


async def test_a_job_that_kills_its_workers_is_parked(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "cancel")
    await lost(store, folder, engine, most_failures=1)
    async with working(shop(store, folder, engine)):
        ended = await until(store, job().id)
    assert (ended.state, ended.error and ended.error.code) == ("failed", "worker_lost")
    assert [each.end for each in await store.job_attempts(ended.id)] == ["lost"]


async def test_a_worker_that_was_away_too_long_sends_and_writes_nothing(store: SqlStore, folder: Path):
    times = [0.0]
    engine = FolderEngine("painter", folder, "cancel")
    engine.before_submitting = lambda: times.__setitem__(0, times[0] + 100.0)  # as if it had been stopped for a while
    async with working(shop(store, folder, engine, clock=lambda: times[0], lease_s=30.0)) as worker:
        await store.enqueue_job(job())
        await until(store, job().id, lambda each: each.state == "scheduled")
        await worker._quiet.wait()
    found = await store.find_job(job().id)
    assert found is not None and found.state == "scheduled"
    assert not list(folder.glob("*.json"))


async def test_a_worker_whose_job_was_taken_stops_and_leaves_it(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "adopt", takes_s=FOREVER_S)
    async with working(shop(store, folder, engine)) as worker:
        await store.enqueue_job(job())
        running = await until(store, job().id, lambda each: each.state == "running")
        async with store._database.write() as connection:  # as another worker does once the lease has lapsed
            await connection.exec_driver_sql("UPDATE jobs SET token = token + 1, lease_until = 9e9, worker = 'another'")
        await worker._quiet.wait()
    found = await store.find_job(job().id)
    assert found is not None and (found.state, found.worker, found.token) == ("running", "another", running.token + 1)
    assert engine.stopped == []


async def test_what_may_have_been_paid_for_is_lost_and_not_made_again(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "lose")
    await lost(store, folder, engine)
    async with working(shop(store, folder, engine)):
        ended = await until(store, job().id)
    assert ended.state == "failed" and ended.error is not None and ended.error.code == "answer_lost"
    assert [each.end for each in await store.job_attempts(ended.id)] == ["lost"] and not engine.began.is_set()


async def test_a_call_that_had_not_begun_is_made_by_another_worker(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "lose")
    await store.enqueue_job(job())
    (claim,) = await store.claim_jobs([engine.name], ByPlaces({}), FOREVER_S)
    await store.renew_jobs([claim.job.lease], -1.0)
    async with working(shop(store, folder, engine)):
        ended = await until(store, job().id)
    assert ended.state == "succeeded" and ended.attempts == 2


async def test_what_failed_once_it_was_sent_is_not_made_again_where_that_could_cost_twice(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "lose", faults={"prompt-1": [UpstreamBroken("It broke off.")]})
    await store.enqueue_job(job())
    async with working(shop(store, folder, engine)):
        ended = await until(store, job().id)
    assert ended.state == "failed" and ended.attempts == 1


@pytest.mark.parametrize("recovery", RECOVERIES)
async def test_a_worker_that_ends_gives_back_what_it_has(store: SqlStore, folder: Path, recovery: Recovery):
    engine = FolderEngine("painter", folder, recovery, takes_s=0.5)
    async with working(shop(store, folder, engine)) as worker:
        await store.enqueue_job(job(timeout_s=2.0 if recovery == "wait" else 60.0))
        await engine.began.wait()
        await until(store, job().id, lambda each: each.state == "running")
        await worker.drain(0.0)
        await worker.aclose()
        given_back = await store.find_job(job().id)
    assert given_back is not None and given_back.worker is None and not given_back.has_ended
    async with working(shop(store, folder, engine)):
        ended = await until(store, job().id)
    assert ended.state == "succeeded"
    assert ended.attempts == (1 if recovery == "adopt" else 2)
    assert engine.overlaps == []


async def test_a_worker_that_drains_lets_its_jobs_end(store: SqlStore, folder: Path):
    engine = FolderEngine("painter", folder, "cancel", takes_s=0.1)
    async with working(shop(store, folder, engine)) as worker:
        await store.enqueue_job(job(1))
        await engine.began.wait()
        await worker.drain(10.0)
        await store.enqueue_job(job(2))
        await worker.aclose()
    first, second = [await store.find_job(job(number).id) for number in (1, 2)]
    assert first is not None and second is not None
    assert (first.state, second.state) == ("succeeded", "queued")
