"""Budgets as calls meet them: what is claimed of which, how each stands, and how a refusal is put into words."""

from typing import NamedTuple

import msgspec

from aldgate.core.budgets import Budget
from aldgate.core.errors import BudgetExceeded
from aldgate.core.prices import MILLION
from aldgate.core.principals import Principal


class Claim(NamedTuple):
    """A budget that a call is held against. `whose` names its account to callers, empty where it is the caller's own."""

    account: str
    budget: Budget
    whose: str = ""


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What a call may cost: at the most, which hard budgets hold, and likely, which soft ones do. In micro-dollars.

    `what` costs that, in words for who is refused it. Of a stream that reserves in steps it is the first: `paid_output` tokens.
    """

    most: int
    likely: int
    what: str = "This call"
    paid_output: int | None = None

    def of(self, budget: Budget) -> int:
        """What is held of this budget."""
        return self.likely if budget.is_soft else self.most


class Purse(msgspec.Struct, frozen=True):
    """How a budget stands, in micro-dollars, for one process.

    Attributes:
        ends_at: Unix seconds; None: never.
        held: By calls under way in this process.
        at_hand: Of its slice, neither spent nor held.
        free: What the database would grant.
        refused: What it said when it last granted nothing, if that was just now: until it is old, nobody asks again.
    """

    claim: Claim
    period: str
    ends_at: float | None
    held: int
    at_hand: int
    free: int
    refused: int | None

    @property
    def left(self) -> int:
        """What calls may still be held for."""
        return self.at_hand + self.free

    @property
    def budget(self) -> Budget:
        """What it is of."""
        return self.claim.budget

    def fits(self, cost: Cost) -> bool:
        """Whether a call of so much would be let through."""
        microusd = cost.of(self.budget)
        is_refused = self.refused is not None and self.at_hand + self.refused < microusd
        return self.at_hand >= microusd or (not is_refused and self.left >= microusd)

    def exceeded(self, cost: Cost) -> BudgetExceeded:
        """The refusal of a call of so much."""
        return exceeded(self.claim, cost, self.left, self.held)


def claims_of(principal: Principal) -> list[Claim]:
    """The budgets of all levels of a principal."""
    own = principal.levels[-1]
    return [
        Claim(level.account, budget, "" if level is own else str(level))
        for level in principal.levels
        for budget in level.policy.budgets
    ]


def exceeded(claim: Claim, cost: Cost, free: int, held: int) -> BudgetExceeded:
    """The refusal of what does not fit a budget."""
    under_way = f", and {_usd(held)} is held by calls under way" if held else ""
    need, left = _usd(cost.of(claim.budget)), _usd(max(0, free))
    return BudgetExceeded(f"{cost.what} may cost up to {need}, but only {left} is left of the {named(claim)}{under_way}.")


def named(claim: Claim) -> str:
    """A budget as callers are told of it."""
    budget = claim.budget
    which = f"total budget of {_usd(budget.microusd)}"
    if budget.period != "total":
        which = f"budget of {_usd(budget.microusd)} per {budget.period}"
    return f"{which} of {claim.whose}" if claim.whose else which


def _usd(microusd: int) -> str:
    dollars, rest = divmod(microusd, MILLION)
    return f"${dollars}.{rest:06d}".rstrip("0").ljust(len(str(dollars)) + 4, "0")
