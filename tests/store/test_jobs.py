"""Jobs in every store: kept with their money, claimed once, fenced, ended once."""

import asyncio

import pytest
from msgspec.structs import replace

from aldgate.core.generation import Generated, Generation, Preview, Progress
from aldgate.core.job_decisions import ByPlaces
from aldgate.core.jobs import (
    Choice,
    Claim,
    End,
    HeldPart,
    Hold,
    Job,
    JobError,
    JobFilter,
    Lease,
    Made,
    Owner,
    Queue,
    Work,
    asked_of,
    encoded,
)
from aldgate.core.leases import LeaseLost
from aldgate.queueing import Handover
from aldgate.storage import SliceRequest, Store
from aldgate.store.stores import open_url
from tests.store.rows import ROW

OWNER = Owner("key-1", "key-1", organisation="org-1")
ASKED = Generation(operation="image", prompt="a gate", options={"sampler": "euler"})
LONG_S = 60.0
SPENT = 40
DONE = End(state="succeeded", result=Generated(seed=7), made=(Made("art-1", "image/png", 3, "ab"),), attempt="succeeded")


def job(number: int = 1, **more) -> Job:
    given = {"owner": OWNER, "operation": "image", "engine": "painter", "asked": encoded(ASKED)} | more
    return Job(id=f"job-{number:024x}", **given)


async def claimed(store: Store, lease_s: float = LONG_S, places: int = 1, engine: str = "painter") -> list[Claim]:
    return await store.claim_jobs([engine], ByPlaces({engine: places}), lease_s)


async def one(store: Store, **more) -> Claim:
    await store.enqueue_job(job(**more))
    (claim,) = await claimed(store)
    return claim


async def test_a_job_is_found_as_it_was_kept(store: Store):
    asked = job(priority=3, deadline=9e9, parent="job-0", extras={"face": "seed"}, idempotency_key="k", created_at=5.0)
    kept = await store.enqueue_job(asked)
    assert kept == asked
    assert await store.find_job(kept.id, "key-1") == asked
    assert await store.find_job(kept.id, "key-2") is None
    assert asked_of(asked) == ASKED


async def test_a_job_whose_key_is_known_is_the_one_that_is_there(store: Store):
    first = await store.enqueue_job(job(1, idempotency_key="k"))
    again, other, foreign = await asyncio.gather(
        store.enqueue_job(job(2, idempotency_key="k")),
        store.enqueue_job(job(3, idempotency_key="l")),
        store.enqueue_job(job(4, idempotency_key="k", owner=Owner("key-2", "key-2"))),
    )
    assert [first.id, other.id, foreign.id] == [job(1).id, job(3).id, job(4).id]
    assert again.id == first.id
    assert await store.count_unfinished_jobs("key-1") == 2


async def test_of_jobs_that_come_together_one_that_cannot_be_kept_fails_alone(store: Store):
    results = await asyncio.gather(
        *(store.enqueue_job(job(number, model="\ud800" if number == 3 else "m")) for number in range(1, 6)),
        return_exceptions=True,
    )
    assert [isinstance(each, Exception) for each in results] == [False, False, True, False, False]
    assert len(await store.list_jobs(JobFilter())) == 4


async def test_a_job_that_cannot_be_written_down_keeps_no_other_out(store: Store):
    with pytest.raises(TypeError):
        await store.enqueue_job(job(1, extras={"what": object()}))
    assert (await store.enqueue_job(job(2))).state == "queued"


async def test_who_leaves_does_not_break_off_what_others_wait_for(store: Store):
    first = asyncio.create_task(store.enqueue_job(job(1)))
    await asyncio.sleep(0)
    second = asyncio.create_task(store.enqueue_job(job(2)))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).id == job(2).id
    assert await store.find_job(job(1).id) is not None


