"""How deployments are doing. It lives beside the catalogue: a reload changes what can be called, and forgets nothing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from aldgate.core.breakers import CREDENTIAL_REST_S, Breaker, BreakerState
from aldgate.core.choice import Standing
from aldgate.core.defaults import BUILTIN
from aldgate.core.errors import (
    GatewayError,
    PolicyError,
    UpstreamAuth,
    UpstreamError,
    UpstreamLimited,
    UpstreamRejected,
)
from aldgate.core.limits import SECOND, UNLIMITED, Limits
from aldgate.core.routes import Deployment
from aldgate.gate.affinity import Affinity
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
    probes: tuple[Breaker, ...]
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
        for breaker in self.probes:
            breaker.gave_up()
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
        self._credentials: dict[str, Breaker] = {}

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
        rest_s, why = self._rest(deployment, state, now)
        return Standing(
            state.begins_in_s, state.busy, rest_s, why, self._wait_s(deployment, limits, tokens, limiter or self.limiter)
        )

    def _rest(self, deployment: Deployment, state: State, now: float) -> tuple[float, str]:
        credential = self._credentials.get(deployment.backend)
        if credential is not None and (rest_s := credential.rest_s(now)):
            return rest_s, f"`{deployment.backend}` refused our credential, or our account there is empty"
        breaker = state.breaker
        rest_s = breaker.rest_s(now)
        if not rest_s:
            return 0.0, ""
        if breaker.cooled_until > now:
            return rest_s, "it asked us to come back later"
        return rest_s, f"it failed {breaker.failures} times in a row" if breaker.open_until > now else "it is being probed"

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
        credential = self._credentials.get(deployment.backend)
        probes = tuple(each for each in (state.breaker, credential) if each is not None and each.begin())
        gauge = None if limits.is_empty else self.limiter.gauge([Limited(deployment.id, limits)])
        places = gauge.spend((1, tokens, 0, 0, 0)) if gauge is not None else []
        return Stay(self, deployment, state, probes, gauge, tokens, places)

    def began(self, deployment: Deployment, seconds: float) -> None:
        """It began to answer after so many seconds."""
        state = self.state(deployment)
        known = state.begins_in_s
        state.begins_in_s = seconds if known is None else known + SMOOTHING * (seconds - known)
        state.breaker.began()
        self._credentials.pop(deployment.backend, None)

    def served(self, deployment: Deployment) -> None:
        """Its answer is complete."""
        self.state(deployment).breaker.succeeded()
        self.troubled.discard(deployment.id)

    def failed(self, deployment: Deployment, error: GatewayError) -> None:
        """An attempt failed. What the caller asked is no fault of the deployment's; nor is anything of a builtin engine's."""
        if deployment.backend == BUILTIN or not isinstance(error, UpstreamError):
            return
        now = self.clock()
        if isinstance(error, UpstreamAuth) and error.upstream_status != 403 or _is_broke(error):
            self._credentials.setdefault(deployment.backend, Breaker()).cool(now, error.retry_after_s or CREDENTIAL_REST_S)
        elif isinstance(error, UpstreamRejected):
            self.served(deployment)  # it is there, and judges requests
            return
        elif isinstance(error, UpstreamAuth | UpstreamLimited):
            self.state(deployment).breaker.cool(now, error.retry_after_s or CREDENTIAL_REST_S)
        else:
            breaker = self.state(deployment).breaker
            breaker.failed(now)
            if error.retry_after_s is not None:
                breaker.cool(now, error.retry_after_s)
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


def _is_broke(error: UpstreamError) -> bool:
    """Waiting does not mend it: dialects give a limit that it does mend a time to wait."""
    return isinstance(error, UpstreamLimited) and (error.retry_after_s is None or error.upstream_status == 402)
