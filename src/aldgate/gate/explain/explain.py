"""Shows a decision without making a call: the code that decides is asked, with copies of the counters, and nothing is taken.

Allowed means that a provider would be asked. What it would answer, nobody knows.
"""

from __future__ import annotations

import time

from aldgate.core.calls import UNBOUND, Admission, Call, Peek
from aldgate.core.errors import GatewayError
from aldgate.core.principals import Operation, Principal
from aldgate.core.rights import EXPECTED_OUTPUT
from aldgate.core.routes import Deployment, Route
from aldgate.core.usage import Usage
from aldgate.gate.explain.explanation import (
    BudgetShown,
    Estimate,
    Explanation,
    ModelShown,
    RouteShown,
    denial,
    money,
    policy_of,
    who,
)
from aldgate.gate.explain.prospect import Prospect
from aldgate.gate.gate import Gate
from aldgate.gate.money.bounds import (
    FIRST_STEP,
    GENERATES,
    cost_of,
    counted,
    dearest,
    expected_tokens,
    most_input,
)
from aldgate.gate.money.purses import Cost, Purse
from aldgate.limiter.memory import MemoryLimiter
from aldgate.ports import FaceDialect

Asked = Peek | GatewayError
"""What a request asks, or why its body cannot be read."""


async def explain(
    gate: Gate, principal: Principal, operation: Operation, face: FaceDialect, asked: Asked, met: GatewayError | None = None
) -> Explanation:
    """What would become of a call now.

    `met` is the refusal that a call met just now; then that is the one to explain.

    Raises:
        StoreUnavailable: The database did not answer.
    """
    limiter, purses = await gate.accounts(principal)
    against = [met] if met is not None else []
    if isinstance(asked, GatewayError):
        return _Case(principal, operation, face, limiter, purses).told(against or [asked])
    call = gate.call("explained", operation, principal, asked)
    found: list[GatewayError] = []
    admission = gate.weigh(call, limiter, None, found)
    case = _Case(principal, operation, face, limiter, purses, call, admission)
    found += case.shortfall()
    if admission is not None and principal.rights.guardrails:
        found += await _found_by_guardrails(gate, admission, face)
    case.route = _route(call)
    if case.route is not None:
        prospect = Prospect(gate, call, case.route, admission, face)
        case.shown, case.first = await prospect.shown(), prospect.first
        refusal = prospect.refusal()
        found += [refusal] if refusal is not None else []
    return case.told(against + [error for error in found if met is None or error.code != met.code])


async def _found_by_guardrails(gate: Gate, admission: Admission, face: FaceDialect) -> list[GatewayError]:
    """The refusal of the first guardrail that finds something, of those that need nobody else."""
    try:
        await gate.attempts.guarding.check(admission, face, asks=False)
    except GatewayError as error:
        return [error]
    return []


def _route(call: Call) -> Route | None:
    name = call.peek.model
    try:
        tells_near = not call.principal.rights.tells_names
        return call.catalogue.resolve(name, tells_near=tells_near) if name else call.catalogue.default(call.operation)
    except GatewayError:
        return None


class _Case:
    """What an explanation is made from.

    Attributes:
        route: Where the model leads.
        shown: The same, as it is shown.
        first: Id of the deployment that would be asked first.
    """

    route: Route | None = None
    shown: RouteShown | None = None
    first: str | None = None

    def __init__(
        self,
        principal: Principal,
        operation: Operation,
        face: FaceDialect,
        limiter: MemoryLimiter,
        purses: list[Purse],
        call: Call | None = None,
        admission: Admission | None = None,
    ) -> None:
        self._principal = principal
        self._operation: Operation = operation
        self._face = face
        self._limiter = limiter
        self._purses = purses
        self._call = call
        self._admission = admission

    def shortfall(self) -> list[GatewayError]:
        """The refusals that budgets are cause for. Where the bound on output is ours, a smaller one may do."""
        if self._admission is None:
            return []
        least = self._least(self._admission)
        return [purse.exceeded(least) for purse in self._purses if not purse.fits(least)]

    def _least(self, admission: Admission) -> Cost:
        """What budgets must have for the call at the least."""
        if admission.call.peek.cap is not None or admission.cap is None:
            return _cost(admission)
        return cost_of(admission.call, admission.candidates, 1)

    def told(self, against: list[GatewayError]) -> Explanation:
        """The explanation, of a call that all these speak against."""
        reasons = [denial(error, self._face.error(error, "")[0]) for error in against]
        gauge = self._limiter.of(self._principal)
        return Explanation(
            verdict="denied" if reasons else "allowed",
            denial=reasons[0] if reasons else None,
            reasons=reasons,
            operation=self._operation,
            who=who(self._principal),
            policy=policy_of(self._principal),
            model=self._model(),
            route=self.shown,
            limits=gauge.remaining(time.monotonic_ns()) if gauge is not None else [],
            budgets=[self._budget(purse) for purse in self._purses],
            estimate=self._estimate(),
        )

    def _model(self) -> ModelShown | None:
        if self._call is None:
            return None
        name, catalogue = self._call.peek.model, self._call.catalogue
        if self.route is not None:
            return ModelShown(name, catalogue.rule(name))
        return ModelShown(name, None, [] if self._principal.rights.tells_names else catalogue.near(name))

    def _budget(self, purse: Purse) -> BudgetShown:
        admission, limit = self._admission, purse.budget.microusd
        cost = admission and _cost(admission)
        return BudgetShown(
            level=purse.claim.whose,
            limit=money(limit),
            period=purse.period,
            ends_at=purse.ends_at,
            spent=money(limit - purse.left - purse.held),
            held=money(purse.held),
            free=money(max(0, purse.left)),
            needed=cost and money(cost.of(purse.budget)),
            cuts_output=bool(admission and cost and not purse.fits(cost) and purse.fits(self._least(admission))),
        )

    def _estimate(self) -> Estimate | None:
        call, admission = self._call, self._admission
        if call is None:
            return None
        peek = call.peek
        cap = peek.cap if admission is None or admission.cap is None else admission.cap
        cap = cap if call.operation in GENERATES else 0
        output = (EXPECTED_OUTPUT if cap is None else cap) * peek.choices
        likely = counted(call, output)
        candidates = () if admission is None else admission.candidates
        first = next((each for each in candidates if each.id == self.first), None)
        return Estimate(
            input_tokens=likely.input_tokens,
            most_input_tokens=most_input(peek),
            output_tokens=likely.output_tokens,
            most_output_tokens=None if cap is None else cap * peek.choices,
            limit_tokens=expected_tokens(call),
            expected=None if first is None or first.price is None else money(first.price.cost(_with_requests(likely, peek))),
            most=money(dearest(call, candidates, cap)) if _is_bounded(call, candidates, cap) else None,
        )


def _cost(admission: Admission) -> Cost:
    """What budgets must have for the call to begin."""
    what = "This call" if admission.paid_output == UNBOUND else FIRST_STEP
    return Cost(admission.most_microusd, admission.likely_microusd, what)


def _with_requests(usage: Usage, peek: Peek) -> Usage:
    return Usage(usage.input_tokens, usage.output_tokens, requests=peek.requests)


def _is_bounded(call: Call, candidates: tuple[Deployment, ...], cap: int | None) -> bool:
    """Whether all prices are known, and either the output is bounded or none of them charges for it."""
    most = most_input(call.peek)
    return bool(candidates) and all(
        each.price is not None and (cap is not None or not each.price.at(most).output) for each in candidates
    )
