"""The seven steps as four verbs: admit, run, extend, settle. Whole replies, streams, sockets and jobs are orders of these.

`admit` and `settle` never wait, so no cancellation can tear them and no two calls can interleave inside one.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from aldgate.core.budgets import Budget
from aldgate.core.calls import Admission, Attempt, Call, LedgerRow, Outcome, Peek
from aldgate.core.errors import (
    BudgetExceeded,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    PriceUnknown,
    ScopeDenied,
    ShuttingDown,
    StoreUnavailable,
)
from aldgate.core.principals import Operation, Principal
from aldgate.core.routes import Catalogue, Deployment
from aldgate.core.usage import Usage
from aldgate.dialects.openai_errors import read_error
from aldgate.dialects.openai_requests import outgoing
from aldgate.gate.ids import CallIds
from aldgate.gate.metrics import Metrics
from aldgate.gate.slices import Slices
from aldgate.limiter.memory import Headers, MemoryLimiter
from aldgate.ports import Backend, Exchange, Store

log = logging.getLogger("aldgate.calls")

EXPECTED_OUTPUT = 512
"""Output tokens a token limit expects of a call that names no bound itself. Money is never guessed: see `_bound`."""
LEGACY_MAX_TOKENS = 16
"""What /v1/completions generates when nobody says (https://platform.openai.com/docs/api-reference/completions/create)."""
MEDIA = {b"image_url": 40_000, b"file": 200_000, b"input_audio": 40_000}
"""Key of input that is more tokens than bytes, because it is only named or denser than text -> the most one of it may come to.

gpt-4o-mini counts 36,835 tokens for the largest image (https://platform.openai.com/docs/guides/images-vision).
"""
_MEDIA = re.compile(rb'"(?:(image_url|file|input_audio)|[^"\\]*\\u00[^"]*)"\s*:')
"""Such a key, or one spelled with escapes, which may be any of them."""
MAX_REFILLS = 4
DAY_S = 86_400
_LONGEST_FAULT_BYTES = 65_536


class Gate:
    """Everything between a caller and a backend.

    Args:
        catalogue: The snapshot new calls begin with; swapped by `adopt`.
        backends: By name.
        limiter: Counters of all accounts.
        slices: Money of this process.
        append: Takes ledger rows; never waits.
        may_record: False while the ledger refuses calls.
        metrics: Counts what was settled and refused.
        default_max_tokens: Output cap injected where a budget needs a bound and the caller gave none.
        logs_calls: Write a log line per call.
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
        logs_calls: bool = False,
    ) -> None:
        self.catalogue = catalogue
        self.backends = backends
        self.limiter = limiter
        self.slices = slices
        self.metrics = metrics
        self.is_draining = False
        self.under_way = 0
        self._store = store
        self._append = append
        self._may_record = may_record
        self._default_max_tokens = default_max_tokens
        self._logs_calls = logs_calls
        self._ids = CallIds()
        self.new_id = self._ids

    def call(self, call_id: str, operation: Operation, principal: Principal, peek: Peek) -> Call:
        """Begin a call with the current catalogue."""
        return Call(call_id, operation, principal, peek, time.time(), time.perf_counter(), self.catalogue)

    def admit(self, call: Call) -> Admission | None:
        """Resolve, authorise, reserve. None: the shared authority must be asked first, by `admit_shared`.

        Raises:
            GatewayError: Refused; nothing was spent.
        """
        try:
            return self._admit(call)
        except GatewayError as error:
            self.metrics.refused(call.operation, error.code)
            raise

    def _admit(self, call: Call, inject_cap: int | None = None) -> Admission | None:
        if self.is_draining:
            raise ShuttingDown("The gate is stopping.", retry_after_s=5)
        if not self._may_record():
            raise StoreUnavailable("The ledger cannot be written, and calls without it are not allowed.", retry_after_s=5)
        principal = call.principal
        policy = principal.policy
        if call.operation not in policy.scopes:
            raise ScopeDenied(f"This API key may not {call.operation}; its scopes are {', '.join(sorted(policy.scopes))}.")
        deployment = self._deployment(call)
        admission = Admission(call, deployment, 0, inject_cap=inject_cap)
        limits = policy.limits
        has_limits = not limits.is_empty
        if has_limits:
            if principal.kind == "key" and not self.limiter.knows(principal.account):
                return None
            admission.tokens = self._expected(call)
            self.limiter.check(principal.account, limits, admission.tokens, time.monotonic_ns())
        if policy.budget is not None and not self._hold(admission, deployment):
            return None
        if has_limits:
            admission.places = self.limiter.spend(principal.account, limits, admission.tokens)
        self.under_way += 1
        return admission

    def _deployment(self, call: Call) -> Deployment:
        route = call.catalogue.resolve(call.peek.model)
        deployment = route.deployments[0]
        backend = self.backends.get(deployment.backend)
        if backend is None:
            raise ModelNotFound(f"The provider of `{route.name}` was removed.", param="model")
        can = deployment.operations or backend.operations
        if call.operation not in can:
            raise InvalidRequest(f"`{deployment.id}` cannot {call.operation}; it can {', '.join(sorted(can))}.", param="model")
        return deployment

    def _expected(self, call: Call) -> int:
        """Tokens a call will likely use: a quarter of the body's bytes, and its own bound on output, or a modest guess."""
        peek = call.peek
        expected = -(-len(peek.body) // 4)
        if call.operation == "embed":
            return expected
        if peek.cap is not None:
            return expected + peek.cap * peek.choices
        limits = call.principal.policy.limits
        tightest = min(limits.tpm or 1 << 62, limits.tpd or 1 << 62)
        return expected + max(1, min(EXPECTED_OUTPUT, tightest // 4)) * peek.choices

    def _hold(self, admission: Admission, deployment: Deployment) -> bool:
        """Hold the most the call can cost. False: this process's slice of the budget does not suffice."""
        principal = admission.call.principal
        budget = principal.policy.budget
        if budget is None:
            return True
        need = self._bound(admission, deployment)
        period = self.slices.hold(principal.account, budget, need)
        if period is None:
            return False
        admission.microusd, admission.budget_period = need, period
        return True

    def _bound(self, admission: Admission, deployment: Deployment) -> int:
        """An upper bound of the cost: `_most_input`, and output that is capped, by us if by nobody else."""
        price = deployment.price
        if price is None:
            raise PriceUnknown(
                f"Nobody knows the price of `{deployment.id}`, so a key with a budget may not call it."
                f' Its operator can set one under [prices."{deployment.id}"].'
            )
        call = admission.call
        peek = call.peek
        most_input = _most_input(peek.body)
        usage = Usage(input_tokens=most_input)
        if call.operation != "embed":
            cap = peek.cap
            if cap is None and price.at(most_input).output:
                usual = LEGACY_MAX_TOKENS if call.operation == "complete" else self._default_max_tokens
                cap = admission.inject_cap = admission.inject_cap or usual
            elif peek.cap_field == "max_completion_tokens" != self.backends[deployment.backend].output_cap_field:
                admission.inject_cap = cap  # all providers know `max_tokens`; those whose own field it is may know no other
            usage = Usage(input_tokens=most_input, output_tokens=(cap or 0) * peek.choices)
        return price.bound(usage)

    async def admit_shared(self, call: Call) -> Admission:
        """`admit`, after asking the database for what this process lacks: a slice of a budget, the past use of a key.

        Raises:
            GatewayError: As `admit`; `BudgetExceeded` if the database has no more to grant.
        """
        try:
            principal = call.principal
            limits, budget = principal.policy.limits, principal.policy.budget
            if not limits.is_empty and not self.limiter.knows(principal.account):
                uses = await self._store.recent_use(principal.account, call.received_at - DAY_S)
                now_ns = time.monotonic_ns()
                self.limiter.restore(principal.account, limits, uses, now_s=time.time(), now_ns=now_ns)
            cap: int | None = None
            for _ in range(MAX_REFILLS):
                admission = self._admit(call, cap)
                if admission is not None:
                    return admission
                assert budget is not None
                cap = await self._refill(call, budget)
        except GatewayError as error:
            self.metrics.refused(call.operation, error.code)
            raise
        raise StoreUnavailable("The budget is contended; try again.", retry_after_s=1)

    async def _refill(self, call: Call, budget: Budget) -> int | None:
        """Get a slice that the call fits in. Returns the output cap to inject where only a smaller one than usual fits."""
        account = call.principal.account
        deployment = self._deployment(call)
        usual = self._bound(Admission(call, deployment, 0), deployment)
        try:
            await self.slices.refill(account, budget, usual)
            return None
        except BudgetExceeded:
            if call.peek.cap is not None or call.operation == "embed" or deployment.price is None:
                raise
            least = self._bound(Admission(call, deployment, 0, inject_cap=1), deployment)
            await self.slices.refill(account, budget, least, most=usual)
        usage = Usage(input_tokens=_most_input(call.peek.body))
        output = deployment.price.affordable_output(self.slices.affordable(account, budget), usage)
        return None if output is None else max(1, output // call.peek.choices)

    async def run(self, admission: Admission) -> Exchange:
        """Send the call to its deployment and return the reply once it has begun well.

        Raises:
            UpstreamError: No reply, or one with an error status; read and classed.
        """
        call, deployment = admission.call, admission.deployment
        backend = self.backends[deployment.backend]
        body = outgoing(
            call.peek,
            model=deployment.model,
            cap_field=backend.output_cap_field if call.operation == "chat" else "max_tokens",
            cap=admission.inject_cap,
            ask_usage=backend.reports_stream_usage == "asked",
        )
        exchange = await backend.start(Attempt(call.id, call.operation, deployment, body, call.peek.stream))
        if exchange.status != 200:
            await _raise_fault(exchange)
        return exchange

    def extend(self, admission: Admission, output_tokens: int) -> bool:
        """A stream or socket has come to so many output tokens: may it go on? False: cut it."""
        expires_at = admission.call.principal.expires_at
        return admission.is_open and (expires_at is None or time.time() < expires_at)

    def settle(self, admission: Admission, outcome: Outcome) -> None:
        """Refund what was held and not used, and record the call: ledger, metrics, log. Only the first time counts."""
        if not admission.is_open:
            return
        admission.is_open = False
        self.under_way -= 1
        call, deployment, usage = admission.call, admission.deployment, outcome.usage
        principal = call.principal
        price = deployment.price
        cost = price.cost(usage) if price is not None else 0
        limits = principal.policy.limits
        if not limits.is_empty:
            self.limiter.settle(principal.account, limits, admission.places, admission.tokens, usage.total_tokens)
        if admission.budget_period is not None:
            self.slices.settle(principal.account, admission.budget_period, admission.microusd, cost)
        total_s = time.perf_counter() - call.started_at
        self._append(
            LedgerRow(
                call.id,
                call.received_at,
                principal.id,
                principal.account,
                call.operation,
                deployment.id,
                deployment.backend,
                call.peek.model,
                call.peek.stream,
                outcome.status,
                outcome.error.code if outcome.error else None,
                usage.input_tokens,
                usage.output_tokens,
                usage.cached_tokens,
                usage.cache_write_tokens,
                usage.reasoning_tokens,
                outcome.usage_source,
                cost,
                price.version if price is not None else "unknown",
                outcome.first_byte_s,
                total_s,
            )
        )
        shown = deployment.id if deployment.id in call.catalogue.routes else "other"
        self.metrics.settled((call.operation, shown, outcome.status), usage, cost, outcome.first_byte_s, total_s)
        if self._logs_calls or outcome.status >= 500:
            _log_call(call, deployment, outcome, total_s)

    def headers(self, principal: Principal) -> Headers:
        """The rate-limit headers of an answer to this principal."""
        limits = principal.policy.limits
        return [] if limits.is_empty else self.limiter.headers(principal.account, limits, time.monotonic_ns())


def _most_input(body: bytes) -> int:
    """The most tokens a request can be: text has no more of them than bytes; media counts by `MEDIA`."""
    if b'"type"' not in body and b"\\u00" not in body:  # every part that is not plain text has a type
        return len(body)
    return len(body) + sum(MEDIA.get(key, MEDIA[b"file"]) for key in _MEDIA.findall(body))


async def _raise_fault(exchange: Exchange) -> None:
    retry_after_s = _retry_after(exchange)
    status = exchange.status
    pieces: list[bytes] = []
    try:
        while sum(map(len, pieces)) < _LONGEST_FAULT_BYTES and (piece := await exchange.next()) is not None:
            pieces.append(piece)
    finally:
        exchange.close()
    raise read_error(status, b"".join(pieces), retry_after_s)


def _retry_after(exchange: Exchange) -> int | None:
    """Whole seconds the upstream asks us to wait, at least 1 and at most a minute: the SDKs obey whatever we pass on."""
    milliseconds, seconds = exchange.header(b"retry-after-ms"), exchange.header(b"retry-after")
    try:
        if milliseconds is not None:
            return min(60, max(1, -(-int(milliseconds) // 1000)))
        return None if seconds is None else min(60, max(1, round(float(seconds))))
    except (ValueError, OverflowError):
        return None


def _log_call(call: Call, deployment: Deployment, outcome: Outcome, total_s: float) -> None:
    log.log(
        logging.WARNING if outcome.status >= 500 else logging.INFO,
        "call",
        extra={
            "request_id": call.id,
            "principal": call.principal.id,
            "operation": call.operation,
            "model": deployment.id,
            "status": outcome.status,
            "error_code": outcome.error.code if outcome.error else None,
            "input_tokens": outcome.usage.input_tokens,
            "output_tokens": outcome.usage.output_tokens,
            "total_s": round(total_s, 6),
            "cause": repr(outcome.error.__cause__) if outcome.error and outcome.error.__cause__ else None,
            "at": datetime.fromtimestamp(call.received_at, UTC).isoformat(),
        },
    )
