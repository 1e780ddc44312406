"""The worker of batches: takes those that nobody has, and carries them on side by side."""

from __future__ import annotations

import asyncio
import logging

from aldgate.core.batches import StoredBatch
from aldgate.core.errors import GatewayError, StoreUnavailable
from aldgate.core.leases import LeaseLost
from aldgate.jobs.batch_run import LEASE_S, BatchRun
from aldgate.jobs.batch_shop import BatchShop

log = logging.getLogger("aldgate.batches")

BATCHES_AT_ONCE = 64
POLL_S = 10.0


class BatchWorker:
    """Carries on batches until it is cancelled."""

    def __init__(self, shop: BatchShop) -> None:
        self._shop = shop
        self._runs: dict[str, BatchRun] = {}
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._is_stopping = False

    def nudge(self, batch_id: str) -> None:
        """A batch is new, or was cancelled."""
        run = self._runs.get(batch_id)
        if run is not None:
            run.nudge()
        self._wake.set()

    async def run(self) -> None:
        """Take batches and carry them on. Belongs in the process's task group."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                while not self._is_stopping and len(self._runs) < BATCHES_AT_ONCE and (batch := await self._take()):
                    run = self._runs[batch.id] = BatchRun(batch, self._shop)
                    self._quiet.clear()
                    group.create_task(self._carry(batch, run))
                await self._shop.wait(self._wake, POLL_S)

    async def _take(self) -> StoredBatch | None:
        try:
            return await self._shop.store.take_batch(LEASE_S)
        except StoreUnavailable as error:
            log.warning("the database did not answer", exc_info=error)
            return None

    async def _carry(self, batch: StoredBatch, run: BatchRun) -> None:
        noted = {"batch": batch.id}
        try:
            await run.run()
        except* LeaseLost:
            log.warning("another worker has taken the batch", extra=noted)
        except* (GatewayError, OSError) as errors:
            log.warning("the batch is left as it is for now", extra=noted, exc_info=errors)
        except* Exception as errors:  # a border: one batch's fault must not end the others
            log.error("the batch failed and will be tried again", extra=noted, exc_info=errors)
        finally:
            if self._runs.get(batch.id) is run:
                del self._runs[batch.id]
            if not self._runs:
                self._quiet.set()
            self._wake.set()

    async def drain(self, patience_s: float) -> None:
        """Begin no more lines, and let those under way end within `patience_s`; the rest is cut when the worker is cancelled."""
        self._is_stopping = True
        for run in self._runs.values():
            run.stop()
        await self._shop.wait(self._quiet, patience_s)
