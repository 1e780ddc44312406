"""What is known of the deployments of a call's route before one is asked: trials act on it, explanations show it."""

from __future__ import annotations

import math

from aldgate.core.calls import Admission
from aldgate.core.choice import Choice, Needs, Standing, choose
from aldgate.core.errors import UpstreamLimited
from aldgate.core.limits import UNLIMITED
from aldgate.core.routes import Deployment, Plan, Stage
from aldgate.gate.money.bounds import expected_tokens
from aldgate.gate.routing.affinity import conversation_key
from aldgate.gate.routing.live import Live
from aldgate.gate.routing.needs import needs_of
from aldgate.limiter.memory import MemoryLimiter


class Outlook:
    """How the deployments of a plan look for one call.

    Args:
        limiter: Counts what was sent to each deployment: `live.limiter`, or a copy for who only wants to know.

    Attributes:
        key: Names the conversation, where there is a choice.
        served: Who answered it before.
        tokens: What the call counts in the limits of deployments.
        needed_tokens: What a model must be able to read and write for it, where there is a choice and that can be told; else 0.
    """

    def __init__(self, admission: Admission, plan: Plan, live: Live, limiter: MemoryLimiter) -> None:
        call = admission.call
        several = len(admission.candidates) > 1
        self.key = conversation_key(call.principal.id, call.peek) if several else None
        self.served = live.affinity.recall(self.key, live.clock())
        self.tokens = expected_tokens(call) if plan.limits else 0
        self._needs = needs_of(call, self.served.deployment if self.served else "") if several else Needs()
        self.needed_tokens = self._needs.tokens
        self._candidates = admission.candidates
        self._held_for = {deployment.id for deployment in admission.candidates}
        self._plan = plan
        self._live = live
        self._limiter = limiter

    def choices(self, stage: Stage, *, collect: bool = False) -> list[Choice]:
        """Those of a stage that the call was admitted for, best first; with `collect`, with reasons."""
        seats = tuple(seat for seat in stage.seats if seat.deployment.id in self._held_for)
        standings = {seat.deployment.id: self.standing(seat.deployment) for seat in seats}
        return choose(Stage(seats, stage.strategy), standings, self._needs, self._live.draw(), collect=collect)

    def standing(self, deployment: Deployment) -> Standing:
        """How a deployment is doing now."""
        limits = self._plan.limits.get(deployment.id, UNLIMITED)
        return self._live.standing(deployment, limits, self.tokens, self._limiter)

    def closed(self) -> UpstreamLimited:
        """What the caller is told when every deployment is at a limit that the gate keeps for it."""
        waits = [self.standing(each).wait_s for each in self._candidates if each.id in self._plan.limits]
        return UpstreamLimited(
            "Everything behind this model is at the limits that the gate's operator has set.",
            retry_after_s=max(1, math.ceil(min(waits, default=1.0))),
        )
