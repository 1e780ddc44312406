"""A gate on its sockets: in this process or in several, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network

from aldgate import __version__
from aldgate.app.app import App
from aldgate.app.composition import create
from aldgate.config.errors import ConfigError
from aldgate.config.settings import Listener, Settings
from aldgate.config.stray import warnings
from aldgate.core.errors import GatewayError
from aldgate.gate.reload.reload import Reloader
from aldgate.logs import configure_logging
from aldgate.surfaces.server.banner import banner
from aldgate.surfaces.server.listener import Bounds
from aldgate.surfaces.server.server import BACKLOG, Address, CannotListen, Server, bind
from aldgate.surfaces.server.workers import Seat, Workers

log = logging.getLogger("aldgate")


async def run(settings: Settings, seat: Seat | None = None, bound: Sequence[socket.socket | None] = ()) -> None:
    """Serve until told to stop, then let calls under way end.

    Args:
        settings: What is to be served.
        seat: This process's place among several workers.
        bound: The sockets of the listeners, where others serve on them, too.
    """
    async with create(settings, seat) as app:
        bounds = Bounds(
            settings.server.max_head_bytes,
            settings.server.head_timeout_s,
            settings.server.body_min_bytes_per_s,
            settings.server.keep_alive_s,
            settings.server.max_connections,
            settings.server.max_body_bytes,
        )
        if seat is not None and seat.is_successor:
            await _catch_up(app.reloader)
        listeners = settings.server.listeners
        sockets = bound or [None] * len(listeners)
        addresses = [_address(listener, app, each) for listener, each in zip(listeners, sockets, strict=True)]
        proxies = [ip_network(network) for network in settings.server.trusted_proxies]
        server = Server(addresses, bounds, proxies, seat.parent if seat is not None else None)
        await server.open()
        _on_hangup(app.reloader.hang_up)
        _spare_the_collector()
        fresh_admin_key = await app.make_admin_key()
        if seat is None or seat.is_first_of_all:
            sys.stdout.write(banner(settings, server.urls, fresh_admin_key, app.gate.catalogue))
            sys.stdout.flush()
        if seat is not None:
            seat.ready()
        await server.until_stopped()
        app.gate.is_draining = True
        await asyncio.gather(*(each.drain(settings.server.drain_s) for each in (server, app.batches, app.background)))


async def _catch_up(reloader: Reloader) -> None:
    """Take over what the other workers have since they began."""
    try:
        await reloader.reload()
    except ConfigError as error:
        log.error("a worker begins with the configuration of the start: %s", error.message, extra={"hint": error.hint})


def _on_hangup(ask: Callable[[], None]) -> None:
    """SIGHUP reads the configuration again, as it does with other servers; a terminal that closes ends the gate no longer."""
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows has neither the signal nor handlers in its loop
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, ask)


def _spare_the_collector() -> None:
    """Take what the start made out of the garbage collector's sight and let it look less often: calls make no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 50)


def _address(listener: Listener, app: App, listening: socket.socket | None) -> Address:
    handler = app.handlers[listener.faces]
    return Address(listener.host, listener.port, handler, listener.tls_cert, listener.tls_key, listening)


def serve(settings: Settings) -> None:
    """Run the gate; returns when it has stopped. Prints what went wrong, with a hint, and exits with 1."""
    configure_logging(settings.log.level, settings.log.format)
    log.info("starting", extra={"version": __version__, "pid": os.getpid()})
    for warning in warnings(settings):
        log.warning(warning)
    with telling():
        if settings.server.workers == 1:
            return _serve_here(settings)
        bound = [bind(listener.host, listener.port) for listener in settings.server.listeners]
        for each in bound:
            each.listen(BACKLOG)

    def work(seat: Seat) -> None:
        with telling():
            _serve_here(settings, seat, bound)

    def close() -> None:
        for each in bound:
            each.close()

    sys.exit(Workers(settings.server.workers, work, close, settings.server.drain_s).run())


def _serve_here(settings: Settings, seat: Seat | None = None, bound: Sequence[socket.socket] = ()) -> None:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(run(settings, seat, bound))


@contextmanager
def telling() -> Generator[None]:
    """Print what keeps a process from starting, with a hint, and exit with 1."""
    try:
        yield
    except ConfigError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")
    except CannotListen as error:
        sys.exit(f"error: {error}\nhint: {error.hint}")
    except GatewayError as error:
        sys.exit(f"error: {error.message}\nhint: look at `store` and `data` in the configuration ({error.__cause__})")


def loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """The faster event loop, where there is one."""
    try:
        import uvloop  # not on every platform
    except ImportError:
        return None
    return uvloop.Loop
