"""What runs beside calls as long as the gate does, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from aldgate.app.app import App
from aldgate.config.settings import Settings
from aldgate.core.errors import GatewayError
from aldgate.gate.money.slices import Slices
from aldgate.storage import Store
from aldgate.store.writer import LedgerWriter

log = logging.getLogger("aldgate")

TIDY_S = 3_600


def lasting(app: App, store: Store, *, works: bool) -> tuple[Coroutine[Any, Any, None], ...]:
    """Everything that runs until the gate ends. `works`: it carries on jobs itself."""
    return (
        *(() if app.valkey is None else (app.valkey.run(),)),
        *((app.placing.run(),) if works and app.placing.has_work() else ()),
        *((app.worker.run(),) if works else ()),
        app.writer.run(),
        app.roster.sweeper.run(),
        app.watch.run(),
        app.alerts.run(),
        app.reloader.run(),
        app.clients.run(app.identity.forget),
        _looking(app),
        _tidying(app, store),
        app.batches.run(),
        app.deliveries.run(),
        app.watching.run(),
        app.counting.run(),
        app.engine_watch.run(),
        app.background.run(),
        app.neighbours.run(),
    )


async def _looking(app: App) -> None:
    """Look for models again from time to time."""
    while True:
        await asyncio.sleep(app.reloader.settings.discovery.interval_s)
        await app.roster.look()
        app.gate.slices.forget_past()


async def _tidying(app: App, store: Store) -> None:
    """Remove from time to time what has expired."""
    while True:
        await asyncio.sleep(TIDY_S)
        try:
            await app.files.sweep()
            await _forget_jobs(app.reloader.settings, store)
            await app.archive.sweep()
            await store.forget_dead()
        except (GatewayError, OSError) as error:
            log.warning("what has expired could not be removed", exc_info=error)


async def _forget_jobs(settings: Settings, store: Store) -> None:
    """Forget jobs that are kept no longer, a few at a time; what they made goes with the next sweep of what has expired."""
    lives_s = min((each for each in (settings.jobs.lifetime_s, settings.artifacts.lifetime_s) if each), default=None)
    came_to = await store.forget_jobs(lives_s)
    while came_to is not None:
        came_to = await store.forget_jobs(lives_s, came_to)


async def finish(tasks: list[asyncio.Task[None]], writer: LedgerWriter, slices: Slices, store: Store) -> None:
    """End what runs, write what the ledger has waiting, and give granted money back."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await writer.aclose()
    await slices.give_all_back()
    with contextlib.suppress(GatewayError):  # it is taken for dead soon in any case
        await store.leave()