async def test_jobs_are_listed_newest_first_by_pages_and_filters(store: Store):
    for number in range(1, 6):
        await store.enqueue_job(job(number, created_at=float(number), operation="image" if number % 2 else "video"))
    first = await store.list_jobs(JobFilter(account="key-1"), limit=2)
    rest = await store.list_jobs(JobFilter(account="key-1"), after=first[-1])
    assert [each.created_at for each in (*first, *rest)] == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert {each.asked for each in first} == {b""}
    videos = JobFilter(operations=frozenset({"video"}), states=frozenset({"queued"}), engine="painter")
    assert [each.created_at for each in await store.list_jobs(videos)] == [4.0, 2.0]
    assert await store.list_jobs(JobFilter(account="key-2")) == []


async def test_the_greater_priority_goes_first_and_places_are_kept(store: Store):
    for number, priority in enumerate((0, 5, 0), start=1):
        await store.enqueue_job(job(number, priority=priority, created_at=float(number)))
    assert [claim.job.id for claim in await claimed(store, places=2)] == [job(2).id, job(1).id]
    assert await claimed(store, places=2) == []
    waiting = await store.find_job(job(3).id)
    assert waiting is not None
    assert (waiting.state, waiting.reason) == ("queued", "the engine `painter` works on other jobs")


async def test_two_workers_do_not_claim_the_same(store: Store, url: str):
    other = open_url(url, "other-process")
    await other.open()
    try:
        for number in range(20):
            await store.enqueue_job(job(number))
        claims = await asyncio.gather(*(claimed(each, places=20) for each in (store, other) * 3))
        ids = [claim.job.id for each in claims for claim in each]
        assert len(ids) == len(set(ids)) == 20
    finally:
        await other.aclose()


async def test_what_is_not_due_waits(store: Store):
    claim = await one(store)
    back = await store.requeue_job(claim.job.lease, "failed", JobError("upstream_broken", "It broke."), 1_000.0, "waits")
    assert (back.state, back.failures, back.reason) == ("queued", 1, "waits")
    assert await claimed(store) == []
    (attempt,) = await store.job_attempts(claim.job.id)
    assert (attempt.end, attempt.error) == ("failed", JobError("upstream_broken", "It broke."))


async def test_the_life_of_a_job(store: Store):
    claim = await one(store)
    lease = claim.job.lease
    assert (claim.job.state, claim.attempt.number, claim.attempt.phase) == ("scheduled", 1, "prepared")
    await store.submit_job(lease, "prompt-1")
    await store.note_progress(lease, Progress(0.5, message="half"), Preview("image/png", b"png"))
    running = await store.find_job(claim.job.id)
    assert running is not None
    assert (running.state, running.progress.fraction) == ("running", 0.5)
    assert await store.job_preview(claim.job.id) == Preview("image/png", b"png")
    ended = await store.finish_job(lease, DONE, replace(ROW, call_id=running.call_id))
    assert (ended.state, ended.made, ended.result) == ("succeeded", DONE.made, DONE.result)
    assert await store.job_preview(claim.job.id) is None
    (attempt,) = await store.job_attempts(claim.job.id)
    assert (attempt.handle, attempt.end) == ("prompt-1", "succeeded")
    events = await store.job_events(claim.job.id)
    assert [each.state for each in events] == ["queued", "scheduled", "running", "succeeded"]
    assert await store.job_events(claim.job.id, after=events[1].seq) == events[2:]
    (sums,) = await store.usage(group_by=[], account=None, since=None, until=None)
    assert sums.calls == 1


async def test_who_lost_the_lease_can_write_nothing(store: Store, url: str):
    first = await one(store)
    await store.submit_job(first.job.lease, "h")
    old = first.job.lease
    assert await store.take_over_jobs(["painter"], LONG_S, 10) == []
    assert await store.renew_jobs([old], -1.0) != {}
    other = open_url(url, "this-process")  # the same name: opening it must not end leases
    await other.open()
    (taken,) = await other.take_over_jobs(["painter"], LONG_S, 10)
    assert (taken.is_taken_over, taken.attempt.handle, taken.attempt.number) == (True, "h", 1)
    assert await store.renew_jobs([old], LONG_S) == {}
    writes = (
        store.submit_job(old, "again"),
        store.note_progress(old, Progress(1.0), None),
        store.note_attempt(old, "x"),
        store.requeue_job(old, "failed", None, 0.0, ""),
        store.leave_job(old, 0.0, ""),
        store.finish_job(old, DONE, replace(ROW, call_id="req-lost")),
    )
    for write in writes:
        with pytest.raises(LeaseLost):
            await write
    await other.requeue_job(taken.job.lease, "lost", JobError("worker_lost", "gone"), 0.0, "its worker was lost")
    (again,) = await claimed(other)
    assert (again.attempt.number, again.job.failures) == (2, 1)
    await other.finish_job(again.job.lease, DONE, None)
    assert [each.end for each in await store.job_attempts(first.job.id)] == ["lost", "succeeded"]
    await other.aclose()


