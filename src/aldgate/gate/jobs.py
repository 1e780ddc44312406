"""Jobs as calls: admitted like any other, with what they hold kept in their rows, and settled from there by whoever ends them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from aldgate.core.calls import Admission, Call, LedgerRow, Peek
from aldgate.core.errors import GatewayError, IdempotencyConflict, NotFound, StoreUnavailable
from aldgate.core.generation import Generated, Generation
from aldgate.core.job_bills import charge_microusd, cost_microusd, done_work, expected_work, most_work, units_of
from aldgate.core.jobs import (
    CALLS,
    NOTHING,
    AttemptEnd,
    End,
    HeldPart,
    Hold,
    Job,
    JobError,
    Made,
    Owner,
    Price,
    Work,
    encoded,
)
from aldgate.core.leases import LeaseLost
from aldgate.core.prices import MILLION
from aldgate.core.prices import Price as CallPrice
from aldgate.core.principals import Principal
from aldgate.core.routes import Catalogue, Deployment, Route
from aldgate.core.usage import NOTHING as NO_TOKENS
from aldgate.gate.gate import Gate
from aldgate.gate.money.slices import Held
from aldgate.making import Engine
from aldgate.queueing import Handover, JobStore

Ended = Callable[[Job, LedgerRow | None], None]
"""Told of a job that has ended, and of its line in the ledger."""
CANCELLED = JobError("cancelled", "The job was cancelled.", 499)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A job that somebody wants.

    Attributes:
        model: The engine's own name of it; empty: its first. `requested_model`: what the caller called it.
        gpu_s: Seconds of the engine's device that it likely takes. The most is `timeout_s`.
        deadline, timeout_s, priority, most_failures, idempotency_key, parent, extras: As in `Job`.
    """

    principal: Principal
    engine: Engine
    asked: Generation
    model: str = ""
    requested_model: str = ""
    price: Price = Price()
    gpu_s: int = 1
    timeout_s: float = 1_800.0
    deadline: float | None = None
    priority: int = 0
    most_failures: int = 3
    idempotency_key: str | None = None
    parent: str | None = None
    extras: Mapping[str, Any] = NOTHING


async def admit_job(gate: Gate, wanted: Wanted) -> Admission:
    """Take the first four steps of a job: what it may cost at the most is held from budgets, what it counts from limits.

    Raises:
        GatewayError: Refused; nothing was spent.
    """
    expected = expected_work(wanted.asked, wanted.gpu_s)
    call = _call(gate, wanted, CallPrice(request=_most_microusd(wanted) * MILLION, version=wanted.price.version))
    call.units = units_of(expected)
    return gate.admit(call) or await gate.admit_shared(call)


def _most_microusd(wanted: Wanted) -> int:
    return cost_microusd(wanted.price, most_work(wanted.asked, wanted.timeout_s))


def _call(gate: Gate, wanted: Wanted, price: CallPrice) -> Call:
    """The job as a call with one deployment: the engine that it is for."""
    engine = wanted.engine
    model = wanted.model or engine.kind
    deployment = Deployment(f"{engine.name}/{model}", engine.name, model, price, "file", engine.operations)
    name = wanted.requested_model or deployment.id
    routes = {name: Route(name, (deployment,))}
    now = time.time(), time.perf_counter()
    peek = Peek(b"", name)
    catalogue = Catalogue(routes, (deployment,), {})
    return Call(gate.new_id(), wanted.asked.operation, wanted.principal, peek, *now, catalogue, {engine.name: engine})


async def enqueue(gate: Gate, store: JobStore, wanted: Wanted) -> Job:
    """Admit a job and keep it with what it holds, or the one that its idempotency key has made before.

    Raises:
        GatewayError: Refused, or not kept: then nothing is held any more.
        IdempotencyConflict: The key has made another job than this.
    """
    admission = await admit_job(gate, wanted)
    held = gate.hand_over(admission)
    job = _job(admission, wanted, held)
    gate.job_counts.begun(job.id, admission)
    try:
        kept = await store.enqueue_job(job, _money(held))
    except StoreUnavailable:
        kept = await _looked_up(store, job.id)  # the answer may be all that was lost
        if kept is None:
            _take_back(gate, job, held)
            raise
    except GatewayError:
        _take_back(gate, job, held)
        raise
    if kept.id != job.id:
        _take_back(gate, job, held)
        if (kept.asked, kept.engine, kept.model) != (job.asked, job.engine, job.model):
            raise IdempotencyConflict("This idempotency key was used before for another job.")
    return kept


def _take_back(gate: Gate, job: Job, held: Held) -> None:
    """The job was not kept: what it held and counted is free again, but for the request that it was."""
    gate.slices.take_back(held)
    gate.job_counts.ended(job)


