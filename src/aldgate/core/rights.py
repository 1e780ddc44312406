"""Rights: what a principal may do, which is what every level of it allows. Worked out when a principal is, not per call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, reduce
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar

from aldgate.core.guardrails.kinds import Guardrail, united
from aldgate.core.levels import CALLER_SCOPES, Level
from aldgate.core.policies import Policy, matches
from aldgate.core.routes import Deployment

_T = TypeVar("_T")
_Number = TypeVar("_Number", int, float)
EXPECTED_OUTPUT = 512
"""Output tokens that are expected of a call that names no bound itself. Money is never guessed so."""


class Rights:
    """The intersection of the policies of `levels`, the outermost first.

    Numbers are the smallest of all levels', sets what all have in common; of names each level has its say, and a denial of any
    level wins. Of forced parameters the outermost level's holds.

    Attributes:
        scopes: Operations and the like.
        expected_output: Output tokens that a token limit expects of a call that names no bound itself: what a policy allows, or a
            modest guess, of which four fit the limits of its own level.
        has_budget: Some level has a budget; `has_soft_budget`: one that holds estimates.
        memo: What was worked out for a model's name; whoever keeps it there sees that it stays true.
        allowed_places: Paths and addresses that were let through, likewise.
        tells_names: Some level has a word on providers, models or residency.
        tells_places: Some level has a word on endpoints or networks.
        tells_parameters: Some level has a word on what stands in a request.
        expires_at: Unix seconds; None: never.
        guardrails: Those of all levels.
    """

    def __init__(self, levels: tuple[Level, ...]) -> None:
        policies = [level.policy for level in levels]
        self.levels = levels
        self.allowed_places: set[tuple[str, str]] = set()
        self.memo: dict[tuple[str, str], tuple[object, tuple[Deployment, ...]]] = {}
        scopes = _common(policy.scopes for policy in policies)
        self.scopes = CALLER_SCOPES if scopes is None else scopes
        self.max_input_tokens = _least(policy.max_input_tokens for policy in policies)
        self.max_output_tokens = _least(policy.max_output_tokens for policy in policies)
        self.expected_output = self.max_output_tokens or _guessed_output(policies[-1])
        self.retention_s = _least(policy.retention_s for policy in policies)
        self.expires_at = _least(policy.expires_at for policy in policies)
        self.residency = _common(policy.residency for policy in policies)
        self.parameter_caps = _least_of_each(policy.parameter_caps for policy in policies)
        self.forced_parameters = _first_of_each(policy.forced_parameters for policy in policies)
        self.parameter_defaults = _first_of_each(policy.parameter_defaults for policy in reversed(policies))
        self._tools = _said(policy.tools for policy in policies)
        self.guardrails = united(*(policy.guardrails for policy in policies))
        budgets = [budget for policy in policies for budget in policy.budgets]
        self.has_budget = bool(budgets)
        self.has_soft_budget = any(budget.is_soft for budget in budgets)
        self.tells_names = self.residency is not None or any(map(_tells_names, policies))
        self.tells_places = any(policy.endpoints is not None or policy.networks is not None for policy in policies)
        self.tells_parameters = bool(self.parameter_caps or self.forced_parameters or self.parameter_defaults or self._tools)

    def against_model(self, names: Iterable[str], deployment: Deployment) -> Level | None:
        """The outermost level that does not let `deployment` answer a call for a model of any of `names`; None: all do."""
        known = (*names, deployment.id, deployment.model)
        for level in self.levels:
            policy = level.policy
            if not _passes((deployment.backend,), policy.providers, policy.denied_providers):
                return level
            if not _passes(known, policy.models, policy.denied_models):
                return level
            tags = deployment.facts.residency
            if policy.residency is not None and not (tags and tags <= policy.residency):
                return level
        return None

    def against_name(self, name: str, provider: str) -> Level | None:
        """The outermost level that lets no deployment of this provider answer for `name`, whether or not there is one."""
        for level in self.levels:
            policy = level.policy
            if provider and not _passes((provider,), policy.providers, policy.denied_providers):
                return level
            names = (name, name.removeprefix(provider)[1:]) if provider else (name,)
            if not _passes(names, policy.models, policy.denied_models):
                return level
        return None

    def against_place(self, path: str, address: str) -> Level | None:
        """The outermost level that takes no call at `path`, or none from `address`."""
        for level in self.levels:
            policy = level.policy
            if policy.endpoints is not None and not matches(path, policy.endpoints):
                return level
            if policy.networks is not None and not _is_within(address, policy.networks):
                return level
        return None

    def against_tool(self, name: str) -> bool:
        """Whether some level lets no request bring this tool."""
        return any(not matches(name, allowed) for allowed in self._tools)

    def guarding(self, guardrail: Guardrail) -> Level | None:
        """The outermost level whose policy has this guardrail: the one that decides when it finds something."""
        return next((level for level in self.levels if guardrail in level.policy.guardrails), None)

    def says(self, field: str, value: object) -> Level | None:
        """The outermost level whose policy has this value for `field`: the one that decided."""
        return next((level for level in self.levels if getattr(level.policy, field) == value), None)


def _passes(names: Iterable[str], allowed: tuple[str, ...] | None, denied: tuple[str, ...]) -> bool:
    names = tuple(names)
    if any(matches(name, denied) for name in names):
        return False
    return allowed is None or any(matches(name, allowed) for name in names)


def _guessed_output(policy: Policy) -> int:
    tightest = min(policy.limits.tpm or 1 << 62, policy.limits.tpd or 1 << 62)
    return max(1, min(EXPECTED_OUTPUT, tightest // 4))


def _tells_names(policy: Policy) -> bool:
    return bool(policy.denied_models or policy.denied_providers) or policy.models is not None or policy.providers is not None


@lru_cache(16_384)
def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found  # a socket for both families shows 10.0.0.1 as ::ffff:10.0.0.1
    return any(mapped in ip_network(network, strict=False) for network in networks)


def _said(values: Iterable[_T | None]) -> list[_T]:
    return [value for value in values if value is not None]


def _common(sets: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    said = _said(sets)
    return reduce(frozenset[str].__and__, said) if said else None


def _least(numbers: Iterable[_Number | None]) -> _Number | None:
    return min(_said(numbers), default=None)


def _least_of_each(tables: Iterable[Mapping[str, float]]) -> dict[str, float]:
    least: dict[str, float] = {}
    for table in tables:
        for name, value in table.items():
            least[name] = min(value, least.get(name, value))
    return least


def _first_of_each(tables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    first: dict[str, Any] = {}
    for table in tables:
        first = {**table, **first}
    return first
