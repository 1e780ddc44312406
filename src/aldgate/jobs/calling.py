"""Calls as jobs: kept until a worker makes them, in the name of who asked, the way that every call goes.

What they cost is held and settled by the call itself, so the job holds nothing and has no line of its own in the ledger. From a
provider nothing can be collected later: an attempt whose worker is gone is lost, and is not made again, as it may have been paid
for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from aldgate.core.calls import Admission, Outcome
from aldgate.core.errors import (
    GatewayError,
    IdempotencyConflict,
    InvalidRequest,
    NotSupported,
    PolicyDenied,
    RateLimited,
    StoreUnavailable,
)
from aldgate.core.generation import EngineState, Generated, Generation, Recovery
from aldgate.core.jobs import CALLS, Job, Owner, encoded
from aldgate.core.levels import Operation
from aldgate.core.principals import Principal
from aldgate.gate.gate import Gate
from aldgate.gate.money.bills import bill
from aldgate.gate.policies.permission import check_path
from aldgate.gate.policies.shaping import shaped
from aldgate.gate.principals.identity import Identity
from aldgate.gate.whole import Committed, whole
from aldgate.jobs.hooks import Hooks
from aldgate.making import Run
from aldgate.ports import Endpoint
from aldgate.queueing import JobStore

DAY_S = 86_400.0
"""A call that its limits have not let through by then has failed, as a batch's."""
MOST_UNFINISHED = 1_000
"""Jobs of an account, whatever they are, beside which no call becomes one."""

Endpoints = Callable[[str], Endpoint]
"""Path -> what is spoken there."""


class CallJobs:
    """Makes jobs of calls.

    Args:
        gate: Says whether they may be made.
        store: Keeps them.
        endpoints: Which paths there are.
        hooks: Says who may be told of their ends.
    """

    def __init__(self, gate: Gate, store: JobStore, endpoints: Endpoints, hooks: Hooks) -> None:
        self._gate = gate
        self._store = store
        self._endpoints = endpoints
        self._hooks = hooks

    async def begin(
        self,
        who: Principal,
        path: str,
        body: bytes,
        *,
        key: str | None = None,
        extras: Mapping[str, Any] | None = None,
        parent: str | None = None,
    ) -> Job:
        """Keep a call that may be made now; when it is made, it is asked again whether it may.

        Raises:
            GatewayError: It may not, or was not kept.
        """
        self._hooks.check(extras or {})
        endpoint = self._endpoints(path)
        peek = endpoint.face.peek(endpoint.operation, body)
        if peek.stream:
            raise InvalidRequest("What is made in the background cannot be streamed (`stream`).", param="stream")
        if who.rights.retention_s is not None:
            raise PolicyDenied("A policy bounds how long what you send is kept, and a job would be kept for longer.")
        call = self._gate.call(self._gate.new_id(), endpoint.operation, who, peek)
        try:
            self._gate.weigh(call, self._gate.limiter)
            if await self._store.count_unfinished_jobs(who.account) >= MOST_UNFINISHED:
                raise RateLimited(f"{MOST_UNFINISHED} jobs of this key are unfinished.", retry_after_s=60)
        except GatewayError as error:
            self._gate.metrics.refused(call.operation, error.code)
            raise
        options = {"job": f"job-{call.id.removeprefix('req-')}", "principal": who.id, "path": path, "body": body.decode()}
        now = time.time()
        job = Job(
            id=options["job"],
            owner=Owner(who.id, who.account, who.organisation, who.team, who.client, who.user),
            operation=endpoint.operation,
            engine=CALLS,
            requested_model=peek.model,
            asked=encoded(Generation(operation=endpoint.operation, model=peek.model, options=options)),
            created_at=now,
            deadline=now + DAY_S,
            idempotency_key=key,
            extras=extras or {},
            parent=parent,
        )
        kept = await self._store.enqueue_job(job)
        if kept.id != job.id and kept.requested_model != job.requested_model:
            raise IdempotencyConflict("This idempotency key was used before for another job.")
        return kept

    async def again(self, who: Principal, asked: Generation, **more: Any) -> Job:
        """Make the call of a job once more, as `begin`."""
        return await self.begin(who, asked.options["path"], asked.options["body"].encode(), **more)


class Calls:
    """Implements `making.Engine` for calls that are jobs.

    Args:
        gate: Makes them.
        identity: Knows in whose name.
        store: Knows which attempt it is.
        endpoints: Which paths there are.
        committed: As `gate.whole.whole` takes it.
    """

    name = CALLS
    kind = CALLS
    operations: frozenset[Operation] = frozenset({"chat", "complete", "embed", "moderate"})
    recovery: Recovery = "lose"

    def __init__(
        self, gate: Gate, identity: Identity, store: JobStore, endpoints: Endpoints, committed: Committed | None
    ) -> None:
        self._gate = gate
        self._identity = identity
        self._store = store
        self._endpoints = endpoints
        self._committed = committed

    async def state(self) -> EngineState:
        """See `Engine`."""
        return EngineState()

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`. The answer is in `details`, with the call's id in the ledger and what it cost."""
        options = asked.options
        endpoint, principal = self._endpoints(options["path"]), await self._identity.standing(options["principal"])
        if principal.rights.tells_places:
            check_path(principal, options["path"])
        peek = endpoint.face.peek(endpoint.operation, options["body"].encode())
        if principal.rights.tells_parameters:
            peek = shaped(endpoint.face, principal, endpoint.operation, peek, None)
        call = self._gate.call(await self._call_id(options["job"]), endpoint.operation, principal, peek)
        admission = self._gate.admit(call) or await self._gate.admit_shared(call)
        outcome = Outcome()
        await self._submitted(run, admission, outcome)
        made = await whole(self._gate, admission, endpoint.face, outcome, self._committed)
        cost = bill(call, admission.deployment, outcome.usage)[1]
        answer = msgspec.json.decode(made.first)
        return Generated(details={"answer": answer, "call_id": call.id, "cost_microusd": cost})

    async def _call_id(self, job_id: str) -> str:
        """The job's own id at its first attempt, another one at each further: each may have a line in the ledger."""
        attempts = await self._store.job_attempts(job_id)
        return f"req-{job_id.removeprefix('job-')}" if len(attempts) <= 1 else self._gate.new_id()

    async def _submitted(self, run: Run, admission: Admission, outcome: Outcome) -> None:
        try:
            await run.submitting(admission.call.id)
        except BaseException:
            outcome.fail(StoreUnavailable("The database did not take that the call begins."))
            self._gate.settle(admission, outcome)
            raise

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """See `Engine`: it knows of none."""
        return None

    async def stop(self, handle: str) -> None:
        """See `Engine`: a call ends with the task that makes it, or with the process."""

    async def unload(self, model: str = "") -> None:
        """See `Engine`."""
        raise NotSupported("Calls hold no memory of a device.")

    async def aclose(self) -> None:
        """See `Engine`. Providers have connections of their own."""