async def test_what_has_ended_ends_once(store: Store):
    claim = await one(store)
    ended = await store.finish_job(claim.job.lease, DONE, None)
    for lease in (claim.job.lease, ended.lease):
        with pytest.raises(LeaseLost):
            await store.finish_job(lease, replace(DONE, state="failed"), None)
    assert await store.ask_to_cancel(claim.job.id, "key-1") == await store.find_job(claim.job.id)


async def test_a_job_that_is_left_is_taken_over_when_it_is_due(store: Store):
    claim = await one(store)
    await store.submit_job(claim.job.lease, "h")
    await store.leave_job(claim.job.lease, 1_000.0, "its engine cannot be asked")
    assert await store.take_over_jobs(["painter"], LONG_S, 10) == []
    waiting = await store.find_job(claim.job.id)
    assert waiting is not None and waiting.reason == "its engine cannot be asked"
    await store.enqueue_job(job(2))
    assert await claimed(store) == []  # its place at the engine is not free


async def test_cancelling_reaches_who_has_the_job(store: Store):
    claim = await one(store)
    assert await store.ask_to_cancel(claim.job.id, "key-2") is None
    asked = await store.ask_to_cancel(claim.job.id, "key-1")
    assert asked is not None and asked.cancel_asked_at is not None and asked.state == "scheduled"
    assert (await store.renew_jobs([claim.job.lease], LONG_S))[claim.job.lease].is_cancelled


async def test_who_is_cancelled_or_too_late_is_doomed_and_never_claimed(store: Store):
    await store.enqueue_job(job(1, deadline=1.0))
    await store.enqueue_job(job(2))
    await store.enqueue_job(job(3, deadline=9e9))
    await store.ask_to_cancel(job(2).id)
    assert sorted(each.id for each in await store.doomed_jobs(10)) == [job(1).id, job(2).id]
    assert [claim.job.id for claim in await claimed(store, places=9)] == [job(3).id]
    (late, _) = sorted(await store.doomed_jobs(10), key=lambda each: each.id)
    await store.finish_job(late.lease, End(state="failed", error=JobError("deadline_exceeded", "late", 504)), None)
    assert len(await store.doomed_jobs(10)) == 1


async def test_the_choice_is_made_of_what_waits_and_what_is_under_way(store: Store):
    seen: list[Queue] = []

    def choose(queue: Queue) -> Choice:
        seen.append(queue)
        return Choice((job(2).id,), {job(1).id: "not yet"})

    for number in (1, 2):
        await store.enqueue_job(job(number, model=f"m{number}"))
    (claim,) = await store.claim_jobs(["painter", "singer"], choose, LONG_S)
    assert [each.model for each in seen[0].waiting["painter"]] == ["m1", "m2"]
    assert claim.job.id == job(2).id
    waiting = await store.find_job(job(1).id)
    assert waiting is not None and waiting.reason == "not yet"


