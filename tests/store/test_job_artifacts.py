"""What jobs have of artifacts, and jobs that are forgotten with it, in every store."""

from typing import Any

import pytest
from msgspec.structs import replace

from aldgate.core.artifacts import StoredArtifact
from aldgate.core.errors import Conflict
from aldgate.core.generation import Generation
from aldgate.core.job_decisions import ByPlaces
from aldgate.core.jobs import End, Ending, Job, JobFilter, Made, Owner, encoded
from aldgate.storage import Store
from tests.store.rows import NOON
from tests.store.test_artifacts import MADE

LONG_AGO = 1_000_000.0
LONG_AFTER = NOON * 2


def job(job_id: str = "job-1", **more: Any) -> Job:
    asked = encoded(Generation(operation="image", prompt="a fox"))
    return Job(id=job_id, owner=Owner("key", "key-1"), operation="image", engine="painter", asked=asked, **more)


def picture(number: int, job_id: str = "job-1", **more: Any) -> StoredArtifact:
    origin = replace(MADE.provenance, job_id=job_id)
    return replace(MADE, id=f"art-{number}", sha256=f"{number:02d}" * 32, provenance=origin, **more)


def made_of(*artifacts: StoredArtifact) -> tuple[Made, ...]:
    return tuple(Made(each.id, each.mime, each.bytes, each.sha256) for each in artifacts)


async def running(store: Store, wanted: Job) -> Job:
    await store.enqueue_job(wanted)
    (claim,) = await store.claim_jobs(["painter"], ByPlaces({"painter": 100}), 60.0)
    await store.submit_job(claim.job.lease, "h")
    return claim.job


async def finish(store: Store, it: Job, state: Ending, *artifacts: StoredArtifact) -> None:
    await store.finish_job(it.lease, End(state=state, made=made_of(*artifacts)), None)


async def ids(store: Store) -> list[str]:
    return sorted(each.id for each in await store.list_artifacts("key-1", LONG_AFTER, after=None, limit=100))


async def test_a_finished_job_holds_what_it_made_and_what_came_to_nothing_goes(store: Store):
    it = await running(store, job())
    first, lost = picture(1, expires_at=NOON), picture(2, expires_at=NOON)
    for each in (first, lost):
        assert await store.keep_made(each) == each
    await finish(store, it, "succeeded", first)
    assert await ids(store) == ["art-1"]
    assert await store.delete_expired_artifacts(LONG_AFTER) == 0
    assert await store.unused_contents([first.sha256, lost.sha256]) == {lost.sha256}


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_what_failed_or_was_cancelled_lets_go_of_all(store: Store, state: Ending):
    it = await running(store, job())
    await store.add_artifact(picture(7, "job-0"), None)
    await store.hold_artifacts("job-1", ["art-7"])
    await store.keep_made(picture(1))
    await finish(store, it, state)
    assert await ids(store) == ["art-7"]
    assert await store.delete_artifact("key-1", "art-7")


async def test_the_same_made_again_is_the_same_artifact(store: Store):
    first = await store.keep_made(picture(1))
    again = await store.keep_made(replace(picture(1), id="art-9", created_at=NOON + 60))
    assert again == first and await ids(store) == ["art-1"]
    assert (await store.keep_made(replace(picture(1, "job-2"), id="art-9"))).id == "art-9"
    assert (await store.keep_made(replace(picture(1), id="art-8", account="key-2"))).id == "art-8"


async def test_its_owner_may_delete_what_a_finished_job_made_and_not_what_a_waiting_one_needs(store: Store):
    it = await running(store, job())
    made = picture(1)
    await store.keep_made(made)
    await finish(store, it, "succeeded", made)
    await store.hold_artifacts("job-2", ["art-1"])
    with pytest.raises(Conflict):
        await store.delete_artifact("key-1", "art-1")
    await store.release_artifacts("job-2")
    assert await store.delete_expired_artifacts(LONG_AFTER) == 0  # the refused deletion took nothing away
    assert not await store.delete_artifact("key-2", "art-1")
    assert await store.delete_artifact("key-1", "art-1")


async def test_a_job_can_end_though_what_it_made_is_gone(store: Store):
    it = await running(store, job())
    await finish(store, it, "succeeded", picture(1))
    found = await store.find_job("job-1")
    assert found is not None and found.state == "succeeded"


async def test_old_jobs_are_forgotten_with_all_that_is_theirs(store: Store):
    it = await running(store, job(created_at=LONG_AGO))
    made = picture(1, expires_at=NOON)
    await store.keep_made(made)
    await finish(store, it, "succeeded", made)
    await store.enqueue_job(job("job-2", created_at=LONG_AGO))
    assert await store.forget_jobs(3_600.0) is None  # it ended just now
    assert await store.find_job("job-1") is not None
    assert await store.forget_jobs(0.0) is None
    assert await store.find_job("job-1") is None and await store.job_attempts("job-1") == []
    assert await store.job_events("job-1") == []
    assert [each.id for each in await store.list_jobs(JobFilter())] == ["job-2"]  # it has not ended
    assert await store.delete_expired_artifacts(LONG_AFTER) == 1


async def test_policies_have_jobs_forgotten_sooner(store: Store):
    for job_id, extras in (("job-1", {"retention_s": 0.0}), ("job-2", {"retention_s": 3_600.0}), ("job-3", {})):
        await finish(store, await running(store, job(job_id, extras=extras)), "failed")
    assert await store.forget_jobs(None) is None
    assert {each.id for each in await store.list_jobs(JobFilter())} == {"job-2", "job-3"}


async def test_many_are_forgotten_a_few_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aldgate.store.job_past.AT_ONCE", 2)
    for number in range(5):
        await finish(store, await running(store, job(f"job-{number}", created_at=LONG_AGO)), "failed")
    came_to = await store.forget_jobs(0.0)
    assert came_to == (LONG_AGO, "job-1") and len(await store.list_jobs(JobFilter())) == 3
    came_to = await store.forget_jobs(0.0, came_to)
    assert await store.forget_jobs(0.0, came_to) is None and await store.list_jobs(JobFilter()) == []
