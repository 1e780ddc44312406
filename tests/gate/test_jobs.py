"""Jobs as calls: admitted by the same rules, with their money in their rows, and settled from there."""

from pathlib import Path
from typing import Any

import pytest

from aldgate.core.budgets import Budget
from aldgate.core.errors import (
    BudgetExceeded,
    GatewayError,
    IdempotencyConflict,
    InvalidRequest,
    NotFound,
    PolicyDenied,
    RateLimited,
    ScopeDenied,
    StoreUnavailable,
    UpstreamBroken,
)
from aldgate.core.generation import Generated, Generation
from aldgate.core.job_bills import expected_work
from aldgate.core.job_decisions import ByPlaces
from aldgate.core.jobs import Job, Made, Price, Work
from aldgate.core.limits import Limits
from aldgate.core.principals import Level, Policy, Principal
from aldgate.gate.jobs import Wanted, cancel, cancelled, enqueue, failed, ledger_row, succeeded
from aldgate.store.store import SqlStore
from aldgate.testing.making import FolderEngine
from tests.gate.conftest import Clock
from tests.gate.test_gate import House

PER_SECOND = Price(gpu_second=5_000_000, version="rates-1")
TIMEOUT_S = 100.0
MOST = 500
"""Micro-dollars that a job of `TIMEOUT_S` may cost at the price of `PER_SECOND`."""


@pytest.fixture
def house(store: SqlStore, clock: Clock) -> House:
    return House(store, clock)


@pytest.fixture
def engine(tmp_path: Path) -> FolderEngine:
    return FolderEngine("painter", tmp_path, "cancel")


def wanted(engine: FolderEngine, policy: Policy | None = None, prompt: str = "a gate", **more: Any) -> Wanted:
    principal = Principal.of("key", Level("key", "key-1", "shop", policy or Policy()))
    given = {"price": PER_SECOND, "timeout_s": TIMEOUT_S, "gpu_s": 10, "requested_model": "paint"} | more
    asked = more.pop("asked", Generation(operation="image", prompt=prompt, count=2))
    return Wanted(principal=principal, engine=engine, **{"asked": asked, **given})


def daily(microusd: int) -> Policy:
    return Policy(budgets=(Budget(microusd, "day"),))


async def claimed(store: SqlStore) -> Job:
    (claim,) = await store.claim_jobs(["painter"], ByPlaces({}), 60.0)
    await store.submit_job(claim.job.lease, "h")
    found = await store.find_job(claim.job.id)
    assert found is not None
    return found


async def free(store: SqlStore, house: House, microusd: int) -> int:
    """What is left of the day's budget, wherever it is."""
    (purse,) = await house.slices.purses(Principal.of("key", Level("key", "key-1", "shop", daily(microusd))))
    return purse.left


@pytest.mark.anyio
async def test_a_job_holds_the_most_it_may_cost_and_gives_the_rest_back(house: House, store: SqlStore, engine: FolderEngine):
    job = await enqueue(house.gate, store, wanted(engine, daily(1_000)))
    assert (job.hold.most_microusd, [part.microusd for part in job.hold.parts]) == (MOST, [MOST])
    assert (house.gate.under_way, house.slices.held) == (0, 0)
    assert await free(store, house, 1_000) == 1_000 - MOST
    with pytest.raises(BudgetExceeded):
        for _ in range(2):
            await enqueue(house.gate, store, wanted(engine, daily(1_000)))
    running = await claimed(store)
    end = succeeded(running, Generated(), [Made("a", "image/png", 1, "x")], 7)
    row = ledger_row(running, end, running.created_at + 9)
    await store.finish_job(running.lease, end, row)
    assert (end.cost_microusd, end.done) == (35, Work(images=1, gpu_s=7))
    assert (row.call_id, row.model, row.requested_model, row.cost_microusd) == (running.call_id, "painter", "paint", 35)
    assert (row.status, row.price_version, row.total_s) == (200, "rates-1", pytest.approx(9))
    assert await free(store, house, 1_000) == 1_000 - 35 - MOST  # the second one still waits


@pytest.mark.anyio
async def test_what_failed_is_free_and_what_was_cancelled_costs_its_time(house: House, store: SqlStore, engine: FolderEngine):
    job = await enqueue(house.gate, store, wanted(engine))
    assert failed(UpstreamBroken("broke"), "failed").cost_microusd == 0
    end = cancelled(job, 3, has_attempt=True)
    assert (end.cost_microusd, ledger_row(job, end, 0.0).status) == (15, 499)
    assert ledger_row(job, failed(UpstreamBroken("broke"), None), 0.0).error_code == "upstream_broken"


