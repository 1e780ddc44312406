"""What an explanation tells: a decision and everything it was made from, for people and programs. It holds no secret."""

from __future__ import annotations

from typing import Literal

import msgspec

from aldgate.core.choice import Verdict as Readiness
from aldgate.core.errors import GatewayError
from aldgate.core.policies import Policy
from aldgate.core.principals import Operation, Principal
from aldgate.core.retry import Reason
from aldgate.core.routes import Facts, Rule, Strategy
from aldgate.core.terms import format_usd
from aldgate.limiter.memory import Remaining

Verdict = Literal["allowed", "denied"]


class Money(msgspec.Struct, frozen=True):
    """An amount, in micro-dollars and as people write it."""

    microusd: int
    usd: str


def money(microusd: int) -> Money:
    """An amount of micro-dollars."""
    return Money(microusd, format_usd(microusd))


class Denial(msgspec.Struct, frozen=True):
    """An error as a caller would get it."""

    code: str
    message: str
    status: int
    param: str | None = None
    retry_after_s: int | None = None


def denial(error: GatewayError, status: int) -> Denial:
    """What an error says; the status is the face's."""
    return Denial(error.code, error.message, status, error.param, error.retry_after_s)


class Who(msgspec.Struct, frozen=True):
    """A principal. `expires_at` in Unix seconds."""

    id: str
    name: str
    kind: str
    account: str
    scopes: list[str]
    expires_at: float | None


def who(principal: Principal) -> Who:
    """A principal as it is shown."""
    scopes = sorted(principal.rights.scopes)
    return Who(principal.id, principal.name, principal.kind, principal.account, scopes, principal.expires_at)


class LevelShown(msgspec.Struct, frozen=True):
    """A level that has a say in what the principal may do, and its policy."""

    kind: str
    id: str
    name: str
    policy: Policy


class PolicyShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the principal may do, which is what all its levels allow. `levels`: the outermost first."""

    scopes: list[str]
    levels: list[LevelShown]
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None


def policy_of(principal: Principal) -> PolicyShown:
    """A principal's policy as it is shown."""
    rights = principal.rights
    levels = [LevelShown(level.kind, level.account, level.name, level.policy) for level in principal.levels]
    return PolicyShown(sorted(rights.scopes), levels, rights.max_input_tokens, rights.max_output_tokens)


class ModelShown(msgspec.Struct, frozen=True):
    """The name that was asked for, and how it leads to a route; `near` are names that were perhaps meant."""

    asked: str
    matched: Rule | None
    near: list[str] = []


class PriceShown(msgspec.Struct, frozen=True):
    """Dollars per million tokens, and per million requests; None: as other input."""

    version: str
    input: str
    output: str
    cached: str | None
    cache_write: str | None
    request: str


class TranslationShown(msgspec.Struct, frozen=True):
    """What becomes of the request on its way to a deployment.

    Attributes:
        how: Its bytes pass through, or it is written anew.
        dialect: In which dialect it arrives there.
        left_out: Fields that would not.
        denial: Why it cannot be said there at all.
    """

    how: Literal["passes through", "translated"]
    dialect: str | None
    left_out: list[str] = []
    denial: Denial | None = None


class Candidate(msgspec.Struct, frozen=True, rename={"pros": "for", "cons": "against"}):
    """A deployment on the route.

    Attributes:
        verdict: `ready`, `unfit` (asked after those that are ready), `resting`, `limited`, or `out`: never asked for this call.
        order: Its place among those that would be asked; None: it would not be.
    """

    deployment: str
    provider: str
    verdict: Readiness | Literal["out"]
    order: int | None
    pros: list[str]
    cons: list[str]
    price: PriceShown | None
    facts: Facts
    translation: TranslationShown | None


class StageShown(msgspec.Struct, frozen=True):
    """Deployments that are as good as each other. `after`: what must have happened before they are asked."""

    strategy: Strategy
    candidates: list[Candidate]
    after: Reason | None = None


class RouteShown(msgspec.Struct, frozen=True):
    """Where a name leads: the route's own deployments, and those it falls back to."""

    name: str
    strategy: Strategy
    candidates: list[Candidate]
    fallbacks: list[StageShown]


class BudgetShown(msgspec.Struct, frozen=True):
    """A budget now.

    Attributes:
        level: Whose it is; empty: the principal's own.
        ends_at: Unix seconds at which the period is over.
        spent: With what other processes hold.
        held: By calls under way in this process.
        needed: The most that this call can cost, which must fit.
        cuts_output: It does not fit whole, and the call's output would be cut to what does.
    """

    level: str
    limit: Money
    period: str
    ends_at: float | None
    spent: Money
    held: Money
    free: Money
    needed: Money | None
    cuts_output: bool


class Estimate(msgspec.Struct, frozen=True):
    """What the call likely uses, and the most it can; None: nobody knows, or nothing bounds it.

    Attributes:
        limit_tokens: What it counts in token limits until it has ended.
        expected: At the deployment that would be asked first.
        most: At the dearest.
    """

    input_tokens: int
    most_input_tokens: int
    output_tokens: int
    most_output_tokens: int | None
    limit_tokens: int
    expected: Money | None
    most: Money | None


class Explanation(msgspec.Struct, frozen=True):
    """A decision.

    Attributes:
        denial: What the caller would get, the first of `reasons`.
        reasons: Everything that speaks against the call.
    """

    verdict: Verdict
    denial: Denial | None
    reasons: list[Denial]
    operation: Operation
    who: Who
    policy: PolicyShown
    model: ModelShown | None
    route: RouteShown | None
    limits: list[Remaining]
    budgets: list[BudgetShown]
    estimate: Estimate | None
    object: Literal["aldgate.explanation"] = "aldgate.explanation"
