"""Money for streams, in steps: what a stream has come to is held for, and some output ahead of it, instead of all it may become.

What is held covers what was delivered, by our own count, and half a step more at the least; with the last of a budget, just what
it pays for. A step that is refused ends the stream.
"""

from __future__ import annotations

from aldgate.core.calls import UNBOUND, Admission, Call
from aldgate.core.errors import BudgetExceeded, GatewayError, PolicyDenied, StoreUnavailable
from aldgate.core.prices import FREE
from aldgate.core.principals import Principal
from aldgate.core.routes import Deployment
from aldgate.gate.money.bills import bill
from aldgate.gate.money.bounds import most_input, payable, tier_of, used_by
from aldgate.gate.money.fees import fee_tool
from aldgate.gate.money.slices import Held, Parts, Slices, is_hard
from aldgate.gate.money.unseen import may_hide_output

STEP_TOKENS = 1024
"""Output tokens, per choice, that a stream reserves at a time."""
MOST_REFILLS = 4
_NEXT = "The next part of this stream"
_SO_FAR = "What this stream has come to"


class Steps:
    """Reserves what streams need as they go on.

    Args:
        slices: Money of this process.
        tokens: Output tokens of a step, per choice.

    Attributes:
        thinkers: Deployments that have reported tokens of reasoning; their streams are held for as a whole.
    """

    def __init__(self, slices: Slices, tokens: int = STEP_TOKENS) -> None:
        self.tokens = tokens
        self.thinkers: set[str] = set()
        self._slices = slices

    def first(self, call: Call, candidates: tuple[Deployment, ...], cap: int | None) -> int | None:
        """Output tokens per choice that a stream is held for when it begins; all of its `cap` where it cannot go in steps."""
        if cap is None or cap <= self.tokens or may_hide_output(call, candidates, self.thinkers):
            return cap
        return self.tokens

    def begin(self, admission: Admission, parts: Parts) -> None:
        """A stream was admitted, and held against these slices."""
        admission.parts = [each for each in parts if is_hard(each)]
        if not admission.parts:
            admission.paid_output = UNBOUND
        self._look_ahead(admission)

    def extend(self, admission: Admission, output_tokens: int) -> bool:
        """See `Gate.extend`."""
        if output_tokens > admission.most_output:
            raise PolicyDenied(f"The stream was cut: a policy allows no more than {admission.most_output} output tokens now.")
        if _is_paid(admission) or not admission.is_open:
            self._look_ahead(admission)
            return True
        return self._hold(admission, self._next(admission, output_tokens))

    async def extend_shared(self, admission: Admission, output_tokens: int) -> None:
        """See `Gate.extend_shared`."""
        failed: GatewayError = StoreUnavailable("The stream was cut: its budget is contended.", retry_after_s=1)
        for _ in range(MOST_REFILLS):
            if self.extend(admission, output_tokens):
                return
            wanted = self._cost(admission, self._next(admission, output_tokens))
            try:
                await self._slices.refill_up_to(_held(admission), admission.parts, wanted, _NEXT)
            except StoreUnavailable as error:  # what is held lasts a little longer
                failed = error
                break
            except BudgetExceeded as error:
                failed = BudgetExceeded(f"The stream was cut: {error.message[:1].lower()}{error.message[1:]}")
                await self._slices.refill_all(admission.parts)
                self._hold_the_last(admission, output_tokens)
                break
        if output_tokens > admission.paid_output:
            raise failed
        admission.extend_at = min(admission.paid_output, admission.most_output) + 1

    async def adapt(self, admission: Admission, principal: Principal, output_tokens: int) -> None:
        """The stream's principal may have other budgets now: hold against those what it has come to.

        Raises:
            BudgetExceeded: One of them does not pay for it.
            PriceUnknown: There is a budget now, and nobody knows what the stream costs.
            StoreUnavailable: The database did not answer.
        """
        hard = [each for each in self._slices.parts(principal) if is_hard(each)]
        if [claim for _, claim in hard] == [claim for _, claim in admission.parts]:
            return
        before = {(claim.account, claim.budget.period): part for part, claim in admission.parts}
        # A hold settles in the period it was taken in: a budget that was held of keeps the slice it was held of.
        parts = [(before.get((claim.account, claim.budget.period), part), claim) for part, claim in hard]
        if not hard:
            admission.parts, admission.paid_output = parts, UNBOUND
            return self._look_ahead(admission)
        payable((admission.deployment,), admission.call.peek)
        await self._slices.check_lowered(parts)
        if not before:
            admission.parts, admission.paid_output, admission.most_microusd = parts, output_tokens, 0
            admission.extend_at = 0
            return await self.extend_shared(admission, output_tokens)
        while admission.is_open and not self._slices.hold_up_to(_held(admission), parts, admission.most_microusd):
            await self._slices.refill_up_to(_held(admission), parts, admission.most_microusd, _SO_FAR)
        admission.parts = parts

    def restrict(self, admission: Admission, most_output: int) -> None:
        """From now on the stream may come to so many output tokens."""
        admission.most_output = most_output
        self._look_ahead(admission)

    def _next(self, admission: Admission, output_tokens: int) -> int:
        step = self.tokens * admission.call.peek.choices
        return min(_bound(admission), max(admission.paid_output, output_tokens) + step)

    def _look_ahead(self, admission: Admission) -> None:
        """Ask again half a step before what is held is used up."""
        ahead = self.tokens * admission.call.peek.choices // 2
        paid = UNBOUND if _is_paid(admission) else admission.paid_output - ahead
        admission.extend_at = min(paid, admission.most_output + 1)

    def _hold(self, admission: Admission, output_tokens: int) -> bool:
        """Hold for so many output tokens. False: the slices of this process do not suffice."""
        wanted = self._cost(admission, output_tokens)
        if not admission.is_open:
            return True
        if not self._slices.hold_up_to(_held(admission), admission.parts, wanted):
            return False
        admission.paid_output = output_tokens
        admission.most_microusd = max(admission.most_microusd, wanted)
        self._look_ahead(admission)
        return True

    def _hold_the_last(self, admission: Admission, output_tokens: int) -> None:
        """Hold as much of a step as the budgets still pay for."""
        peek = admission.call.peek
        most = self._slices.within_reach(_held(admission), admission.parts) - _failed(admission)
        price = admission.deployment.price or FREE
        output = price.affordable_output(most, used_by(peek, most_input(peek)))
        if output is not None and output > admission.paid_output:
            self._hold(admission, min(output, self._next(admission, output_tokens)))

    def _cost(self, admission: Admission, output_tokens: int) -> int:
        """The most the stream costs with so many output tokens, in micro-dollars."""
        peek = admission.call.peek
        price, tools = admission.deployment.price or FREE, int(bool(fee_tool(peek)))
        return price.bound(most_input(peek), output_tokens, peek.requests, tier_of(peek), tools) + _failed(admission)


def _held(admission: Admission) -> Held:
    if admission.held is None:
        admission.held = []
    return admission.held


def _is_paid(admission: Admission) -> bool:
    """Whether what is held pays for all that the stream may come to."""
    return admission.paid_output >= _bound(admission)


def _bound(admission: Admission) -> int:
    """Output tokens that the stream can come to, as far as its provider was told."""
    return UNBOUND if admission.cap is None else admission.cap * admission.call.peek.choices


def _failed(admission: Admission) -> int:
    """What attempts cost that did not come to answer."""
    return sum(bill(admission.call, failure.deployment, failure.usage)[1] for failure in admission.failures)