async def _looked_up(store: JobStore, job_id: str) -> Job | None:
    """The job, if it was kept after all.

    Raises:
        StoreUnavailable: Nobody knows. What it was to hold stays away from this process, so that it is not spent twice.
    """
    return await store.find_job(job_id)


def _job(admission: Admission, wanted: Wanted, held: Held) -> Job:
    principal, call = wanted.principal, admission.call
    above = principal.organisation, principal.team, principal.client, principal.user
    parts = tuple(HeldPart(part.account, part.period, need) for part, need in held)
    return Job(
        id=f"job-{call.id.removeprefix('req-')}",
        owner=Owner(principal.id, principal.account, *above),
        operation=call.operation,
        engine=wanted.engine.name,
        model=wanted.model,
        requested_model=call.peek.model,
        asked=encoded(wanted.asked),
        created_at=call.received_at,
        priority=wanted.priority,
        deadline=wanted.deadline,
        timeout_s=wanted.timeout_s,
        most_failures=wanted.most_failures,
        idempotency_key=wanted.idempotency_key,
        parent=wanted.parent,
        extras=wanted.extras,
        hold=Hold(wanted.price, _most_microusd(wanted), expected_work(wanted.asked, wanted.gpu_s), parts),
    )


def _money(held: Held) -> list[Handover]:
    return [Handover(part.account, part.period, part.limit, part.spent, need) for part, need in held]


def succeeded(job: Job, result: Generated, made: Sequence[Made], gpu_s: int) -> End:
    """The end of a job that was done, at the price that was held for it."""
    if job.engine == CALLS:  # its call was billed
        return End(state="succeeded", result=result, cost_microusd=result.details["cost_microusd"], attempt="succeeded")
    done = done_work(job.operation, result, made, gpu_s, job.hold.expected)
    cost = charge_microusd(job.hold, done)
    return End(state="succeeded", result=result, made=tuple(made), done=done, cost_microusd=cost, attempt="succeeded")


def failed(error: GatewayError, attempt: AttemptEnd | None) -> End:
    """The end of a job that came to nothing, which is not charged."""
    return End(state="failed", error=JobError.of(error), attempt=attempt)


def cancelled(job: Job, gpu_s: int, *, has_attempt: bool) -> End:
    """The end of a job that its caller did not want any more: the seconds that it has run are charged."""
    done = Work(gpu_s=gpu_s)
    cost = charge_microusd(job.hold, done, is_done=False)
    end: AttemptEnd | None = "cancelled" if has_attempt else None
    return End(state="cancelled", error=CANCELLED, done=done, cost_microusd=cost, attempt=end)


def ledger_row(job: Job, end: End, now: float) -> LedgerRow | None:
    """The one line in the ledger of a job that ends so. None: the call that it made has one."""
    if job.engine == CALLS:
        return None
    owner = job.owner
    source = "counted" if job.started_at is not None else "none"
    return LedgerRow(
        job.call_id,
        job.created_at,
        owner.id,
        owner.account,
        job.operation,
        f"{job.engine}/{job.model}" if job.model else job.engine,
        job.engine,
        job.requested_model,
        False,
        200 if end.error is None else end.error.status,
        None if end.error is None else end.error.code,
        *(0, 0, 0, 0, 0),
        source,
        end.cost_microusd,
        job.hold.price.version,
        None if job.started_at is None else max(0.0, job.started_at - job.created_at),
        max(0.0, now - job.created_at),
        max(1, job.attempts),
        True,
        owner.organisation,
        owner.team,
        owner.client,
        owner.user,
    )


def settled(gate: Gate, job: Job, row: LedgerRow | None) -> None:
    """Count a job that has ended: in metrics, and in the limits that it was admitted by. Without a row, its call was counted."""
    if row is None:
        return
    model = row.model if row.model in gate.made_models else row.provider
    gate.metrics.settled((row.operation, model, row.status), NO_TOKENS, row.cost_microusd, row.first_byte_s, row.total_s)
    gate.job_counts.ended(job)


async def cancel(store: JobStore, job_id: str, account: str | None, ended: Ended | None = None) -> Job:
    """Cancel a job: one that waits ends now; one that a worker has ends when its engine has stopped.

    Args:
        store: Where it is.
        job_id: Which.
        account: Whose it must be; None: anybody's.
        ended: Told of it if it ends now.

    Raises:
        NotFound: The account has no such job.
    """
    job = await store.ask_to_cancel(job_id, account)
    if job is None:
        raise NotFound("There is no such job.")
    if job.state != "queued":
        return job
    end = cancelled(job, 0, has_attempt=False)
    row = ledger_row(job, end, time.time())
    try:
        job = await store.finish_job(job.lease, end, row)
    except LeaseLost:  # a worker has it, and is told
        return await store.find_job(job_id) or job
    if ended is not None:
        ended(job, row)
    return job
