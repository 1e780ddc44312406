"""Everything that makes things, opened in order: engines, devices, artifacts, and who works on jobs."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from functools import partial

from aldgate.app.app import App
from aldgate.app.devices import placing_of, with_processes
from aldgate.app.engines import engine_watch_of, engines_of, jobs_of, workable, worker_of
from aldgate.app.jobs import archive_of, contents_of, tickets_of
from aldgate.app.webhooks import webhooks_of
from aldgate.artifacts.sharing import why_unshared
from aldgate.config.check import has_server
from aldgate.config.settings import Settings
from aldgate.gate.jobs import settled
from aldgate.jobs.counting import Counting
from aldgate.jobs.watching import Watching
from aldgate.storage import Store
from aldgate.store.writer import wait_for_event

log = logging.getLogger("aldgate")


async def open_making(settings: Settings, app: App, store: Store, stack: AsyncExitStack) -> None:
    """Open them, for a gate whose calls can be made already; the stack closes them.

    Raises:
        ConfigError: A setting cannot be used.
        StoreUnavailable: The database did not answer.
    """
    ended = partial(settled, app.gate)
    plain = engines_of(settings)
    engines = with_processes(settings, plain, plain if settings.jobs.worker else ())
    for engine in engines.values():
        stack.push_async_callback(engine.aclose)
    app.engine_watch = engine_watch_of(settings, app, engines)
    stack.push_async_callback(app.engine_watch.aclose)
    await app.engine_watch.ask(engines["builtin"])
    app.placing = placing_of(settings, store, engines, lambda: app.worker.nudge(), ended)
    app.archive = await archive_of(settings, store, app.files)
    stack.push_async_callback(app.archive.aclose)
    if has_server(settings) and not settings.artifacts.url and (why := await why_unshared(store, contents_of(settings))):
        log.warning("what is kept here other processes do not find: %s", why)
    app.counting = Counting(store, app.gate.job_counts, wait_for_event)
    app.watching = Watching(store, app.counting.heard)
    app.worker = worker_of(settings, app, store, workable(settings, app, store, engines), ended)
    app.hooks, app.deliveries = await webhooks_of(settings, store, stack)
    app.jobs = jobs_of(settings, app, store, engines)
    app.tickets = await tickets_of(store)
