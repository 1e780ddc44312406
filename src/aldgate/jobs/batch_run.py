"""Carries one batch to its end: each line is a call through the gate like any other, in the name of the batch's key.

A line is marked in the store before its call begins and when its result is known, so that after a crash no line whose result was
kept is called again, and no line is called more than twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from aldgate.core.batches import (
    INTERRUPTED,
    BatchLine,
    LineResult,
    Status,
    StoredBatch,
    answered,
    body_of,
    unanswered,
    wait_s,
)
from aldgate.core.calls import Admission, Outcome
from aldgate.core.errors import BudgetExceeded, GatewayError, InternalError, InvalidRequest, StoreUnavailable
from aldgate.core.leases import LeaseLost
from aldgate.gate.attempts import Run
from aldgate.gate.policies.permission import check_path
from aldgate.gate.policies.shaping import shaped
from aldgate.gate.whole import whole
from aldgate.jobs.batch_input import read_input, read_raw
from aldgate.jobs.batch_results import write_results
from aldgate.jobs.batch_shop import BatchShop
from aldgate.jobs.insisting import RETRY_S, insist
from aldgate.ports import Endpoint

log = logging.getLogger("aldgate.batches")

LEASE_S = 30.0
PAGE = 500
LINES_AT_ONCE = 1_000

T = TypeVar("T")


class BatchRun:
    """One batch that this worker has taken."""

    def __init__(self, batch: StoredBatch, shop: BatchShop) -> None:
        self._batch = batch
        self._shop = shop
        self._nudge = asyncio.Event()
        self._halt = asyncio.Event()
        self._ending: Status | None = None
        self._is_stopping = False
        self._page: deque[BatchLine] = deque()
        self._after = 0
        self._paging = asyncio.Lock()
        self._holding = 0
        self._freed = asyncio.Event()

    @cached_property
    def _endpoint(self) -> Endpoint:
        return self._shop.endpoints(self._batch.endpoint)

    def nudge(self) -> None:
        """Something has happened to the batch: look at it now."""
        self._nudge.set()

    def stop(self) -> None:
        """Begin no more lines, and let the batch go once those under way have ended."""
        self._is_stopping = True
        self._halt.set()

    async def run(self) -> None:
        """Carry the batch on until it has ended, or `stop`.

        Raises:
            ExceptionGroup: Of `LeaseLost`, `GatewayError` and `OSError`: it stays as it is, for whoever takes it next.
        """
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._keep())
            try:
                await self._carry_on()
            finally:
                keeping.cancel()

    async def _keep(self) -> None:
        """Keep the batch, and see what becomes of it meanwhile."""
        while True:
            self._nudge.clear()
            try:
                self._look(await self._shop.store.hold_batch(self._batch, LEASE_S))
            except StoreUnavailable as error:
                log.warning("the database did not answer", extra={"batch": self._batch.id}, exc_info=error)
            left_s = LEASE_S if self._ending is not None else max(0.0, self._batch.expires_at - self._shop.now())
            await self._shop.wait(self._nudge, min(LEASE_S / 3, left_s))

    def _look(self, status: Status) -> None:
        if self._ending is None and status == "cancelling":
            self._ending = "cancelled"
        elif self._ending is None and self._shop.now() >= self._batch.expires_at:
            self._ending = "expired"
        if self._ending is not None:
            self._halt.set()

    async def _carry_on(self) -> None:
        store, batch = self._shop.store, self._batch
        status = batch.status
        self._look(status)
        if status == "validating" and self._ending is None:
            status = await self._validate()
        if status == "in_progress":
            await self._call_lines()
            if not await self._insist(lambda: store.waiting_lines(batch.id, 0, 1)):
                status = await store.finalize_batch(batch, self._shop.now())
            elif self._ending is None:  # stopped
                await store.hold_batch(batch, 0)
                return
        if status != "failed":
            self._look(status)
            final: Status = "completed" if status == "finalizing" else self._ending or "expired"
            await write_results(store, self._shop.files, batch, final, self._shop.now)

    async def _validate(self) -> Status:
        """Read the input and keep its lines; a file with anything wrong in it fails the batch."""
        batch, store = self._batch, self._shop.store
        path = self._path()
        bounds = {"most_lines": self._shop.most_lines, "most_bytes": self._shop.most_bytes}
        found = await asyncio.to_thread(read_input, path, batch.endpoint, **bounds)
        if found.errors:
            await store.finish_batch(batch, "failed", self._shop.now(), errors=found.errors)
            return "failed"
        for start in range(0, len(found.lines), LINES_AT_ONCE):
            await store.add_lines(batch, found.lines[start : start + LINES_AT_ONCE])
        return await store.start_batch(batch, self._shop.now(), len(found.lines), found.model)

    def _path(self) -> Path:
        return self._shop.files.content(self._batch.input_sha256)

    async def _call_lines(self) -> None:
        """Call every line that waits, until none does or the batch is to end."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._shop.width):
                group.create_task(self._call_some())

    async def _call_some(self) -> None:
        while not self._halt.is_set() and (line := await self._next()) is not None:
            await self._line(line)

    async def _next(self) -> BatchLine | None:
        async with self._paging:
            if not self._page:
                more = await self._insist(lambda: self._shop.store.waiting_lines(self._batch.id, self._after, PAGE))
                self._page.extend(more)
            if not self._page:
                return None
            line = self._page.popleft()
            self._after = line.line
            return line

    async def _line(self, line: BatchLine) -> None:
        """Call a line until it has a result, or the batch is to end."""
        if line.cuts > 1:
            return await self._finish(LineResult(line.line, unanswered(self._batch.id, line, *INTERRUPTED), False))
        tries = 0
        while not self._halt.is_set():
            call = _LineCall(line.call_id if line.call_id and not tries else self._shop.gate.new_id())
            try:
                async with self._shop.places:
                    if self._halt.is_set():
                        return
                    text = await self._call(line, call)
            except GatewayError as error:
                tries += call.has_begun
                if isinstance(error, BudgetExceeded) and self._holding:
                    # It does not fit beside what other lines hold, and they will give some back.
                    await self._shop.wait(self._freed, RETRY_S)
                    continue
                delay = wait_s(error, tries)
                if delay is None:
                    return await self._fail(line, call, error)
            else:
                return await self._finish(LineResult(line.line, text, True, call.outcome.usage))
            if call.has_begun:
                self._look(await self._insist(lambda: self._shop.store.put_line_back(self._batch, line.line)))
            await self._shop.wait(self._halt, delay)

    async def _call(self, line: BatchLine, call: _LineCall) -> bytes:
        """Make the call, and return the line of the output."""
        self._shop.in_flight.take(line.length)
        try:
            return await self._walk(line, call)
        except (LeaseLost, GatewayError):
            raise
        except Exception as error:  # a border: one line's fault must not end the others
            log.exception("a line of a batch failed", extra={"batch": self._batch.id, "line": line.line})
            raise InternalError("The gate failed; its log says why.") from error
        finally:
            self._shop.in_flight.release(line.length)

    async def _walk(self, line: BatchLine, made: _LineCall) -> bytes:
        """The seven steps."""
        shop, endpoint, account = self._shop, self._endpoint, self._batch.account
        body = asked = await self._read(line)
        principal = await shop.identity.standing(self._batch.principal)
        if endpoint.memory is not None:
            body = await endpoint.memory.filled(account, asked)
        peek = endpoint.face.peek(endpoint.operation, body)
        if principal.rights.tells_places:
            check_path(principal, self._batch.endpoint)
        if principal.rights.tells_parameters:
            peek = shaped(endpoint.face, principal, endpoint.operation, peek, None)
        call = shop.gate.call(made.id, endpoint.operation, principal, peek)
        if call.peek.stream:
            raise InvalidRequest("A line of a batch cannot be streamed (`stream`).", param="stream")
        admission = shop.gate.admit(call) or await shop.gate.admit_shared(call)
        self._holding += 1
        try:
            run = await self._run(line, made, admission)
        finally:
            self._holding -= 1
            self._freed.set()
            self._freed = asyncio.Event()
        if endpoint.memory is not None:
            await endpoint.memory.keep(principal, asked, run.first)
        return answered(self._batch.id, line, 200, made.id, run.first, run.warnings)

    async def _read(self, line: BatchLine) -> bytes:
        try:
            return body_of(await asyncio.to_thread(read_raw, self._path(), line))
        except OSError as error:
            raise StoreUnavailable("The disk did not give the input back.") from error

    async def _run(self, line: BatchLine, made: _LineCall, admission: Admission) -> Run:
        """Mark the line, then run its call and settle it, whatever happens."""
        shop = self._shop
        try:
            self._look(await shop.store.call_line(self._batch, line.line, made.id))
        except BaseException:
            made.outcome.fail(StoreUnavailable("The database did not take that the call begins."))
            shop.gate.settle(admission, made.outcome)
            raise
        made.has_begun = True
        return await whole(shop.gate, admission, self._endpoint.face, made.outcome, shop.committed)

    async def _fail(self, line: BatchLine, call: _LineCall, error: GatewayError) -> None:
        status, _, body = self._endpoint.face.error(error, call.id)
        text = answered(self._batch.id, line, status, call.id, body)
        await self._finish(LineResult(line.line, text, False, call.outcome.usage))

    async def _finish(self, result: LineResult) -> None:
        self._look(await self._insist(lambda: self._shop.store.finish_line(self._batch, result)))

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the store says, once it does: to give up would be to cut off calls, or to make one again whose result is here.

        Raises:
            StoreUnavailable: It has not answered, and the gate stops.
        """
        return await insist(ask, self._shop.wait, lambda: self._is_stopping)


class _LineCall:
    """A call for a line.

    Attributes:
        has_begun: It was marked as begun: the provider may have been called.
    """

    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self.outcome = Outcome()
        self.has_begun = False
