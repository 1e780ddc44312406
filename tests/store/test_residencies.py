"""Residencies in every store: one decision at a time per device, memory counted until it is seen free."""

import asyncio

import pytest

from aldgate.core.jobs import Job
from aldgate.core.placement import Device, Needs
from aldgate.residing import Eviction, Placed, Seen
from aldgate.storage import Store
from aldgate.store.stores import open_url
from tests.store.test_jobs import DONE, LONG_S, job

GPU = Device(name="gpu0", total_mb=24_000, starvation_s=1e9)
PAINTER, FILMER = Needs(memory_mb=14_000), Needs(memory_mb=20_000)
BOTH = {"painter": PAINTER, "filmer": FILMER}


async def comes(store: Store, number: int, engine: str = "painter") -> Job:
    return await store.enqueue_job(job(number, engine=engine))


async def placed(store: Store, lease_s: float = LONG_S, device: Device = GPU) -> Placed:
    return await store.place_jobs(device, BOTH, lease_s)


async def states(store: Store) -> dict[str, tuple[str, int, int]]:
    return {each.engine: (each.state, each.memory_mb, each.running) for each in await store.list_residencies()}


async def finished(store: Store, made: Placed) -> None:
    for claim in made.claims:
        await store.submit_job(claim.job.lease, "handle")
        await store.finish_job(claim.job.lease, DONE, None)


async def test_a_job_makes_its_engine_resident_and_the_memory_stays_when_it_ends(store: Store):
    await comes(store, 1)
    made = await placed(store)
    assert [claim.job.engine for claim in made.claims] == ["painter"]
    assert await states(store) == {"painter": ("loading", 14_000, 1)}
    await finished(store, made)
    assert await states(store) == {"painter": ("loading", 14_000, 0)}


async def test_what_does_not_fit_waits_says_why_and_has_the_idle_one_leave(store: Store):
    await comes(store, 1)
    first = await placed(store)
    film = await comes(store, 2, "filmer")
    waiting = await placed(store)
    assert (waiting.claims, waiting.evictions, waiting.waits[film.id].why) == ((), (), "busy")
    kept = await store.find_job(film.id)
    assert kept is not None and "`painter`" in kept.reason
    await finished(store, first)
    (eviction,) = (await placed(store)).evictions
    assert eviction == Eviction("gpu0", "painter", eviction.token, 14_000)
    assert (await placed(store)).claims == ()
    assert await store.end_eviction(eviction)
    assert [claim.job.id for claim in (await placed(store)).claims] == [film.id]


async def test_memory_that_is_not_seen_free_counts_until_it_is(store: Store):
    await comes(store, 1)
    await finished(store, await placed(store))
    film = await comes(store, 2, "filmer")
    (eviction,) = (await placed(store)).evictions
    assert await store.end_eviction(eviction, "its memory did not come back")
    assert await states(store) == {"painter": ("unknown", 14_000, 0)}
    assert (await placed(store)).waits[film.id].why == "memory"
    (again,) = await store.take_evictions(["gpu0"], LONG_S)
    assert again.token > eviction.token
    assert not await store.end_eviction(eviction)
    assert await store.end_eviction(again)
    assert len((await placed(store)).claims) == 1


async def test_an_eviction_whose_worker_is_gone_is_taken_over(store: Store):
    await comes(store, 1)
    await finished(store, await placed(store))
    await comes(store, 2, "filmer")
    (eviction,) = (await placed(store, lease_s=0.0)).evictions
    taken = await asyncio.gather(*(store.take_evictions(["gpu0"], LONG_S) for _ in range(3)))
    (mine,) = [each for some in taken for each in some]
    assert not await store.end_eviction(eviction)
    assert await store.end_eviction(mine)


async def test_what_works_cannot_be_evicted_by_hand_and_what_is_idle_can(store: Store):
    await comes(store, 1)
    made = await placed(store)
    assert await store.evict("gpu0", "painter", LONG_S) is None
    assert await store.evict("gpu0", "nobody", LONG_S) is None
    await finished(store, made)
    assert await store.evict("gpu0", "painter", LONG_S) is not None
    assert await store.evict("gpu0", "painter", LONG_S) is None


async def test_what_others_hold_counts_and_is_named(store: Store):
    await store.note_device("gpu0", Seen(total_mb=24_000, foreign_mb=12_000, foreign=("game (7), 12000 MiB",)), BOTH)
    mine = await comes(store, 1)
    made = await placed(store)
    assert (made.claims, made.waits[mine.id].why) == ((), "foreign")
    (device,) = await store.list_devices()
    assert (device.foreign_mb, device.foreign) == (12_000, ("game (7), 12000 MiB",))
    await store.note_device("gpu0", Seen(total_mb=24_000), BOTH)
    assert len((await placed(store)).claims) == 1


async def test_an_engine_that_holds_more_than_declared_is_known_to_need_more(store: Store):
    await comes(store, 1)
    made = await placed(store)
    await store.note_device("gpu0", Seen(total_mb=24_000, engines={"painter": 15_500}), BOTH)
    assert await states(store) == {"painter": ("ready", 15_500, 1)}
    await finished(store, made)
    eviction = await store.evict("gpu0", "painter", LONG_S)
    assert eviction is not None and await store.end_eviction(eviction)
    await store.note_device("gpu0", Seen(total_mb=24_000, engines={"painter": 500}), BOTH)
    assert await states(store) == {}
    await comes(store, 2)
    await placed(store)
    assert await states(store) == {"painter": ("loading", 15_000, 1)}
    await store.note_device("gpu0", Seen(total_mb=24_000, engines={"painter": 15_500}), BOTH)
    assert await states(store) == {"painter": ("ready", 15_500, 1)}


async def test_an_engine_that_was_loaded_before_is_found_resident(store: Store):
    await store.note_device("gpu0", Seen(total_mb=24_000, engines={"painter": 9_000}), BOTH)
    assert await states(store) == {"painter": ("ready", 14_000, 0)}
    await comes(store, 1)
    assert len((await placed(store)).claims) == 1


async def test_whoever_is_without_work_for_its_time_leaves_though_nobody_waits(store: Store):
    await comes(store, 1)
    needs = {"painter": Needs(memory_mb=14_000, idle_s=0.0)}
    made = await store.place_jobs(GPU, needs, LONG_S)
    assert (await store.place_jobs(GPU, needs, LONG_S)).evictions == ()
    await finished(store, made)
    assert [each.engine for each in (await store.place_jobs(GPU, needs, LONG_S)).evictions] == ["painter"]


@pytest.mark.parametrize("number", [8])
async def test_workers_that_decide_at_once_never_over_commit(url: str, number: int):
    stores = [open_url(url, f"worker-{at}") for at in range(3)]
    for each in stores:
        await each.open()
    try:
        for at in range(number):
            await comes(stores[0], at, ("painter", "filmer")[at % 2])
        made = await asyncio.gather(*(placed(each) for each in stores * 3))
        assert len([claim for each in made for claim in each.claims]) == 1
        assert sum(each.memory_mb for each in await stores[0].list_residencies()) <= 24_000
    finally:
        for each in stores:
            await each.aclose()
