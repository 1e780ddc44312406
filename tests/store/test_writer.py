"""The ledger's writer: batches, tickets, and what it does while the store is away. No test waits for a clock."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from aldgate.core.calls import LedgerRow
from aldgate.core.errors import StoreUnavailable
from aldgate.storage import SliceRequest, Store
from aldgate.store.stores import open_url
from aldgate.store.writer import BATCH, LedgerWriter

from .rows import ROW, ask

AWAY = StoreUnavailable("The database did not answer.")


class Ledger:
    """The part of a store that a writer uses; it can be made to fail or to take its time."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.reports: list[SliceRequest] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    @property
    def rows(self) -> list[str]:
        return [row for batch in self.batches for row in batch]

    async def record(self, rows: Sequence[LedgerRow], reports: Sequence[SliceRequest]) -> None:
        self.entered.set()
        taken = [row.call_id for row in rows]
        await self.gate.wait()
        if self.error:
            raise self.error
        self.batches.append(taken)
        self.reports += reports


class Bench:
    """A writer on a ledger, with its windows opened by hand."""

    def __init__(self, **options) -> None:
        self.ledger = Ledger()
        self.alarms: list[bool] = []
        self.pauses: list[float] = []
        self.reports: list[SliceRequest] = []
        self.window = asyncio.Event()
        self.is_waiting = asyncio.Event()
        options = {"on_failure": "refuse"} | options
        self.writer = LedgerWriter(
            self.ledger, report=lambda: self.reports, on_alarm=self.alarms.append, wait=self.wait, **options
        )

    async def wait(self, wake: asyncio.Event, timeout_s: float) -> None:
        self.pauses.append(timeout_s)
        self.is_waiting.set()
        waits = [asyncio.ensure_future(event.wait()) for event in (wake, self.window)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        self.window.clear()

    async def pass_window(self) -> None:
        """Let one window end and wait until the writer waits for the next."""
        await self.is_waiting.wait()
        self.is_waiting.clear()
        self.window.set()
        await self.is_waiting.wait()

    def append(self, *numbers: int) -> None:
        for number in numbers:
            self.writer.append(replace(ROW, call_id=f"req-{number}"))


@pytest.fixture
async def group():
    async with asyncio.TaskGroup() as group:
        yield group


async def test_a_window_is_one_batch(group: asyncio.TaskGroup):
    bench = Bench(window_s=0.2)
    group.create_task(bench.writer.run())
    bench.append(1, 2, 3)
    await bench.pass_window()
    bench.append(4)
    await bench.pass_window()
    await bench.pass_window()
    assert bench.ledger.batches == [["req-1", "req-2", "req-3"], ["req-4"]]
    assert set(bench.pauses) == {0.2}
    await bench.writer.aclose()


async def test_reports_go_with_the_rows_and_without_them(group: asyncio.TaskGroup):
    bench = Bench()
    group.create_task(bench.writer.run())
    bench.reports = [ask(reported=5)]
    await bench.pass_window()
    assert (bench.ledger.batches, bench.ledger.reports) == ([[]], [ask(reported=5)])
    await bench.writer.aclose()


async def test_a_backlog_is_written_in_batches_of_bounded_size(group: asyncio.TaskGroup):
    bench = Bench()
    group.create_task(bench.writer.run())
    bench.append(*range(2 * BATCH + 1))
    await bench.pass_window()
    assert [len(batch) for batch in bench.ledger.batches] == [BATCH, BATCH, 1]
    await bench.writer.aclose()


async def test_tickets_share_one_commit_and_wait_for_no_window(group: asyncio.TaskGroup):
    bench = Bench()
    group.create_task(bench.writer.run())
    await bench.writer.committed()
    bench.append(1)
    bench.ledger.gate.clear()
    first = group.create_task(bench.writer.committed())
    await bench.ledger.entered.wait()
    bench.append(2, 3)
    others = [group.create_task(bench.writer.committed()) for _ in range(2)]
    bench.ledger.gate.set()
    await asyncio.gather(first, *others)
    assert bench.ledger.batches == [["req-1"], ["req-2", "req-3"]]
    await bench.writer.aclose()


async def test_a_failed_commit_refuses_the_ticket_and_keeps_the_row(group: asyncio.TaskGroup):
    bench = Bench()
    group.create_task(bench.writer.run())
    bench.ledger.error = AWAY
    bench.append(1)
    with pytest.raises(StoreUnavailable) as caught:
        await bench.writer.committed()
    assert caught.value.__cause__ is AWAY
    assert bench.writer.is_failing
    bench.ledger.error = None
    await bench.pass_window()
    assert bench.ledger.rows == ["req-1"]
    assert (bench.writer.is_failing, bench.alarms) == (False, [True, False])
    await bench.writer.aclose()


async def test_a_failed_commit_lets_the_ticket_go_on_if_told_so(group: asyncio.TaskGroup):
    bench = Bench(on_failure="continue")
    group.create_task(bench.writer.run())
    bench.ledger.error = AWAY
    bench.append(1)
    await bench.writer.committed()
    assert bench.ledger.rows == []
    bench.ledger.error = None
    await bench.writer.aclose()
    assert bench.ledger.rows == ["req-1"]


async def test_a_store_that_stays_away_is_tried_less_often(group: asyncio.TaskGroup):
    bench = Bench(window_s=1.0)
    group.create_task(bench.writer.run())
    bench.ledger.error = ValueError("not even an error of the store's")
    bench.append(1)
    for _ in range(4):
        await bench.pass_window()
    bench.ledger.error = None
    await bench.pass_window()
    assert bench.pauses == [1.0, 2.0, 4.0, 5.0, 5.0, 1.0]
    assert bench.ledger.rows == ["req-1"]
    await bench.writer.aclose()


async def test_rows_over_capacity_are_lost_oldest_first_counted_and_said(
    group: asyncio.TaskGroup, caplog: pytest.LogCaptureFixture
):
    bench = Bench(capacity=3)
    group.create_task(bench.writer.run())
    bench.ledger.error = AWAY
    bench.append(1, 2, 3, 4, 5)
    await bench.pass_window()
    assert bench.writer.lost_rows == 2
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
    assert said == ["2 ledger rows are LOST, 2 in all since the start"]
    bench.ledger.error = None
    await bench.pass_window()
    assert bench.ledger.rows == ["req-3", "req-4", "req-5"]
    await bench.writer.aclose()


async def test_closing_writes_what_is_left_and_ends_the_task(group: asyncio.TaskGroup):
    bench = Bench()
    task = group.create_task(bench.writer.run())
    await bench.is_waiting.wait()
    bench.append(1, 2)
    await bench.writer.aclose()
    await task
    assert bench.ledger.rows == ["req-1", "req-2"]


async def test_closing_after_a_cancelled_write_writes_the_same_rows():
    bench = Bench()
    task = asyncio.ensure_future(bench.writer.run())
    bench.ledger.gate.clear()
    bench.append(1)
    bench.window.set()
    await bench.ledger.entered.wait()
    task.cancel()
    await asyncio.wait([task])
    bench.ledger.gate.set()
    await bench.writer.aclose()
    assert bench.ledger.rows == ["req-1"]


async def test_closing_while_the_store_is_away_counts_the_losses(caplog: pytest.LogCaptureFixture):
    bench = Bench()
    bench.ledger.error = AWAY
    bench.append(1, 2)
    closing = asyncio.ensure_future(bench.writer.aclose())
    while not closing.done():
        bench.window.set()
        await asyncio.wait([closing], timeout=0.001)
    assert bench.writer.lost_rows == 2
    bench.append(3)
    assert bench.writer.lost_rows == 3
    assert "1 ledger rows are LOST, 3 in all" in caplog.text
    with pytest.raises(StoreUnavailable):
        await bench.writer.committed()


async def test_a_ticket_whose_caller_left_harms_nobody(group: asyncio.TaskGroup):
    bench = Bench()
    group.create_task(bench.writer.run())
    bench.ledger.gate.clear()
    bench.append(1)
    waiter = asyncio.ensure_future(bench.writer.committed())
    await bench.ledger.entered.wait()
    waiter.cancel()
    await asyncio.wait([waiter])
    bench.ledger.gate.set()
    await bench.writer.aclose()
    assert bench.ledger.rows == ["req-1"]


async def test_a_writer_on_a_real_store(url: str, group: asyncio.TaskGroup):
    store: Store = open_url(url, "one", durability="strict")
    await store.open()
    writer = LedgerWriter(store, on_failure="refuse", report=lambda: [ask(reported=9)], on_alarm=lambda is_failing: None)
    task = group.create_task(writer.run())
    for number in range(3):
        writer.append(replace(ROW, call_id=f"req-{number}"))
        await writer.committed()
        (total,) = await store.usage(group_by=(), account=None, since=None, until=None)
        assert total.calls == number + 1
    await writer.aclose()
    await task
    await store.aclose()