async def test_a_job_takes_its_money_with_it_and_settles_it_once(store: Store):
    def asks(reported: int = 0, give_back: int = 0, minimum: int = 0) -> SliceRequest:
        return SliceRequest("org-1", "total", 1_000, reported, give_back, minimum, minimum)

    (grant,) = await store.refill("this-process", 1, [asks(minimum=600)])
    assert (grant.granted, grant.free) == (600, 400)
    hold = Hold(most_microusd=500, parts=(HeldPart("org-1", "total", 500),))
    money = [Handover("org-1", "total", 1_000, 0, 500)]
    await store.enqueue_job(job(1, hold=hold, idempotency_key="k"), money)
    await store.enqueue_job(job(2, hold=hold, idempotency_key="k"), money)  # the same again: no more is given
    assert await store.budget_free("this-process", "org-1", "total", 1_000, 0) == 400
    assert await store.budget_free("another", "org-1", "total", 1_000, 0) == 400
    (claim,) = await claimed(store)
    await store.finish_job(claim.job.lease, replace(DONE, cost_microusd=SPENT, done=Work(1)), None)
    with pytest.raises(LeaseLost):
        await store.finish_job(claim.job.lease, replace(DONE, cost_microusd=SPENT), None)
    (standing,) = await store.budget_standings("org-1", is_lost=False, limit=1)
    assert (standing.settled, standing.outstanding + standing.presumed_spent) == (SPENT, 100)
    assert await store.budget_free("another", "org-1", "total", 1_000, 0) == 1_000 - SPENT - 100


async def test_what_a_job_holds_is_not_lost_with_the_process_that_made_it(store: Store, url: str):
    await store.refill("this-process", 1, [SliceRequest("org-1", "total", 1_000, 0, 0, 500, 500)])
    hold = Hold(most_microusd=500, parts=(HeldPart("org-1", "total", 500),))
    await store.enqueue_job(job(hold=hold), [Handover("org-1", "total", 1_000, 0, 500)])
    later = open_url(url, "later-process")
    await later.open()
    try:
        assert await later.release_lost(None, None, None) == 0
        (standing,) = await later.budget_standings("org-1", is_lost=False, limit=1)
        assert (standing.outstanding, standing.presumed_spent) == (500, 0)
        (claim,) = await claimed(later)
        await later.finish_job(claim.job.lease, replace(DONE, cost_microusd=SPENT), None)
        assert await later.budget_free("later-process", "org-1", "total", 1_000, 0) == 1_000 - SPENT
    finally:
        await later.aclose()


async def test_changes_are_heard(store: Store):
    heard: list[tuple[str, str, str]] = []
    came = asyncio.Event()

    def hear(job_id: str, engine: str, what: str) -> None:
        heard.append((job_id, engine, what))
        came.set()

    listening = asyncio.create_task(store.listen_to_jobs(hear))
    try:
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
            await store.enqueue_job(job())
            await came.wait()
        assert heard[0] == (job().id, "painter", "state")
    finally:
        listening.cancel()


async def test_an_unknown_lease_is_lost(store: Store):
    assert await store.renew_jobs([Lease("job-none", 1)], LONG_S) == {}
    with pytest.raises(LeaseLost):
        await store.leave_job(Lease("job-none", 1), 0.0, "")
    assert (await store.find_job("job-none"), await store.ask_to_cancel("job-none")) == (None, None)


async def test_lists_go_both_ways_and_a_brief_look_leaves_out_what_is_asked(store: Store):
    kept = [await store.enqueue_job(job(number, created_at=float(number))) for number in (1, 2, 3)]
    oldest = await store.list_jobs(JobFilter(), is_ascending=True, limit=2)
    assert [each.id for each in oldest] == [each.id for each in kept[:2]]
    rest = await store.list_jobs(JobFilter(), is_ascending=True, after=oldest[-1])
    assert [each.id for each in rest] == [kept[2].id]
    assert await store.find_job(kept[0].id, is_brief=True) == replace(kept[0], asked=b"")


async def test_only_an_ended_job_of_ones_own_is_forgotten_with_its_history(store: Store):
    claim = await one(store)
    assert not await store.delete_job(claim.job.id, "key-1")
    await store.finish_job(claim.job.lease, DONE, ROW)
    assert not await store.delete_job(claim.job.id, "key-2")
    assert await store.delete_job(claim.job.id, "key-1")
    assert await store.find_job(claim.job.id) is None
    assert await store.job_events(claim.job.id) == [] and await store.job_attempts(claim.job.id) == []
    assert not await store.delete_job(claim.job.id, "key-1")
