"""The ledger's writer: calls append to memory, one task commits batches, and those who must know wait for the commit."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Literal

from aldgate.core.calls import LedgerRow
from aldgate.core.errors import GatewayError, StoreUnavailable
from aldgate.storage import SliceRequest, Store

LOG = logging.getLogger("aldgate.ledger")

BATCH = 5_000
"""Most rows of one commit. A commit costs much beside its rows: too few of them, and the writer falls behind a busy gate."""
LONGEST_BACKOFF_S = 5.0
TRIES_AT_CLOSE = 3

OnFailure = Literal["continue", "refuse"]
"""What becomes of calls whose ledger row cannot be committed: they are answered all the same, or refused."""


async def wait_for_event(event: asyncio.Event, timeout_s: float) -> None:
    """Return when `event` is set, or after `timeout_s`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


class LedgerWriter:
    """Writes ledger rows in batches, in the order they came.

    Args:
        store: Where to.
        window_s: Seconds between batches while nobody waits.
        capacity: Rows kept while the store is away; beyond it the oldest are lost, counted and logged.
        on_failure: See `OnFailure`.
        report: Gives what this process has spent of its budgets so far; stored with each batch.
        on_alarm: Called with True when writing begins to fail and with False when it works again.
        wait: Waits for the event at most so many seconds; tests inject their own.
    """

    def __init__(
        self,
        store: Store,
        *,
        on_failure: OnFailure,
        report: Callable[[], Sequence[SliceRequest]],
        on_alarm: Callable[[bool], None],
        window_s: float = 0.2,
        capacity: int = 100_000,
        wait: Callable[[asyncio.Event, float], Awaitable[None]] = wait_for_event,
    ) -> None:
        self._store = store
        self._refuses = on_failure == "refuse"
        self._report = report
        self._on_alarm = on_alarm
        self._window_s = window_s
        self._capacity = capacity
        self._wait = wait
        self._waiting: deque[LedgerRow] = deque()
        self._batch: list[LedgerRow] = []
        self._appended = 0
        self._written = 0
        self._tickets: list[tuple[int, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._is_closing = self._is_closed = False
        self._failures = 0
        self._lost_logged = 0
        self.lost_rows = 0
        """Rows dropped because the store was away for too long."""

    @property
    def is_failing(self) -> bool:
        """Whether the last batch could not be committed."""
        return self._failures > 0

    def append(self, row: LedgerRow) -> None:
        """Take a row to be written with the next batch. Never waits, never fails."""
        self._waiting.append(row)
        self._appended += 1
        if len(self._waiting) + len(self._batch) > self._capacity:
            self._waiting.popleft()
            self.lost_rows += 1
            if self._is_closed:
                self._log_losses()

    async def committed(self) -> None:
        """Return once everything appended so far is committed; those who wait share one commit.

        Raises:
            StoreUnavailable: The commit failed and `on_failure` is `refuse`. The rows are kept and tried again.
        """
        if self._written >= self._appended:
            return
        if self._is_closed and self._refuses:
            raise StoreUnavailable("The ledger is closed.")
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tickets.append((self._appended, ticket))
        self._wake.set()
        await ticket

    async def run(self) -> None:
        """Write until `aclose`: a batch per window, or at once when someone waits. Belongs in the process's task group."""
        while not self._is_closing:
            await self._wait(self._wake, self._pause_s())
            self._wake.clear()
            await self._flush()

    async def aclose(self) -> None:
        """Write what is left and end `run`. What the store does not take in a few tries is lost, counted and logged."""
        self._is_closing = True
        self._wake.set()
        for _ in range(TRIES_AT_CLOSE):
            if await self._flush():
                break
            await self._wait(asyncio.Event(), self._pause_s())
        self.lost_rows += len(self._batch) + len(self._waiting)
        self._batch, self._waiting = [], deque()
        # Whatever comes now is lost at once, and said to be.
        self._is_closed, self._capacity = True, 0
        self._log_losses()

    def _pause_s(self) -> float:
        return min(self._window_s * 2**self._failures, max(self._window_s, LONGEST_BACKOFF_S))

    async def _flush(self) -> bool:
        """Write a report and every row that waits now; False if the store failed. Rows that come meanwhile come next."""
        async with self._turn:
            through = self._appended
            while await self._write_batch():
                if self._written >= through:
                    return True
        return False

    async def _write_batch(self) -> bool:
        # A batch is kept until it is committed: if this is cancelled or fails, the next turn writes the same rows again,
        # which the store leaves alone if they got there after all.
        while self._waiting and len(self._batch) < BATCH:
            self._batch.append(self._waiting.popleft())
        reached = self._appended - len(self._waiting)
        reports = self._report()
        try:
            if self._batch or reports:
                await self._store.record(self._batch, reports)
        except Exception as error:  # one of the few borders: whatever is wrong with the store must not end the writer
            self._failed(error)
            return False
        self._batch = []
        self._succeeded(reached)
        return True

    def _succeeded(self, reached: int) -> None:
        self._written = reached
        if self._failures:
            self._failures = 0
            LOG.warning("the ledger is being written again")
            self._on_alarm(False)
        self._log_losses()
        for _, ticket in self._take_tickets(reached):
            ticket.set_result(None)

    def _failed(self, error: Exception) -> None:
        self._failures = min(self._failures + 1, 16)
        kept = len(self._batch) + len(self._waiting)
        LOG.error(
            "the ledger cannot be written; %d rows are kept and tried again",
            kept,
            exc_info=error if self._failures == 1 else None,
        )
        if self._failures == 1:
            self._on_alarm(True)
        self._log_losses()
        for _, ticket in self._take_tickets(self._appended):
            if self._refuses:
                message = error.message if isinstance(error, GatewayError) else "The ledger could not be written."
                refusal = StoreUnavailable(message, retry_after_s=1)
                refusal.__cause__ = error
                ticket.set_exception(refusal)
            else:
                ticket.set_result(None)

    def _take_tickets(self, reached: int) -> list[tuple[int, asyncio.Future[None]]]:
        due = [(through, ticket) for through, ticket in self._tickets if through <= reached and not ticket.done()]
        self._tickets = [(through, ticket) for through, ticket in self._tickets if through > reached]
        return due

    def _log_losses(self) -> None:
        if self.lost_rows > self._lost_logged:
            LOG.critical("%d ledger rows are LOST, %d in all since the start", self.lost_rows - self._lost_logged, self.lost_rows)
            self._lost_logged = self.lost_rows
