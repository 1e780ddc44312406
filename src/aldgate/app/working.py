"""A worker of its own: jobs are carried on here, and nobody is answered but who asks after its health."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from aldgate import __version__
from aldgate.app.app import App
from aldgate.app.devices import placing_of, with_processes
from aldgate.app.engines import engines_of, worker_of
from aldgate.app.jobs import archive_of, contents_of, files_of
from aldgate.app.serving import loop_factory, telling
from aldgate.artifacts.sharing import why_unshared
from aldgate.config.errors import ConfigError
from aldgate.config.settings import Settings
from aldgate.core.errors import GatewayError
from aldgate.jobs.job_shop import nobody_minds
from aldgate.jobs.worker import Worker
from aldgate.logs import configure_logging
from aldgate.making import Engine
from aldgate.storage import Store
from aldgate.store.stores import open_store
from aldgate.surfaces.health import Probes
from aldgate.surfaces.http.front import Front
from aldgate.surfaces.routes import probe_paths
from aldgate.surfaces.server.listener import Bounds
from aldgate.surfaces.server.server import Address, Server

log = logging.getLogger("aldgate")


def chosen(engines: dict[str, Engine], names: Sequence[str]) -> dict[str, Engine]:
    """Those of the engines that are named; all, where nobody is.

    Raises:
        ConfigError: There is no such engine.
    """
    unknown = [name for name in names if name not in engines]
    if unknown:
        raise ConfigError(f"there is no engine `{unknown[0]}`", hint=f"there are {', '.join(engines)}")
    return {name: engine for name, engine in engines.items() if not names or name in names}


@asynccontextmanager
async def working(settings: Settings, incarnation: str, names: Sequence[str] = ()) -> AsyncGenerator[App]:
    """Open what a worker needs, in order, and have it work; close it in reverse, with what is under way given back.

    Args:
        settings: As the gate has them.
        incarnation: What the database knows this worker by: random, new at each start.
        names: Engines to work for; empty: all.

    Raises:
        ConfigError: A setting cannot be used, or what is made would be kept where nobody else finds it.
        StoreUnavailable: The database cannot be opened.
    """
    app = App()
    async with AsyncExitStack() as stack:
        app.store = store = open_store(settings, incarnation)
        stack.push_async_callback(store.aclose)
        await store.open()
        app.files = files_of(settings, store)
        app.archive = await archive_of(settings, store, app.files)
        stack.push_async_callback(app.archive.aclose)
        if not settings.artifacts.url and (why := await why_unshared(store, contents_of(settings))):
            hint = "set `artifacts.url` to a bucket, or mount the folder of the gate in its place"
            raise ConfigError(f"what is made here nobody would find: {why}", hint=hint)
        plain = engines_of(settings)
        engines = with_processes(settings, plain, chosen(plain, names))
        mine = chosen(engines, names)
        for engine in engines.values():
            stack.push_async_callback(engine.aclose)
        app.placing = placing_of(settings, store, engines, lambda: app.worker.nudge(), nobody_minds)
        app.worker = worker_of(settings, app, store, mine)
        placing = (app.placing.run(),) if app.placing.has_work() else ()
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(each) for each in (app.worker.run(), *placing)]
        try:
            yield app
        finally:
            await app.worker.aclose()
            for task in tasks:
                task.cancel()


async def run(settings: Settings, names: Sequence[str], health: tuple[str, int] | None) -> None:
    """Work until told to stop; then begin nothing more, let jobs end within `server.drain_s`, and give the others back.

    Args:
        settings: As the gate has them.
        names: Engines to work for; empty: all.
        health: Address and port where `/health` and `/ready` answer; None: nowhere.
    """
    incarnation = secrets.token_hex(8)
    async with working(settings, incarnation, names) as app:
        probes = Front(probe_paths(Probes(_reasons(app.store))))
        server = Server([] if health is None else [Address(*health, probes)], Bounds())
        await server.open()
        _tell(incarnation, server.urls, list(app.worker.engines))
        await server.until_stopped()
        await _drained(app.worker, settings.server.drain_s)
        await server.drain(0)


def _tell(incarnation: str, urls: Sequence[str], engines: Sequence[str]) -> None:
    lines = [f"Aldgate {__version__}, a worker of jobs", f"  known as       {incarnation}"]
    lines += [f"  health at      {url}/health" for url in urls]
    lines += [f"  works for      {', '.join(engines)}", ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()


async def _drained(worker: Worker, patience_s: float) -> None:
    """Until all has ended, the patience too, or a second signal has come."""
    hurried = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in its loop
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, hurried.set)
    log.info("stopping: jobs under way may end; a second signal gives them back at once")
    waiting = [asyncio.ensure_future(worker.drain(patience_s)), asyncio.ensure_future(hurried.wait())]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


def _reasons(store: Store) -> Callable[[], Awaitable[list[str]]]:
    async def reasons() -> list[str]:
        try:
            await store.ping()
        except GatewayError as error:
            return [error.message]
        return []

    return reasons


def work(settings: Settings, names: Sequence[str] = (), health: tuple[str, int] | None = None) -> None:
    """Run a worker; returns when it has stopped. Prints what went wrong, with a hint, and exits with 1."""
    configure_logging(settings.log.level, settings.log.format)
    log.info("starting to work", extra={"version": __version__, "pid": os.getpid()})
    with telling(), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(run(settings, names, health))
