"""How deployments are doing. It lives beside the catalogue: a reload changes what can be called, and forgets nothing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from aldgate.core.breakers import CREDENTIAL_REST_S, Breaker, BreakerState, Cooldown
from aldgate.core.choice import Standing
from aldgate.core.defaults import BUILTIN
from aldgate.core.errors import GatewayError, PolicyError, UpstreamError
from aldgate.core.limits import SECOND, UNLIMITED, Limits
from aldgate.core.retry import resting_after
from aldgate.core.routes import Deployment
from aldgate.gate.routing.affinity import Affinity
from aldgate.limiter.memory import Gauge, Limited, MemoryLimiter, Places

SMOOTHING = 0.2
"""Weight of the newest observation in the time a deployment takes to begin."""
MOST_STATES = 10_000


class State(msgspec.Struct):
    """One deployment, as calls found it."""

    breaker: Breaker
    begins_in_s: float | None = None
    busy: int = 0


class Stay(msgspec.Struct):
    """What an attempt takes up at a deployment while it lasts. `leave` ends it; only the first time counts."""

    live: Live
    deployment: Deployment
    state: State
    is_probe: bool
    gauge: Gauge | None
    tokens: int
    places: Places = []
    is_open: bool = True

    def leave(self, used_tokens: int) -> None:
        """Give up the place; so many tokens were used there."""
        if not self.is_open:
            return
        self.is_open = False
        self.state.busy -= 1
        if self.is_probe:
            self.state.breaker.gave_up()
        if self.gauge is not None:
            self.gauge.settle(self.places, (1, self.tokens, 0, 0, 0), (1, used_tokens, 0, 0, 0))


class Live:
    """What is known of deployments and credentials now.

    Args:
        clock: Monotonic seconds.
        draw: A random number from 0 up to 1.
        pause: Waits so many seconds before an attempt is repeated.

    Attributes:
        troubled: Ids of deployments that lately failed, for those who need not know more.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.clock = clock
        self.draw = draw
        self.pause = pause
        self.limiter = MemoryLimiter()
        self.affinity = Affinity()
        self.troubled: set[str] = set()
        self._states: dict[str, State] = {}
        self._credentials: dict[str, Cooldown] = {}

    def state(self, deployment: Deployment) -> State:
        """The state of a deployment. Callers may make up names of models: the oldest idle state makes room."""
        state = self._states.get(deployment.id)
        if state is None:
            if len(self._states) >= MOST_STATES:
                self._forget()
            state = self._states[deployment.id] = State(Breaker())
        return state

    def _forget(self) -> None:
        oldest = next((name for name, state in self._states.items() if not state.busy), None)
        if oldest is not None:
            del self._states[oldest]
            self.troubled.discard(oldest)

    def standing(self, deployment: Deployment, limits: Limits, tokens: int, limiter: MemoryLimiter | None = None) -> Standing:
        """How a deployment is doing, for a call of so many tokens, by our counters, or by those of `limiter`, a copy."""
        state, now = self._states.get(deployment.id) or State(Breaker()), self.clock()
        wait_s = self._wait_s(deployment, limits, tokens, limiter or self.limiter)
        own_s, credential = state.breaker.rest_s(now), self._credentials.get(deployment.backend)
        shared_s = credential.rest_s(now) if credential is not None else 0.0
        if credential is None or shared_s <= own_s:
            return Standing(state.begins_in_s, state.busy, own_s, _why(state.breaker, now) if own_s else "", wait_s=wait_s)
        why = "refused our credential, or our account there is empty" if credential.is_refused else "limits our credential"
        may_answer = not own_s and not credential.is_refused
        return Standing(state.begins_in_s, state.busy, shared_s, f"`{deployment.backend}` {why}", may_answer, wait_s)

    def _wait_s(self, deployment: Deployment, limits: Limits, tokens: int, limiter: MemoryLimiter) -> float:
        if limits.is_empty:
            return 0.0
        try:
            limiter.gauge([Limited(deployment.id, limits)]).check((1, tokens, 0, 0, 0), int(self.clock() * SECOND))
        except PolicyError as error:
            return float(error.retry_after_s or 1)
        return 0.0

    def enter(self, deployment: Deployment, limits: Limits = UNLIMITED, tokens: int = 0) -> Stay:
        """An attempt at `deployment` begins now."""
        state = self.state(deployment)
        state.busy += 1
        gauge = None if limits.is_empty else self.limiter.gauge([Limited(deployment.id, limits)])
        places = gauge.spend((1, tokens, 0, 0, 0)) if gauge is not None else []
        return Stay(self, deployment, state, state.breaker.begin(), gauge, tokens, places)

    def began(self, deployment: Deployment, seconds: float) -> None:
        """It began to answer after so many seconds. Its credential is good if that was asked after it was told off."""
        state = self.state(deployment)
        known = state.begins_in_s
        state.begins_in_s = seconds if known is None else known + SMOOTHING * (seconds - known)
        state.breaker.began()
        credential = self._credentials.get(deployment.backend)
        if credential is not None and credential.is_disproved_by(self.clock() - seconds):
            del self._credentials[deployment.backend]

    def served(self, deployment: Deployment) -> None:
        """Its answer is complete."""
        self.state(deployment).breaker.succeeded()
        self.troubled.discard(deployment.id)

    def failed(self, deployment: Deployment, error: GatewayError) -> None:
        """An attempt failed. What the caller asked is no fault of the deployment's; nor is anything of a builtin engine's."""
        if deployment.backend == BUILTIN or not isinstance(error, UpstreamError) or error.is_callers:
            return
        now, resting = self.clock(), resting_after(error)
        rest_s = error.retry_after_s or CREDENTIAL_REST_S
        if resting == "nothing":
            self.served(deployment)  # it is there, and judges requests
            return
        if resting == "failure":
            breaker = self.state(deployment).breaker
            breaker.failed(now)
            if error.retry_after_s is not None:
                breaker.cool(now, error.retry_after_s)
        else:
            is_refused = resting == "credential"
            told_off = self._credentials.setdefault(deployment.backend, Cooldown(now, now, is_refused))
            told_off.extend(now, rest_s, is_refused=is_refused)
            if not is_refused:
                self.state(deployment).breaker.cool(now, rest_s)
        self.troubled.add(deployment.id)

    def breakers(self) -> Iterator[tuple[str, BreakerState, float]]:
        """Deployments that lately failed: their id, their breaker's state, seconds they still rest."""
        now = self.clock()
        for name in self.troubled:
            state = self._states.get(name)
            if state is not None:
                yield name, state.breaker.state(now), state.breaker.rest_s(now)

    def cooldowns(self) -> Iterator[tuple[str, float]]:
        """Providers whose credential rests, and for how many seconds yet."""
        now = self.clock()
        return ((name, breaker.rest_s(now)) for name, breaker in self._credentials.items())


def _why(breaker: Breaker, now: float) -> str:
    if breaker.cooled_until > now:
        return "it asked us to come back later"
    return f"it failed {breaker.failures} times in a row" if breaker.open_until > now else "it is being probed"
