"""The seven steps as four verbs: admit, run, extend, settle. Whole replies, streams, sockets and jobs are orders of these.

`admit` and `settle` never wait, so no cancellation can tear them and no two calls can interleave inside one.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping

from aldgate.core.calls import Admission, Call, Failure, LedgerRow, Outcome, Peek
from aldgate.core.errors import (
    BudgetExceeded,
    GatewayError,
    InvalidRequest,
    ShuttingDown,
    StoreUnavailable,
    UpstreamError,
    UpstreamRejected,
)
from aldgate.core.limits import NO_UNITS
from aldgate.core.prices import Price
from aldgate.core.principals import Operation, Principal
from aldgate.core.rights import EXPECTED_OUTPUT
from aldgate.core.routes import Catalogue, Deployment, Plan, Route
from aldgate.gate.attempts import Attempts
from aldgate.gate.ids import CallIds
from aldgate.gate.job_counts import JobCounts
from aldgate.gate.metrics import Metrics
from aldgate.gate.money.bills import bill
from aldgate.gate.money.bounds import cap_of, cost_of, counted, expected_tokens, most_input, payable, used_by
from aldgate.gate.money.brought import unpaid
from aldgate.gate.money.purses import Cost, Purse
from aldgate.gate.money.slices import Held, Parts, Slices
from aldgate.gate.money.steps import STEP_TOKENS, Steps
from aldgate.gate.policies.permission import check_name, no_scope, permitted, too_long
from aldgate.gate.records import failure_row, ledger_row, log_call
from aldgate.gate.routing.live import Live
from aldgate.gate.runs import OpenStream, Run
from aldgate.limiter.memory import NO_GAUGE, Limited, MemoryLimiter, Standing, limited_levels, own_limits
from aldgate.limiter.shared import SharedLimits
from aldgate.ports import Backend, FaceDialect
from aldgate.storage import Store

MAX_REFILLS = 4
DAY_S = 86_400


class Gate:
    """Everything between a caller and a backend.

    Args:
        catalogue: The snapshot new calls begin with; swapped by `adopt`.
        backends: What runs its deployments, by name; swapped with it.
        limiter: Counters of all accounts.
        slices: Money of this process.
        append: Takes ledger rows; never waits.
        may_record: False while the ledger refuses calls.
        metrics: Counts what was settled and refused.
        default_max_tokens: Output cap injected where a budget needs a bound and the caller gave none.
        step_tokens: Output tokens, per choice, that a stream reserves at a time.
        logs_calls: Write a log line per call.
        retries: How often a deployment that is on no route is asked again.
        live: How deployments are doing; tests bring their own clock.
        shared: Limits over all processes, in place of `limiter`'s; None: this process counts alone.

    Attributes:
        streams: By call, those that are being streamed.
        steps: Reserves what streams need as they go on.
        job_counts: What jobs count in limits.
        made_models: By full name, what engines said that they have. `engines_heard`: of engines, what `heard` is of providers.
        heard: By provider, the fault (status and code) of its last answer, to a call or a question for its models; None: none.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        backends: Mapping[str, Backend],
        store: Store,
        limiter: MemoryLimiter,
        slices: Slices,
        append: Callable[[LedgerRow], None],
        may_record: Callable[[], bool],
        metrics: Metrics,
        default_max_tokens: int,
        step_tokens: int = STEP_TOKENS,
        logs_calls: bool = False,
        retries: int = 0,
        live: Live | None = None,
        shared: SharedLimits | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.backends = backends
        self.limiter = limiter
        self.shared = shared
        self.slices = slices
        self.metrics = metrics
        self.heard: dict[str, tuple[int, str] | None] = {}
        self.streams: dict[str, OpenStream] = {}
        self.steps = Steps(slices, step_tokens)
        self.job_counts = JobCounts()
        self.made_models: Mapping[str, Deployment] = {}
        self.engines_heard: dict[str, tuple[int, str] | None] = {}
        self.is_draining = False
        self.under_way = 0
        self._store = store
        self._append = append
        self._may_record = may_record
        self.default_max_tokens = default_max_tokens
        self.logs_calls = logs_calls
        self.live = live or Live()
        metrics.live = self.live
        self.attempts = Attempts(self.live, self._count, retries)
        self._ids = CallIds()
        self.new_id = self._ids

    def adopt(self, catalogue: Catalogue, backends: Mapping[str, Backend]) -> None:
        """From now on calls begin with this snapshot. Calls under way keep theirs; no counter is touched."""
        self.catalogue = catalogue
        self.backends = backends

    def call(self, call_id: str, operation: Operation, principal: Principal, peek: Peek) -> Call:
        """Begin a call with the current catalogue."""
        return Call(call_id, operation, principal, peek, time.time(), time.perf_counter(), self.catalogue, self.backends)

    def admit(self, call: Call) -> Admission | None:
        """Resolve, authorise, reserve. None: the shared authority must be asked first, by `admit_shared`.

        Raises:
            GatewayError: Refused; nothing was spent.
        """
        if self.shared is not None and self._limited(call):
            return None
        try:
            return self._admit(call)
        except GatewayError as error:
            self.metrics.refused(call.operation, error.code)
            raise

    def _admit(self, call: Call, cap: int | None = None) -> Admission | None:
        admission = self.weigh(call, self.limiter, cap)
        if admission is None:
            return None
        if call.principal.rights.has_budget:
            parts = self.slices.parts(call.principal)
            admission.held = self.slices.hold(parts, Cost(admission.most_microusd, admission.likely_microusd))
            if admission.held is None:
                return None
            if call.peek.stream:
                self.steps.begin(admission, parts)
        if admission.gauge is not None:
            admission.places = admission.gauge.spend(admission.units)
        self.under_way += 1
        return admission

    def weigh(
        self, call: Call, limiter: MemoryLimiter, cap: int | None = None, against: list[GatewayError] | None = None
    ) -> Admission | None:
        """Decide on a call without taking anything: what it would hold, unless something speaks against it.

        Args:
            call: What is asked.
            limiter: Has the counters of the call's accounts: the gate's own, or a copy for who only wants to know.
            cap: Output tokens per choice that it is to be held to, where its budget needs fewer than usual.
            against: Takes everything that speaks against the call, in the order in which a caller would be told. Without it, the
                first such thing is raised.

        Returns None if the counters are not there, or if nothing can run the call and that was put into `against`.

        Raises:
            GatewayError: The first reason to refuse.
        """
        rights = call.principal.rights
        self._check_opening(call, against)
        try:
            candidates, plan = self._candidates(call)
        except GatewayError as error:
            _refuse(error, against)
            candidates, plan = (), None
        is_shared = self.shared is not None and limiter is self.limiter
        gauge = NO_GAUGE if is_shared else limiter.of(call.principal, plan and own_limits(plan))
        if gauge is None:
            return None
        units = NO_UNITS
        if is_shared or not gauge.is_empty:
            units = call.units or (1, expected_tokens(call), 0, 0, 0)
            try:
                gauge.check(units, time.monotonic_ns())
            except GatewayError as error:
                _refuse(error, against)
        if gauge.is_empty:
            gauge = None
        if not candidates:
            return None
        admission = Admission(call, candidates[0], candidates, units, gauge, cap=cap, plan=plan)
        if rights.has_budget:
            if not self._bound(admission, against):
                return None
        elif rights.max_output_tokens is not None:
            admission.cap = cap_of(call, candidates, self.default_max_tokens)
        return admission

    def _check_opening(self, call: Call, against: list[GatewayError] | None) -> None:
        """What speaks against any call now, and against one of this kind by its principal."""
        if self.is_draining and not call.is_inner:
            _refuse(ShuttingDown("The gate is stopping.", retry_after_s=5), against)
        if not self._may_record():
            lost = "The ledger cannot be written, and calls without it are not allowed."
            _refuse(StoreUnavailable(lost, retry_after_s=5), against)
        rights = call.principal.rights
        if call.operation not in rights.scopes:
            _refuse(no_scope(call), against)
        if rights.max_input_tokens is not None and (refusal := too_long(call)) is not None:
            _refuse(refusal, against)

    def candidates(self, call: Call) -> tuple[Deployment, ...]:
        """The deployments that the call's principal may have it answered by.

        Raises:
            GatewayError: There are none, or the principal may not ask for this.
        """
        if call.operation not in call.principal.rights.scopes:
            raise no_scope(call)
        return self._candidates(call)[0]

    def _candidates(self, call: Call) -> tuple[tuple[Deployment, ...], Plan | None]:
        """The deployments of the model's route that can do the operation, those of its fallbacks included."""
        name = call.peek.model
        rights = call.principal.rights
        if rights.tells_names:
            check_name(call)
        tells_near = not rights.tells_names
        route = call.catalogue.resolve(name, tells_near=tells_near) if name else call.catalogue.default(call.operation)
        plan = route.plan
        able = self._able(call, route)
        able = permitted(call, route, able) if rights.tells_names else able
        return (able if call.principal.own is None else unpaid(call, able)), plan

    def _able(self, call: Call, route: Route) -> tuple[Deployment, ...]:
        """The deployments that can do the operation, each once."""
        if route.plan is None and len(route.deployments) == 1:
            deployment = route.deployments[0]
            if call.operation in (deployment.operations or call.backends[deployment.backend].operations):
                return route.deployments
        each_once = route.deployments if route.plan is None else dict.fromkeys(route.plan.deployments)
        able = tuple(each for each in each_once if call.operation in operations_of(call, each))
        if not able:
            first = route.deployments[0]
            can = ", ".join(sorted(operations_of(call, first))) or "do nothing"
            raise InvalidRequest(f"`{first.id}` cannot {call.operation}; it can {can}.", param="model")
        return able

    def _bound(self, admission: Admission, against: list[GatewayError] | None) -> bool:
        """Work out the most that the call can cost, whoever of its candidates comes to answer. False: nobody knows."""
        try:
            admission.candidates = payable(admission.candidates, admission.call.peek)
        except GatewayError as error:
            _refuse(error, against)
            return False
        admission.deployment = admission.candidates[0]
        call = admission.call
        if admission.cap is None:
            admission.cap = cap_of(call, admission.candidates, self.default_max_tokens)
        cost = self._cost_of(call, admission.candidates, admission.cap)
        admission.most_microusd, admission.likely_microusd = cost.most, cost.likely
        if cost.paid_output is not None:
            admission.paid_output = cost.paid_output
        return True

    def _cost_of(self, call: Call, candidates: tuple[Deployment, ...], cap: int | None) -> Cost:
        """What is held of budgets for a call when it begins."""
        if not call.peek.stream:
            return cost_of(call, candidates, cap)
        return cost_of(call, candidates, cap, self.steps.first(call, candidates, cap))

    async def admit_shared(self, call: Call) -> Admission:
        """`admit`, after asking the database for what this process lacks: a slice of a budget, the past use of an account.

        Raises:
            GatewayError: As `admit`; `BudgetExceeded` if the database has no more to grant.
        """
        try:
            if self.shared is None:
                await self._restore(call.principal, self.limiter)
            cap: int | None = None
            for _ in range(MAX_REFILLS):
                admission = self._admit(call, cap)
                if admission is not None:
                    return admission if self.shared is None else await self._count_shared(admission, self.shared)
                cap = await self._refill(call)
        except GatewayError as error:
            self.metrics.refused(call.operation, error.code)
            raise
        raise StoreUnavailable("The budget is contended; try again.", retry_after_s=1)

    async def _count_shared(self, admission: Admission, shared: SharedLimits) -> Admission:
        """Count the call over all processes. Where that refuses it, what it held is free again."""
        call = admission.call
        limited = self._limited(call)
        if limited:
            try:
                admission.gauge = await shared.take(call.principal.account, limited, admission.units)
            except BaseException:
                self.under_way -= 1
                if admission.held is not None:
                    self.slices.settle(admission.held, 0)
                raise
            admission.places = []
        return admission

    def _limited(self, call: Call) -> list[Limited]:
        """Whatever has limits that the call counts against: the levels of its principal, and the name it asks for."""
        limited = limited_levels(call.principal)
        route = call.catalogue.routes.get(call.peek.model)
        own = None if route is None or route.plan is None else own_limits(route.plan)
        if own is not None:
            limited.append(own)
        return limited

    async def _restore(self, principal: Principal, limiter: MemoryLimiter) -> None:
        """See that `limiter` has the principal's counters: what they were before the gate was started, the ledger knows."""
        for level in principal.levels:
            limits = level.policy.limits
            if not limits.is_empty and not limiter.knows(level.account):
                uses = await self._store.recent_use(level.kind, level.account, time.time() - DAY_S)
                limiter.restore(level.account, limits, uses, now_s=time.time(), now_ns=time.monotonic_ns())

    async def accounts(self, principal: Principal) -> tuple[MemoryLimiter, list[Purse]]:
        """How a principal's counters and budgets stand: copies of them, to be asked without a trace.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        purses = await self.slices.purses(principal)
        limited = limited_levels(principal)
        if self.shared is not None:
            copies = MemoryLimiter()
            copies.stand(limited, await self.shared.remaining(limited), time.monotonic_ns())
            return copies, purses
        copies = self.limiter.copy_of(*(each.account for each in limited))
        await self._restore(principal, copies)
        return copies, purses

    async def _refill(self, call: Call) -> int | None:
        """Get slices that the call fits in. Returns the output cap to inject where only a smaller one than usual fits."""
        parts = self.slices.parts(call.principal)
        candidates = payable(self._candidates(call)[0], call.peek)
        cap = cap_of(call, candidates, self.default_max_tokens)
        usual = self._cost_of(call, candidates, cap)
        try:
            await self.slices.refill(parts, usual)
            return None
        except BudgetExceeded:
            if call.peek.cap is not None or cap is None:
                raise
            least_cost = cost_of(call, candidates, 1)
            await self.slices.refill(parts, least_cost, most=usual)
            kept = self.slices.hold(parts, least_cost) or []
            try:
                await self.slices.refill_all(parts)
            finally:
                self.slices.release(kept)
        outputs = [
            output
            for price in (each.price for each in candidates if each.price is not None)
            for output in self._outputs(call, parts, price)
        ]
        least = min(outputs, default=None)
        return None if least is None else max(1, least // call.peek.choices)

    def _outputs(self, call: Call, parts: Parts, price: Price) -> Iterator[int]:
        """Output tokens at `price` that each kind of budget still pays for, of those that bound them."""
        hard, soft = self.slices.affordable(parts), self.slices.affordable(parts, is_soft=True)
        if hard is not None:
            output = price.affordable_output(hard, used_by(call.peek, most_input(call.peek)))
            if output is not None:
                yield output
        if soft is not None:
            output = price.affordable_output(soft, used_by(call.peek, counted(call, 0).input_tokens))
            if output is not None and output < EXPECTED_OUTPUT * call.peek.choices:  # no estimate is longer
                yield output

    def run(self, admission: Admission, face: FaceDialect) -> Awaitable[Run]:
        """Send the call to a deployment and return once a reply has begun well: its first events, or its whole body.

        Raises:
            GatewayError: No deployment gave one.
        """
        return self.attempts.run(admission, face)

    def extend(self, admission: Admission, output_tokens: int) -> bool:
        """A stream has come to `extend_at`, by our own count: reserve what it needs to go on.

        False: the shared authority must be asked first, by `extend_shared`.

        Raises:
            PolicyDenied: A policy allows no more output.
        """
        return self.steps.extend(admission, output_tokens)

    async def extend_shared(self, admission: Admission, output_tokens: int) -> None:
        """`extend`, after asking the database for what this process lacks.

        Raises:
            BudgetExceeded: There is no more, and what is held does not pay for `output_tokens`; so `StoreUnavailable`.
        """
        await self.steps.extend_shared(admission, output_tokens)

    def settle(self, admission: Admission, outcome: Outcome) -> None:
        """Refund what was held and not used, and record the call: ledger, metrics, log. Only the first time counts."""
        if not admission.is_open:
            return
        admission.is_open = False
        self.under_way -= 1
        call, usage = admission.call, outcome.usage
        deployment, cost, version = bill(call, admission.deployment, usage, admission.tier)
        spent, tokens = cost, usage.input_tokens + usage.output_tokens
        if admission.leave is not None:
            admission.leave(tokens)
        if admission.failures:
            for failure in admission.failures:
                spent += self._settle_failure(call, failure)
                tokens += failure.usage.total_tokens
        error = outcome.error
        self._judge(admission, outcome)
        if admission.places is not None:
            admission.gauge.settle(admission.places, admission.units, (1, tokens, 0, 0, 0))
        if admission.held is not None:
            self.slices.settle(admission.held, spent)
        if usage.reasoning_tokens:
            self.steps.thinkers.add(deployment.id)
        total_s = time.perf_counter() - call.started_at
        if error is None and outcome.usage_source != "cache":
            self.heard[deployment.backend] = None
        elif error is not None:
            self._hear(deployment, error)
        self._append(ledger_row(call, deployment, outcome, cost, version, total_s, admission.attempt))
        shown = deployment.id if deployment.id in call.catalogue.routes else "other"
        self.metrics.settled((call.operation, shown, outcome.status), usage, spent, outcome.first_byte_s, total_s)
        if self.logs_calls or outcome.status >= 500:
            log_call(call, deployment, outcome, total_s)

    def hand_over(self, admission: Admission) -> Held:
        """The call goes on as a job, which takes what it holds of budgets with it; of limits, `job_counts` sees to it.

        Returns what the job takes.
        """
        admission.is_open = False
        self.under_way -= 1
        if admission.places is not None:
            admission.gauge.leave(admission.places)
        return self.slices.hand_over(admission.held or [])

    def _judge(self, admission: Admission, outcome: Outcome) -> None:
        """Note how the deployment that came to answer did in the end; what came before its first byte `run` has noted."""
        deployment = admission.deployment
        if outcome.error is None:
            if deployment.id in self.live.troubled and outcome.usage_source != "cache":
                self.live.served(deployment)
        elif outcome.first_byte_s is not None:
            self.live.failed(deployment, outcome.error)

    def _settle_failure(self, call: Call, failure: Failure) -> int:
        """Record an attempt that did not come to answer. Returns its cost in micro-dollars."""
        _, cost, version = bill(call, failure.deployment, failure.usage)
        self._append(failure_row(call, failure, cost, version))
        return cost

    def _count(self, deployment: Deployment, error: GatewayError) -> None:
        self._hear(deployment, error)
        self.metrics.attempt_failed(deployment.backend, error.code)

    def _hear(self, deployment: Deployment, error: GatewayError) -> None:
        """Note how its provider answered last. An error of anybody else says nothing of it; a request refused is an answer."""
        if isinstance(error, UpstreamError) and not error.is_callers:
            is_fault = not isinstance(error, UpstreamRejected)
            self.heard[deployment.backend] = (error.status, error.code) if is_fault else None

    def standings(self, principal: Principal) -> list[Standing]:
        """How this principal stands with its limits, for the headers of an answer."""
        if self.shared is not None:
            return self.shared.standings(principal.account)
        gauge = self.limiter.of(principal)
        return [] if gauge is None or gauge.is_empty else gauge.standings(time.monotonic_ns())


def operations_of(call: Call, deployment: Deployment) -> frozenset[Operation]:
    """What a deployment can do."""
    backend: Backend = call.backends[deployment.backend]
    return deployment.operations or backend.operations


def _refuse(error: GatewayError, against: list[GatewayError] | None) -> None:
    if against is None:
        raise error
    against.append(error)
