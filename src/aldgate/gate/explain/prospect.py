"""Where a call would go: every deployment of its route, in the order in which they would be asked, with reasons."""

from __future__ import annotations

import asyncio

from aldgate.core.calls import Admission, Call
from aldgate.core.choice import Choice
from aldgate.core.errors import GatewayError
from aldgate.core.operations import Request
from aldgate.core.prices import Price
from aldgate.core.retry import Reason, most_useful
from aldgate.core.routes import Deployment, Plan, Route, Seat, Stage
from aldgate.core.terms import format_usd
from aldgate.gate.explain.explanation import Candidate, PriceShown, RouteShown, StageShown, TranslationShown, denial
from aldgate.gate.gate import Gate, operations_of
from aldgate.gate.routing.outlook import Outlook
from aldgate.gate.translation.outgoing import may_be_sealed, parsed, written
from aldgate.gate.translation.signatures import unsealed
from aldgate.gate.translation.spoken import spoken
from aldgate.ports import Backend, FaceDialect


class Prospect:
    """The way that a call would take.

    Args:
        gate: Knows how deployments are doing.
        call: What is asked.
        route: Where its model leads.
        admission: What `Gate.weigh` says of it; None: nothing can run it.
        face: The dialect of the request.
    """

    def __init__(self, gate: Gate, call: Call, route: Route, admission: Admission | None, face: FaceDialect) -> None:
        self._call = call
        self._route = route
        self._admission = admission
        self._face = face
        self._is_planned = route.plan is not None
        self._plan = route.plan or Plan(stage=Stage(tuple(map(Seat, route.deployments))))
        self._outlook: Outlook | None = None
        if admission is not None:
            self._outlook = Outlook(admission, self._plan, gate.live, gate.live.limiter.copy_of(*self._plan.limits))
        self._asked: Request | None = None
        self._refused: dict[str, GatewayError] = {}
        self._order: list[str] = []

    async def shown(self) -> RouteShown:
        """The route, and what would become of the request at each deployment."""
        plan = self._plan
        others: tuple[tuple[Reason, tuple[Stage, ...]], ...] = (
            ("failed", plan.fallbacks),
            ("too long", plan.context_fallbacks),
            ("filtered", plan.filter_fallbacks),
        )
        stages: list[tuple[Reason | None, Stage]] = [(None, plan.stage)]
        for reason, found in others:
            stages.extend((reason, stage) for stage in found)
        choices = [self._outlook.choices(stage, collect=True) if self._outlook is not None else [] for _, stage in stages]
        self._order = self._asked_in_order(choices[: 1 + len(plan.fallbacks)])
        shown = [
            StageShown(stage.strategy, [await self._candidate(stage, choice) for choice in chosen] + self._out(stage), after)
            for (after, stage), chosen in zip(stages, choices, strict=True)
        ]
        return RouteShown(self._route.name, plan.stage.strategy, shown[0].candidates, shown[1:])

    def refusal(self) -> GatewayError | None:
        """What the caller would get although the call is admitted, because nothing would be asked. Known once it is `shown`."""
        if self._outlook is None:
            return None
        if not self._order:
            return self._outlook.closed()
        refused = [self._refused[name] for name in self._order if name in self._refused]
        return most_useful(refused) if len(refused) == len(self._order) else None

    @property
    def first(self) -> str | None:
        """Id of the deployment that would be asked first."""
        return self._order[0] if self._order else None

    def _asked_in_order(self, stages: list[list[Choice]]) -> list[str]:
        """As a trial does it: who is ready, stage after stage; where nobody is, the last stage's one that rests the shortest."""
        if not self._is_planned:
            return [choice.deployment.id for choices in stages for choice in choices][:1]
        ready = [choice for choices in stages for choice in choices if choice.verdict in ("ready", "unfit")]
        resting = [choice for choices in reversed(stages) for choice in choices if choice.verdict == "resting"]
        return list(dict.fromkeys(choice.deployment.id for choice in ready or resting[:1]))

    async def _candidate(self, stage: Stage, choice: Choice) -> Candidate:
        await asyncio.sleep(0)  # a translation of a large body takes its time, and others wait
        deployment = choice.deployment
        order = self._order.index(deployment.id) + 1 if deployment.id in self._order else None
        pros = list(choice.pros) if len(stage.seats) > 1 or self._is_planned else ["it is the only one"]
        return Candidate(
            deployment=deployment.id,
            provider=deployment.backend,
            verdict=choice.verdict if self._is_planned else "ready",
            order=order,
            pros=pros,
            cons=list(choice.cons),
            price=_price(deployment.price),
            facts=deployment.facts,
            translation=self._translation(deployment),
        )

    def _out(self, stage: Stage) -> list[Candidate]:
        """Those of a stage that the call is not admitted for."""
        able = {each.id for each in self._admission.candidates} if self._admission is not None else set[str]()
        return [
            Candidate(each.id, each.backend, "out", None, [], self._why_not(each), _price(each.price), each.facts, None)
            for each in dict.fromkeys(seat.deployment for seat in stage.seats)
            if each.id not in able
        ]

    def _why_not(self, deployment: Deployment) -> list[str]:
        operation, can = self._call.operation, operations_of(self._call, deployment)
        reasons = [] if operation in can else [f"it cannot {operation}; it can {', '.join(sorted(can)) or 'do nothing'}"]
        if deployment.price is None and self._call.principal.rights.has_budget:
            reasons.append("nobody knows its price, and there is a budget")
        return reasons or ["the call is not let through"]

    def _translation(self, deployment: Deployment) -> TranslationShown:
        """What would be sent there, by writing it."""
        assert self._admission is not None and self._outlook is not None
        backend: Backend = self._call.backends[deployment.backend]
        same = spoken(backend, deployment).get(self._face.name)
        passes = same is not None and self._call.operation in same.operations and not self._call.principal.rights.guardrails
        how = "passes through" if passes else "translated"
        warnings: list[str] = []
        try:
            served = self._outlook.served
            if may_be_sealed(self._admission) and (served is None or served.backend != deployment.backend):
                asked = unsealed(parsed(self._face, self._admission))
                how = "translated"
            else:
                asked = None if passes else self._parsed()
            upstream, _, _ = written(self._admission, deployment, backend, self._face, warnings, asked)
        except GatewayError as error:
            self._refused[deployment.id] = error
            return TranslationShown(how, None, warnings, denial(error, self._face.error(error, "")[0]))
        return TranslationShown(how, upstream.name, warnings)

    def _parsed(self) -> Request:
        assert self._admission is not None
        self._asked = self._asked or parsed(self._face, self._admission)
        return self._asked


def _price(price: Price | None) -> PriceShown | None:
    if price is None:
        return None
    cached = None if price.cached is None else format_usd(price.cached)
    cache_write = None if price.cache_write is None else format_usd(price.cache_write)
    return PriceShown(
        price.version, format_usd(price.input), format_usd(price.output), cached, cache_write, format_usd(price.request)
    )
