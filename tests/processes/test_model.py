"""Processes that spend from several budgets, against a model: whatever is lost on the way, no cent is spent twice.

The real slices over a real store, in one loop: processes crash and come back late, answers of the database get lost before or
after it has done what was asked, others are asked to give back, and clocks step.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import make_url, select

from aldgate.core.budgets import Budget
from aldgate.core.errors import BudgetExceeded, StoreUnavailable
from aldgate.core.levels import Level
from aldgate.core.policies import Policy
from aldgate.core.principals import Principal
from aldgate.gate.money.purses import Cost
from aldgate.gate.money.slices import Held, Parts, Slices
from aldgate.storage import SliceGrant, SliceRequest
from aldgate.store.sqlite import Sqlite
from aldgate.store.store import SqlStore
from aldgate.store.tables import budgets, slices

ORGANISATION, ONE, OTHER = 1_000, 600, 700
DAY_S = 86_400
LIMITS = {"organisation": ORGANISATION, "one": ONE, "other": OTHER}
AMOUNTS = st.integers(1, 200)


def principal(name: str) -> Principal:
    above = Level("organisation", "organisation", "organisation", Policy(budgets=(Budget(ORGANISATION, "total"),)))
    own = Level("key", name, name, Policy(budgets=(Budget(LIMITS[name], "day"),)))
    return Principal.of("key", own, (above,))


PRINCIPALS = [principal("one"), principal("other")]


class Process:
    """One process: its slices, what its calls hold, and a line to the database on which answers get lost."""

    def __init__(self, machine: "Money", name: str) -> None:
        self.machine = machine
        self.name = name
        self.fault = ""
        self.calls: list[tuple[Held, int]] = []
        self.parts: dict[int, Parts] = {}
        self.slices = Slices(self, name, lambda: machine.now)  # pyright: ignore[reportArgumentType]
        self.slices.neighbours = self

    @property
    def are_there(self) -> bool:
        return True

    async def recall(self, account: str, period: str) -> None:
        for other in self.machine.processes:
            if other is not self:
                try:
                    await other.slices.give_back(account, period)
                except StoreUnavailable:
                    self.machine.was_cut = True

    async def refill(self, process: str, seq: int, requests: Sequence[SliceRequest]) -> list[SliceGrant]:
        fault, self.fault = self.fault, ""
        if fault == "before":
            raise StoreUnavailable("It did not answer.")
        grants = await self.machine.store.refill(process, seq, requests)
        if fault == "after":
            raise StoreUnavailable("Its answer was lost.")
        return grants


class Money(RuleBasedStateMachine):
    """Two processes at a time, and those that were lost."""

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.Runner()
        self.home = tempfile.TemporaryDirectory()
        self.store = SqlStore(Sqlite(make_url(f"sqlite:///{self.home.name}/money.db"), "batched"), "nobody")
        self.loop.run(self.store.open())
        self.now = 1_790_000_000.0
        self.started = 0
        self.spent: Counter[tuple[str, str]] = Counter()
        self.lost: list[Process] = []
        self.was_cut = False
        self.processes = [self.new_process(), self.new_process()]

    def new_process(self) -> Process:
        self.started += 1
        return Process(self, f"process-{self.started}")

    @rule(which=st.integers(0, 1), who=st.integers(0, 1), amount=AMOUNTS)
    def call(self, which: int, who: int, amount: int) -> None:
        self.is_held(which, who, amount)

    def is_held(self, which: int, who: int, amount: int) -> bool:
        """Whether a call could begin."""
        self.now += 2  # what was refused is remembered for a second
        self.was_cut = bool(self.processes[which].fault)
        process, cost = self.processes[which], Cost(amount, amount)
        parts = process.slices.parts(PRINCIPALS[who])
        held = process.slices.hold(parts, cost)
        if held is None:
            try:
                self.loop.run(process.slices.refill(parts, cost))
            except StoreUnavailable:
                return False
            except BudgetExceeded:
                names = [(part.account, part.period) for part, _ in parts]
                assert self.was_cut or any(self.left(name) < amount for name in names), "refused though there was enough"
                return False
            held = process.slices.hold(parts, cost)
        assert held is not None, "nobody else spends from what was just granted"
        process.calls.append((held, amount))
        process.parts[id(held)] = parts
        return True

    @rule(which=st.integers(0, 1), more=AMOUNTS)
    def go_on(self, which: int, more: int) -> None:
        """A stream needs more than it holds; what it held before stays held whatever becomes of that."""
        self.extends(self.processes[which], more)

    @rule(which=st.integers(0, 1), more=st.integers(5, 50))
    def go_on_until_cut(self, which: int, more: int) -> None:
        """And then it has what is left, as far as that goes, and no more."""
        process = self.processes[which]
        while self.extends(process, more):
            pass
        if process.calls and not self.was_cut:
            held, amount = process.calls[-1]
            parts = process.parts[id(held)]
            try:
                self.loop.run(process.slices.refill_all(parts))
            except StoreUnavailable:
                return
            least = process.slices.within_reach(held, parts)
            assert amount <= least < amount + more
            assert process.slices.hold_up_to(held, parts, least) and not process.slices.hold_up_to(held, parts, least + 1)
            process.calls[-1] = held, least

    def extends(self, process: Process, more: int) -> bool:
        """Whether the youngest call of a process could hold more."""
        if not process.calls:
            return False
        self.now += 2
        self.was_cut = bool(process.fault)
        held, amount = process.calls[-1]
        parts = process.parts[id(held)]
        if not process.slices.hold_up_to(held, parts, amount + more):
            try:
                self.loop.run(process.slices.refill_up_to(held, parts, amount + more, "It"))
            except StoreUnavailable:
                self.was_cut = True
                return False
            except BudgetExceeded:
                names = [(part.account, part.period) for part, _ in parts]
                assert self.was_cut or any(self.left(name) < more for name in names), "refused though there was enough"
                return False
            assert process.slices.hold_up_to(held, parts, amount + more), "nobody else spends from what was just granted"
        process.calls[-1] = held, amount + more
        return True

    @rule(which=st.integers(0, 1), who=st.integers(0, 1), amount=st.integers(20, 200))
    def call_until_refused(self, which: int, who: int, amount: int) -> None:
        while self.is_held(which, who, amount):
            if len(self.processes[which].calls) % 3 == 0:
                self.end(self.processes[which], 100)

    @rule(which=st.integers(0, 1), share=st.integers(0, 100))
    def settle(self, which: int, share: int) -> None:
        if self.processes[which].calls:
            self.end(self.processes[which], share)

    def end(self, process: Process, share: int) -> None:
        held, amount = process.calls.pop()
        process.slices.settle(held, amount * share // 100)
        for part, _ in held:
            self.spent[part.account, part.period] += amount * share // 100

    @rule(which=st.integers(0, 1))
    def crash(self, which: int) -> None:
        """Its calls are with the provider, who bills them."""
        process = self.processes[which]
        self.lost.append(process)
        self.processes[which] = self.new_process()

    @precondition(lambda self: getattr(self, "lost", None))
    @rule(number=st.integers(0, 3), share=st.integers(0, 100))
    def come_back(self, number: int, share: int) -> None:
        """It only stood still: it ends what it had under way and leaves in good order."""
        process = self.lost.pop(number % len(self.lost))
        while process.calls:
            self.end(process, share)
        process.fault = ""
        self.loop.run(process.slices.give_all_back())

    @rule(which=st.integers(0, 1), fault=st.sampled_from(["before", "after"]))
    def lose_the_next_answer(self, which: int, fault: str) -> None:
        self.processes[which].fault = fault

    @rule(days=st.integers(-2, 2), seconds=st.integers(-3_600, 3_600))
    def step(self, days: int, seconds: int) -> None:
        self.now += days * DAY_S + seconds

    def held(self, name: tuple[str, str]) -> int:
        """What calls under way may still cost, those of lost processes included."""
        calls = [held for process in (*self.processes, *self.lost) for held, _ in process.calls]
        return sum(amount for held in calls for part, amount in held if (part.account, part.period) == name)

    def left(self, name: tuple[str, str]) -> int:
        """What nobody has spent, holds or lost, as somebody who sees everything knows it."""
        lost = {process.name for process in self.lost}
        _, parts = self.loop.run(self.rows())
        gone = sum(part.granted - part.reported for part in parts if part.process in lost and (part.account, part.period) == name)
        unreported = sum(each.spent for process in self.lost for each in self.slices_of(process, name))
        reported = sum(part.reported for part in parts if part.process in lost and (part.account, part.period) == name)
        alive = sum(
            amount
            for process in self.processes
            for held, _ in process.calls
            for part, amount in held
            if (part.account, part.period) == name
        )
        return LIMITS[name[0]] - (self.spent[name] - (unreported - reported)) - alive - gone

    @staticmethod
    def slices_of(process: Process, name: tuple[str, str]) -> list[Any]:
        part = process.slices._slices.get(name)
        return [] if part is None else [part]

    @precondition(lambda self: hasattr(self, "spent"))
    @invariant()
    def no_cent_is_spent_twice(self) -> None:
        totals, parts = self.loop.run(self.rows())
        for total in totals:
            name = total.account, total.period
            limit = LIMITS[total.account]
            open_ = sum(part.granted - part.reported for part in parts if (part.account, part.period) == name)
            assert total.settled + total.presumed + open_ <= limit
            assert self.spent[name] + self.held(name) <= total.settled + total.presumed + open_
            assert total.settled <= self.spent[name]

    async def rows(self) -> tuple[list[Any], list[Any]]:
        async with self.store._database.read() as connection:
            totals = (await connection.execute(select(budgets))).all()
            parts = (await connection.execute(select(slices))).all()
        return list(totals), list(parts)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.loop.run(self.store.aclose())
            self.loop.close()
            self.home.cleanup()


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.fixture
def money() -> Iterator[Money]:
    machine = Money()
    machine.start()
    yield machine
    machine.teardown()


def spend_all(money: Money) -> int:
    """What both processes hold of a budget once neither gets any more."""
    while sum(money.is_held(which, 0, 20) for which in (0, 1)):
        money.no_cent_is_spent_twice()
    return sum(amount for process in money.processes for _, amount in process.calls)


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_grant_whose_answer_was_lost_is_neither_lost_nor_given_twice(money: Money, fault: str) -> None:
    money.processes[0].fault = fault
    assert not money.is_held(0, 0, 20)
    assert spend_all(money) == ONE


@pytest.mark.parametrize("fault", ["before", "after"])
def test_what_was_given_back_without_an_answer_is_given_back_once(money: Money, fault: str) -> None:
    assert money.is_held(0, 0, 20)
    for _ in range(3):  # each time the other lacks something, and this one's answer is lost
        money.processes[0].fault = fault
        while money.is_held(1, 0, 20):
            money.no_cent_is_spent_twice()
    money.processes[0].fault = ""
    assert spend_all(money) == ONE


def test_a_clock_that_goes_back_opens_no_day_again(money: Money) -> None:
    spent: list[int] = []
    for days in (0, -1, 2):
        money.step(days, 0)
        spent.append(spend_all(money))
        money.no_cent_is_spent_twice()
    assert spent == [ONE, ONE, ORGANISATION]
