"""One call's way through the deployments of its route: which is asked, what follows a failure, what the caller is told at last.

Nothing here runs once a reply has begun: from then on the caller has heard something, and nobody else may answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from aldgate.core.calls import Admission, Failure
from aldgate.core.errors import GatewayError, HedgeLost, UpstreamError, UpstreamTimeout
from aldgate.core.limits import UNLIMITED
from aldgate.core.retry import Left, Reason, decide, may_have_cost, most_useful, reason_of
from aldgate.core.routes import Deployment, Plan, Stage
from aldgate.core.usage import NOTHING
from aldgate.gate.money.bounds import counted
from aldgate.gate.routing.affinity import Served
from aldgate.gate.routing.hedge import race
from aldgate.gate.routing.live import Live, Stay
from aldgate.gate.routing.outlook import Outlook
from aldgate.gate.runs import Run

Ask = Callable[[Deployment, Served | None], Awaitable[Run]]
"""Makes one attempt. Told who served the conversation before, it takes out what only that one can read."""
Count = Callable[[Deployment, GatewayError], None]


class _Try(msgspec.Struct):
    """An attempt under way. `began_at` in monotonic seconds."""

    number: int
    deployment: Deployment
    stay: Stay
    began_at: float


class Trial:
    """The attempts at one call.

    Args:
        ask: Makes an attempt.
        count: Is told of each that failed.
    """

    def __init__(self, admission: Admission, plan: Plan, live: Live, ask: Ask, count: Count) -> None:
        call = admission.call
        self._admission = admission
        self._plan = plan
        self._live = live
        self._ask = ask
        self._count = count
        self._made = 0
        self._retries = plan.retries
        self._ready: deque[Deployment] = deque()
        self._passed: list[Deployment] = []
        """Those of entered stages that were not asked because their credential rests."""
        self._under_way: list[_Try] = []
        self._stages: dict[Reason, deque[Stage]] = {
            "failed": deque(plan.fallbacks),
            "too long": deque(plan.context_fallbacks),
            "filtered": deque(plan.filter_fallbacks),
        }
        self._outlook = Outlook(admission, plan, live, live.limiter)
        spent = time.perf_counter() - call.started_at
        self._until = None if plan.deadline_s is None else live.clock() + plan.deadline_s - spent

    async def run(self) -> Run:
        """Ask one after the other until one begins to answer.

        Raises:
            GatewayError: None did: the most useful of their errors, with the others in words.
        """
        deployment = self._enter(self._plan.stage)
        if deployment is None:
            raise self._outlook.closed()
        return await self._through(deployment)

    async def resume(self, failed: Deployment, error: GatewayError, seconds: float) -> Run:
        """As `run`, after a first attempt that was made already."""
        self._made = 1
        self._note(1, failed, error, seconds)
        deployment = await self._after(error, failed)
        if deployment is None:
            raise self._outcome()
        return await self._through(deployment)

    async def _through(self, deployment: Deployment | None) -> Run:
        while deployment is not None:
            asked = deployment
            try:
                return await self._attempt(asked)
            except GatewayError as error:
                met = error
            for failure in self._admission.failures:  # each raise ties its error to the frames that it passed, and so to the call
                failure.error.__traceback__ = None
            deployment = await self._after(met, asked)
        raise self._outcome()

    # --- whom to ask ---

    def _enter(self, stage: Stage) -> Deployment | None:
        """Order a stage and take its first. Where none is ready, a fallback's; else the one that rests the shortest, once."""
        choices = self._outlook.choices(stage)
        self._ready = deque(choice.deployment for choice in choices if choice.verdict in ("ready", "unfit"))
        self._passed += [choice.deployment for choice in choices if choice.verdict == "resting"]
        if self._ready:
            return self._ready.popleft()
        found = self._turn("failed")
        if found is None and (resting := [choice for choice in choices if choice.verdict == "resting"]):
            self._retries = 0
            found = resting[0].deployment
        return found

    def _turn(self, reason: Reason) -> Deployment | None:
        """The first deployment of the next fallback that has one."""
        stages = self._stages[reason]
        while stages:
            found = self._enter(stages.popleft())
            if found is not None:
                return found
        return None

    def _next(self) -> Deployment | None:
        """The next one that is still ready: much may have happened since they were put in order."""
        while self._ready:
            deployment = self._ready.popleft()
            standing = self._outlook.standing(deployment)
            if not standing.rest_s and not standing.wait_s:
                return deployment
            self._passed.append(deployment)
        return None

    def _larger(self, asked: Deployment) -> Deployment | None:
        """The next that is known to read more than `asked`, where the plan goes on to such. The smaller ones are dropped."""
        if not self._plan.takes_larger:
            return None
        least = asked.facts.context_window or self._outlook.needed_tokens
        self._ready = deque(each for each in self._ready if (each.facts.context_window or 0) > least)
        return self._next()

    def _may_answer(self) -> list[Deployment]:
        """Of those passed over, whoever may answer although its credential rests: the limit may be another model's."""
        standings = ((each, self._outlook.standing(each)) for each in self._passed)
        return [each for each, standing in standings if standing.may_answer and not standing.wait_s]

    def _resting(self) -> Deployment | None:
        """One of these; no other of its credential is asked after it."""
        found = next(iter(self._may_answer()), None)
        self._passed = [each for each in self._passed if found is not None and each.backend != found.backend]
        return found

    async def _after(self, error: GatewayError, asked: Deployment) -> Deployment | None:
        """Whom to ask after `asked` failed with `error`; None: nobody."""
        reason = reason_of(error)
        other = self._next() if reason == "failed" else None
        larger = self._larger(asked) if reason == "too long" else None
        left = Left(
            others=int(other is not None),
            larger=int(larger is not None),
            resting=len(self._may_answer()) if self._passed else 0,
            retries=self._retries,
            fallbacks=frozenset(reason for reason, stages in self._stages.items() if stages),
            seconds=self._left_s(),
            attempts=self._made,
        )
        verdict = decide(error, left, self._live.draw())
        match verdict.action:
            case "next":
                return other or larger
            case "again":
                self._retries -= 1
                await self._live.pause(verdict.wait_s)
                return asked
            case "fallback":
                return self._turn(reason or "failed") or (self._resting() if reason == "failed" else None)
            case "resting":
                return self._resting()
            case "stop":
                return None

    def _left_s(self) -> float | None:
        return None if self._until is None else self._until - self._live.clock()

    # --- asking ---

    async def _attempt(self, deployment: Deployment) -> Run:
        left_s = self._left_s()
        first = self._open(deployment)
        try:
            if left_s is None:
                return self._won(*await self._first_of(first))
            async with asyncio.timeout(max(left_s, 0.0)):
                return self._won(*await self._first_of(first))
        except TimeoutError:
            late = UpstreamTimeout(f"No provider began to answer within the route's {self._plan.deadline_s:g} s.")
        for each in list(self._under_way):
            self._lost(each, late)
        raise late

    def _first_of(self, first: _Try) -> Coroutine[Any, Any, tuple[_Try, Run]]:
        after_s = self._plan.hedge_after_s
        if after_s is None or first.number > 1 or not self._ready:
            return self._begin(first)
        return race(self._begin(first), self._second, after_s, lambda result: result[1].exchange.close())

    def _second(self) -> Coroutine[Any, Any, tuple[_Try, Run]] | None:
        deployment = self._next()
        return None if deployment is None else self._begin(self._open(deployment))

    def _open(self, deployment: Deployment) -> _Try:
        stay = self._live.enter(deployment, self._plan.limits.get(deployment.id, UNLIMITED), self._outlook.tokens)
        self._made += 1
        if self._passed:
            self._passed = [each for each in self._passed if each.id != deployment.id]
        opened = _Try(self._made, deployment, stay, time.perf_counter())
        self._under_way.append(opened)
        admission = self._admission
        admission.deployment, admission.attempt, admission.leave = deployment, self._made, self._leave_all
        admission.is_waiting = False
        return opened

    def _leave_all(self, used_tokens: int) -> None:
        """The call ends while attempts are under way: the caller left."""
        for each in self._under_way:
            each.stay.leave(used_tokens)

    async def _begin(self, mine: _Try) -> tuple[_Try, Run]:
        try:
            return mine, await self._ask(mine.deployment, self._outlook.served)
        except GatewayError as error:
            self._lost(mine, error)
            raise

    def _won(self, mine: _Try, run: Run) -> Run:
        for each in list(self._under_way):
            if each is not mine:
                self._lost(each, HedgeLost("Another deployment began to answer sooner."))
        self._live.began(mine.deployment, time.perf_counter() - mine.began_at)
        self._live.affinity.remember(self._outlook.key, mine.deployment, self._live.clock())
        admission = self._admission
        admission.deployment, admission.attempt, admission.leave = mine.deployment, mine.number, mine.stay.leave
        run.attempts = self._made
        return run

    # --- what failed ---

    def _lost(self, mine: _Try, error: GatewayError) -> None:
        self._under_way.remove(mine)
        mine.stay.leave(0)
        self._note(mine.number, mine.deployment, error, time.perf_counter() - mine.began_at)
        if self._under_way:
            other = self._under_way[-1]
            self._admission.deployment, self._admission.attempt = other.deployment, other.number
        else:
            self._admission.leave = None

    def _note(self, number: int, deployment: Deployment, error: GatewayError, seconds: float) -> None:
        """Keep a failure for the ledger."""
        admission = self._admission
        usage = counted(admission.call, 0) if may_have_cost(error) else NOTHING
        admission.failures += (Failure(number, deployment, error, usage, seconds),)
        admission.attempt, admission.is_waiting = self._made + 1, not self._under_way
        self._live.failed(deployment, error)
        self._count(deployment, error)

    def _outcome(self) -> GatewayError:
        """The error that becomes the answer; its attempt stands in the ledger as the call's own."""
        admission = self._admission
        failures = admission.failures
        chosen = most_useful([failure.error for failure in failures if not isinstance(failure.error, HedgeLost)])
        own = next(failure for failure in failures if failure.error is chosen)
        admission.failures = tuple(failure for failure in failures if failure is not own)
        admission.deployment, admission.attempt = own.deployment, own.attempt
        if len(failures) > 1:
            chosen.attempts = len(failures)
            tried = "; ".join(f"`{each.deployment.id}` ({_in_short(each.error)})" for each in failures)
            chosen.message = f"{chosen.message} {len(failures)} attempts failed: {tried}."
        return chosen


def _in_short(error: GatewayError) -> str:
    status = error.upstream_status if isinstance(error, UpstreamError) else None
    return f"{error.code}, status {status}" if status else error.code
