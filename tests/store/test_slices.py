"""A budget that processes spend from, against a model: whatever happens, no cent is freed that may have been spent."""

import asyncio
import tempfile

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import make_url, select

from aldgate.store.slices import MOST, Slice, grant_all
from aldgate.store.sqlite import Sqlite
from aldgate.store.store import SqlStore
from aldgate.store.tables import budgets, slices

from .rows import ask

LIMIT = 1_000
AMOUNTS = st.integers(0, 300)


def test_a_report_over_the_grant_is_not_paid_again_by_the_next_one():
    budget = Slice(limit=100, granted=50)
    budget.report(100, 70)
    assert (budget.settled, budget.granted, budget.free) == (70, 70, 30)


def test_absurd_reports_stay_within_64_bits():
    budget = Slice(limit=100, settled=MOST, others=0)
    budget.report(100, 10**40)
    assert budget.settled == budget.reported == budget.granted == MOST


def test_a_budget_asked_for_twice_in_one_request_is_granted_from_once():
    held = {("key-1", "2026-09"): Slice(limit=100)}
    assert [grant.granted for grant in grant_all(held, [ask(minimum=60), ask(minimum=60)])] == [0, 0]
    assert held["key-1", "2026-09"] == Slice(limit=100)


class Process:
    """What a gate does with its slices: it spends only what it was granted and has not given back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seq = 0
        self.open = 0
        self.spent = 0


class Budgets(RuleBasedStateMachine):
    """Two processes spend from one budget; they crash, repeat themselves and come back under new names."""

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.Runner()
        self.home = tempfile.TemporaryDirectory()
        self.started = 0
        self.store = SqlStore(self.database(), "nobody")
        self.loop.run(self.store.open())
        self.processes = [self.new_process(), self.new_process()]
        self.spent = 0

    def database(self) -> Sqlite:
        return Sqlite(make_url(f"sqlite:///{self.home.name}/budgets.db"), "batched")

    def new_process(self) -> Process:
        self.started += 1
        return Process(f"process-{self.started}")

    @rule(which=st.integers(0, 1), minimum=AMOUNTS, maximum=AMOUNTS, give_back=AMOUNTS, repeats=st.integers(1, 2))
    def refill(self, which: int, minimum: int, maximum: int, give_back: int, repeats: int) -> None:
        process = self.processes[which]
        process.seq += 1
        process.open -= (given := min(give_back, process.open))
        request = ask(limit=LIMIT, reported=process.spent, give_back=given, minimum=minimum, maximum=max(minimum, maximum))
        answers = [self.loop.run(self.store.refill(process.name, process.seq, [request])) for _ in range(repeats)]
        assert answers[0] == answers[-1]
        assert answers[0][0].granted == 0 or minimum <= answers[0][0].granted <= max(minimum, maximum)
        assert answers[0][0].granted or not minimum or answers[0][0].free < minimum
        process.open += answers[0][0].granted

    @rule(which=st.integers(0, 1), amount=AMOUNTS)
    def spend(self, which: int, amount: int) -> None:
        process = self.processes[which]
        amount = min(amount, process.open)
        process.open -= amount
        process.spent += amount
        self.spent += amount

    @rule()
    def crash(self) -> None:
        """The machine goes down and the gate starts again: whoever held a slice is gone."""
        self.processes = [self.new_process(), self.new_process()]
        self.loop.run(self.store.aclose())
        self.store = SqlStore(self.database(), f"start-{self.started}")
        self.loop.run(self.store.open())

    @precondition(lambda self: hasattr(self, "spent"))
    @invariant()
    def no_more_is_spent_or_spendable_than_the_limit(self) -> None:
        settled, presumed, outstanding = self.loop.run(self.totals())
        assert settled + presumed + outstanding <= LIMIT
        assert self.spent + sum(process.open for process in self.processes) <= settled + presumed + outstanding
        assert settled <= self.spent

    async def totals(self) -> tuple[int, int, int]:
        async with self.store._database.read() as connection:
            total = (await connection.execute(select(budgets))).first()
            parts = (await connection.execute(select(slices))).all()
        if total is None:
            return 0, 0, 0
        assert all(part.granted >= part.reported >= 0 for part in parts)
        return total.settled, total.presumed, sum(part.granted - part.reported for part in parts)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.loop.run(self.store.aclose())
            self.loop.close()
            self.home.cleanup()


TestBudgets = Budgets.TestCase
TestBudgets.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
