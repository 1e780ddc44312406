"""What `/metrics` tells."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from aldgate.app.app import App
from aldgate.gate.metrics import Metrics
from aldgate.surfaces.http.bodies import BytesInFlight
from aldgate.surfaces.server.fellows import Fellows
from aldgate.surfaces.server.workers import Seat


def gauges_of(app: App, in_flight: BytesInFlight) -> dict[str, tuple[str, Callable[[], float]]]:
    """What is looked at when somebody scrapes: name -> help and value."""
    return {
        "aldgate_calls_under_way": ("Calls admitted and not settled.", lambda: app.gate.under_way),
        "aldgate_request_bytes_held": ("Bytes of request bodies held.", lambda: in_flight.held),
        "aldgate_ledger_rows_lost": ("Ledger rows dropped because the database was away too long.", lambda: app.writer.lost_rows),
        "aldgate_ledger_failing": ("1 while the ledger cannot be written.", lambda: float(app.writer.is_failing)),
        "aldgate_cache_bytes": ("Bytes of answers kept to be given again.", lambda: app.cache.bytes),
        "aldgate_valkey_up": ("1 while limits are counted together in Valkey.", lambda: float(_is_valkey_up(app))),
        "aldgate_processes": ("Processes that share the database and were seen lately.", lambda: len(app.neighbours.alive)),
        "aldgate_reload_failing": ("1 while the configuration cannot be used.", lambda: float(app.reloader.is_failing)),
    }


def _is_valkey_up(app: App) -> bool:
    return app.valkey is not None and app.valkey.is_up


async def open_metrics(metrics: Metrics, seat: Seat | None, stack: AsyncExitStack) -> Callable[[], Awaitable[bytes]]:
    """What `/metrics` answers: of several workers on one machine, each for all."""
    if seat is not None:
        fellows = Fellows(seat.directory, seat.number, seat.places, metrics.expose)
        await fellows.open()
        stack.push_async_callback(fellows.aclose)
        return fellows.exposed

    async def own() -> bytes:
        return metrics.expose()

    return own