@pytest.mark.anyio
async def test_a_job_that_is_cancelled_before_it_begins_gives_all_back(house: House, store: SqlStore, engine: FolderEngine):
    job = await enqueue(house.gate, store, wanted(engine, daily(1_000)))
    with pytest.raises(NotFound):
        await cancel(store, job.id, "somebody-else")
    ended = await cancel(store, job.id, "key-1")
    assert (ended.state, ended.cost_microusd) == ("cancelled", 0)
    assert await free(store, house, 1_000) == 1_000


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("policy", "error"),
    [
        (Policy(scopes=frozenset({"chat"})), ScopeDenied),
        (Policy(denied_providers=("painter",)), PolicyDenied),
        (Policy(models=("other",)), PolicyDenied),
        (Policy(limits=Limits(images_per_minute=3)), RateLimited),
        (Policy(limits=Limits(gpu_seconds_per_day=15)), RateLimited),
        (Policy(limits=Limits(rpm=1)), RateLimited),
        (daily(MOST - 1), BudgetExceeded),
    ],
)
async def test_a_job_is_refused_as_a_call_is(
    house: House, store: SqlStore, engine: FolderEngine, policy: Policy, error: type[GatewayError]
):
    with pytest.raises(error):
        for _ in range(2):  # of what is counted, the first one fits
            await enqueue(house.gate, store, wanted(engine, policy))
    assert (house.gate.under_way, house.slices.held) == (0, 0)


@pytest.mark.anyio
async def test_an_engine_is_asked_for_what_it_can(house: House, store: SqlStore, engine: FolderEngine):
    with pytest.raises(InvalidRequest, match="cannot speech"):
        await enqueue(house.gate, store, wanted(engine, asked=Generation(operation="speech", prompt="hello")))


@pytest.mark.anyio
async def test_a_known_key_gives_the_same_job_and_takes_no_money_twice(house: House, store: SqlStore, engine: FolderEngine):
    first, again = [await enqueue(house.gate, store, wanted(engine, daily(2_000), idempotency_key="k")) for _ in range(2)]
    assert again.id == first.id
    assert await free(store, house, 2_000) == 2_000 - MOST
    with pytest.raises(IdempotencyConflict):
        await enqueue(house.gate, store, wanted(engine, daily(2_000), idempotency_key="k", prompt="another"))
    assert await free(store, house, 2_000) == 2_000 - MOST


class Forgetful:
    """A store whose answers to new jobs are lost, after it kept them or before."""

    def __init__(self, store: SqlStore, *, keeps: bool) -> None:
        self._store = store
        self._keeps = keeps
        self.find_job = store.find_job

    async def enqueue_job(self, job: Job, money: Any) -> Job:
        if self._keeps:
            await self._store.enqueue_job(job, money)
        raise StoreUnavailable("no answer")


@pytest.mark.anyio
@pytest.mark.parametrize("keeps", [True, False])
async def test_an_answer_that_is_lost_loses_no_money(house: House, store: SqlStore, engine: FolderEngine, keeps: bool):
    forgetful: Any = Forgetful(store, keeps=keeps)
    if keeps:
        assert (await enqueue(house.gate, forgetful, wanted(engine, daily(1_000)))).state == "queued"
    else:
        with pytest.raises(StoreUnavailable):
            await enqueue(house.gate, forgetful, wanted(engine, daily(1_000)))
    assert await free(store, house, 1_000) == 1_000 - (MOST if keeps else 0)


@pytest.mark.parametrize(
    ("asked", "work"),
    [
        (Generation(operation="image", count=4), Work(images=4, gpu_s=9)),
        (Generation(operation="music", duration_s=10.5, count=2), Work(audio_s=22, gpu_s=9)),
        (Generation(operation="speech", prompt="x" * 141), Work(audio_s=11, gpu_s=9)),
        (Generation(operation="transcribe"), Work(audio_s=30, gpu_s=9)),
        (Generation(operation="video", duration_s=5), Work(gpu_s=9)),
    ],
)
def test_what_is_expected_is_what_is_asked_for(asked: Generation, work: Work):
    assert expected_work(asked, 9) == work
