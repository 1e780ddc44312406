"""A whole call, once admitted, without a socket: run it, bill it, settle it, and see it recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aldgate.core.calls import Admission, Call, Outcome
from aldgate.core.errors import ClientGone, GatewayError, ShuttingDown
from aldgate.gate.gate import Gate
from aldgate.gate.money.bounds import counted
from aldgate.gate.runs import Run
from aldgate.ports import FaceDialect, Relay

Committed = Callable[[], Awaitable[None]]


async def whole(gate: Gate, admission: Admission, face: FaceDialect, outcome: Outcome, committed: Committed | None) -> Run:
    """Run an admitted call to its end. It is settled whatever happens.

    Args:
        gate: Admitted it.
        admission: The call, and what it holds.
        face: What its caller speaks.
        outcome: As made; filled in with what came of the call.
        committed: With strict durability, waits until what was settled is on disk; None does not wait.

    Raises:
        GatewayError: It failed, or (`has_run`) was made and could not be recorded.
    """
    try:
        run = await gate.run(admission, face)
        outcome.status, outcome.first_byte_s = 200, run.first_byte_s
        _bill_whole(admission.call, run.relay, outcome)
        if run.relay.failure is not None:  # it was made, and is to be paid for, but may not be given out
            raise run.relay.failure
    except GatewayError as error:
        outcome.fail(error)
        raise
    except asyncio.CancelledError:
        left(admission, outcome, gate)
        raise
    finally:
        gate.settle(admission, outcome)
    if committed is not None:
        await recorded(committed)
    return run


async def recorded(committed: Committed) -> None:
    """Wait for the ledger; if it fails, say that the call was made nevertheless."""
    try:
        await committed()
    except GatewayError as error:
        error.has_run = True
        raise


def left(admission: Admission, outcome: Outcome, gate: Gate) -> GatewayError:
    """The task was cancelled: the caller left, or may call no longer, or the gate ran out of patience while stopping.

    A provider charges for what it began, whoever is there to read it; so the input is billed as counted, with what was delivered.
    """
    cut = admission.cut or (ShuttingDown("The gate stopped.") if gate.is_draining else ClientGone("The caller left."))
    outcome.fail(cut)
    if not admission.is_waiting:
        outcome.usage, outcome.usage_source = counted(admission.call, 0), "counted"
    return cut


def _bill_whole(call: Call, relay: Relay, outcome: Outcome) -> None:
    if relay.usage is not None:
        outcome.usage, outcome.usage_source = relay.usage, "reported"
    else:
        outcome.usage, outcome.usage_source = counted(call, relay.delivered), "counted"
