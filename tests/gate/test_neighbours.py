"""Processes that share budgets and keys over a real PostgreSQL; here each is a set of objects of its own in one loop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aldgate.core.budgets import Budget
from aldgate.core.errors import BudgetExceeded
from aldgate.core.principals import Level, Policy, Principal
from aldgate.gate.money.purses import Cost
from aldgate.gate.money.slices import Held, Slices
from aldgate.gate.neighbours import Neighbours
from aldgate.storage import Store
from aldgate.store.stores import open_url
from tests.servers import NewUrl
from tests.store.rows import KEY

pytestmark = pytest.mark.anyio


class Process:
    """What one process has of all this."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.slices = Slices(store, name, time.time)
        self.changes: list[str] = []
        self.changed = asyncio.Event()
        self.neighbours = Neighbours(store, name, self.slices.give_back, {"principals": self._note}, recall_s=10)
        self.slices.neighbours = self.neighbours

    def _note(self) -> None:
        self.changes.append("principals")
        self.changed.set()

    async def hold(self, principal: Principal, microusd: int) -> Held:
        cost = Cost(microusd, microusd)
        while (held := self.slices.hold(self.slices.parts(principal), cost)) is None:
            await self.slices.refill(self.slices.parts(principal), cost)
        return held


def payer(*levels: tuple[str, int]) -> Principal:
    """A principal with a budget of so many micro-dollars at each level."""
    made = [Level("team", name, name, Policy(budgets=(Budget(amount, "total"),))) for name, amount in levels]
    return Principal.of("key", made[-1], tuple(made[:-1]))


@asynccontextmanager
async def sharing(url: str, *names: str) -> AsyncIterator[list[Process]]:
    """Processes that have seen each other."""
    made: list[Process] = []
    for name in names:
        store = open_url(url, name)
        await store.open()
        made.append(Process(store, name))
    tasks = [asyncio.create_task(each.neighbours.run()) for each in made]
    try:
        for each in (*made, *made):
            await each.neighbours.look()
        async with asyncio.timeout(10):  # until each hears what is told
            while not all(each.changed.is_set() for each in made):
                await made[0].neighbours.change("principals")
                await asyncio.sleep(0)
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in made:
            await each.store.aclose()


async def test_they_see_each_other_and_notice_who_leaves(new_postgres: NewUrl) -> None:
    async with sharing(new_postgres(), "one", "two") as (one, two):
        assert one.neighbours.alive == two.neighbours.alive == {"one", "two"}
        await two.store.leave()
        await one.neighbours.look()
        assert "two" not in one.neighbours.alive or two.neighbours.alive  # its own beat may have brought it back


async def test_a_change_of_a_key_is_heard_by_all(new_postgres: NewUrl) -> None:
    async with sharing(new_postgres(), "one", "two") as (one, two):
        two.changed.clear()
        await one.store.add_key(KEY, b"digest")
        async with asyncio.timeout(1):
            await two.changed.wait()


async def test_what_another_process_does_not_hold_is_had_before_a_call_is_refused(new_postgres: NewUrl) -> None:
    async with sharing(new_postgres(), "one", "two") as (one, two):
        whole = payer(("team", 1_000))
        await one.hold(whole, 100)  # its slice is larger than that
        held = 100
        while True:
            try:
                await two.hold(whole, 50)
            except BudgetExceeded:
                break
            held += 50
        assert held == 1_000


@pytest.mark.parametrize("callers", [64])
async def test_callers_of_two_processes_spend_exactly_the_budget(new_postgres: NewUrl, callers: int) -> None:
    async with sharing(new_postgres(), "one", "two") as both:
        principal = payer(("organisation", 100 * 70), ("key", 100 * 200))
        spent = 0

        async def call(process: Process) -> None:
            nonlocal spent
            while True:
                try:
                    held = await process.hold(principal, 70)
                except BudgetExceeded:
                    return
                await asyncio.sleep(0)
                process.slices.settle(held, 70)
                spent += 70

        await asyncio.gather(*(call(each) for each in both for _ in range(callers)))
        assert spent == 100 * 70


async def test_a_level_that_has_nothing_left_costs_the_others_nothing(new_postgres: NewUrl) -> None:
    async with sharing(new_postgres(), "one", "two") as (one, _):
        principal = payer(("organisation", 100), ("key", 1_000))
        await one.hold(principal, 100)
        with pytest.raises(BudgetExceeded, match="team `organisation`"):
            await one.hold(principal, 1)
        assert sum(part.held for part, _ in one.slices.parts(principal)) == 200
