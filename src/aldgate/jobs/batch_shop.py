"""What every batch needs to be carried on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from aldgate.gate.gate import Gate
from aldgate.gate.principals.identity import Identity
from aldgate.gate.whole import Committed
from aldgate.jobs.files import Files
from aldgate.jobs.insisting import Wait
from aldgate.ports import ByteBound, Endpoint
from aldgate.storage import BatchStore


class BatchShop(msgspec.Struct, frozen=True):
    """What every batch needs.

    Attributes:
        endpoints: Path -> what is there.
        in_flight: The bound on requests held.
        committed: As `gate.whole.whole` takes it.
        places: Calls of all batches at once.
        width: Lines of one batch that are called, or wait to be called again, at once.
        most_lines: Lines of a batch.
        most_bytes: The longest request of a line.
        now: Unix seconds.
    """

    gate: Gate
    identity: Identity
    store: BatchStore
    files: Files
    endpoints: Callable[[str], Endpoint]
    in_flight: ByteBound
    committed: Committed | None
    places: asyncio.Semaphore
    width: int
    most_lines: int
    most_bytes: int
    now: Callable[[], float]
    wait: Wait
