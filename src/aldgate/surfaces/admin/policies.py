"""Policies as people write them over the API: `10.00/month`, `30d`, lists; read, checked, changed and shown.

What is shown can be sent back as it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, cast

import msgspec

from aldgate.core.budgets import Budget
from aldgate.core.errors import InvalidRequest
from aldgate.core.levels import ALL_SCOPES
from aldgate.core.limits import Limits
from aldgate.core.policies import Policy
from aldgate.core.terms import format_usd, parse_budget, parse_duration
from aldgate.gate.policies.parameters import NOT_PARAMETERS, OUTPUT_CAPS

GREATEST = 10**12
_POSITIVE = ("max_input_tokens", "max_output_tokens", "retention_s")


class PolicyForm(Policy, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A policy as it is written down. A field that is left out allows all that the levels above it do."""

    budgets: tuple[str | Budget, ...] = ()  # pyright: ignore[reportIncompatibleVariableOverride] - friendlier than what is kept
    """Dollars per period, as in `10.00/month`; ` soft` behind it holds estimates. One for each period at the most."""
    expires_at: float | str | None = None  # pyright: ignore[reportIncompatibleVariableOverride] - the same
    """A time in ISO 8601, or Unix seconds, from which on nothing is allowed."""
    expires: str | None = None
    """The same as a length of time from now on, as in `30d`."""
    retention: str | None = None
    """`retention_s` as people write it, as in `30d`."""


def read_policy(said: PolicyForm | dict[str, Any] | None, param: str = "policy") -> Policy:
    """The policy that a form or a JSON object means; nothing said is nothing restricted.

    Raises:
        InvalidRequest: Names the field that is wrong, behind `param`.
    """
    try:
        form = said if isinstance(said, PolicyForm) else msgspec.convert(said or {}, PolicyForm)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        where = param + path.strip("`")
        raise InvalidRequest(f"{text} (`{where}`).", param=where) from None
    values = {name: getattr(form, name) for name in Policy.__struct_fields__}
    values["budgets"] = read_budgets(form.budgets, f"{param}.budgets")
    values["expires_at"] = _moment(form.expires_at, f"{param}.expires_at")
    if form.expires is not None:
        values["expires_at"] = time.time() + read_duration(form.expires, f"{param}.expires")
    if form.retention is not None:
        values["retention_s"] = float(read_duration(form.retention, f"{param}.retention"))
    policy = Policy(**values)
    _check(policy, param)
    return policy


def _check(policy: Policy, param: str) -> None:
    _check_names(policy, param)
    if policy.scopes is not None:
        read_scopes(policy.scopes, f"{param}.scopes")
    for name, limit in msgspec.structs.asdict(policy.limits).items():
        _check_positive(limit, f"{param}.limits.{name}")
    for name in _POSITIVE:
        _check_positive(getattr(policy, name), f"{param}.{name}")
    for place, network in enumerate(policy.networks or ()):
        try:
            ip_network(network, strict=False)
        except ValueError:
            where = f"{param}.networks[{place}]"
            raise InvalidRequest(f"Write an address or a network, as in `10.0.0.0/8` (`{where}`).", param=where) from None


def _check_names(policy: Policy, param: str) -> None:
    """A name that no request would be held to is an error: a restriction that does nothing must not look like one."""
    for field, without in (
        ("parameter_caps", NOT_PARAMETERS | OUTPUT_CAPS),
        ("parameter_defaults", NOT_PARAMETERS),
        ("forced_parameters", NOT_PARAMETERS),
    ):
        for name in getattr(policy, field):
            if name in without:
                where = f"{param}.{field}"
                instead = "; `max_output_tokens` of the policy bounds answers" if name in OUTPUT_CAPS else ""
                text = f"`{name[:100]}` is none of the parameters that policies set{instead} (`{where}`)."
                raise InvalidRequest(text, param=where)


def _check_positive(value: float | None, where: str) -> None:
    if value is not None and not 1 <= value <= GREATEST:
        raise InvalidRequest(f"This is at least 1 and at most 10^12 (`{where}`).", param=where)


def read_scopes(wanted: Iterable[str], param: str = "scopes") -> frozenset[str]:
    """Scopes that there are.

    Raises:
        InvalidRequest: One is not, or there is none at all.
    """
    scopes = frozenset(wanted)
    if not scopes or not scopes <= ALL_SCOPES:
        raise InvalidRequest(f"Scopes are {', '.join(sorted(ALL_SCOPES))} (`{param}`).", param=param)
    return scopes


def read_budgets(wanted: Iterable[str | Budget], param: str = "budgets") -> tuple[Budget, ...]:
    """Budgets, at most one for each period.

    Raises:
        InvalidRequest: One is not written as one, or a period stands twice.
    """
    found: dict[str, Budget] = {}
    for place, each in enumerate(wanted):
        where = f"{param}[{place}]"
        budget = read_budget(each, where)
        if found.setdefault(budget.period, budget) is not budget:
            raise InvalidRequest(f"There are two budgets per {budget.period} (`{where}`).", param=where)
    return tuple(found.values())


def read_budget(text: str | Budget, param: str = "budget") -> Budget:
    """One budget.

    Raises:
        InvalidRequest: It is not written as one.
    """
    try:
        written = text if isinstance(text, str) else write_budget(text)  # its bounds are those of a written one
        return parse_budget(written)
    except ValueError as error:
        raise InvalidRequest(f"`{param}`: {error}.", param=param) from None


def write_budget(budget: Budget) -> str:
    """A budget as people write it."""
    return f"{format_usd(budget.microusd)}/{budget.period}{' soft' if budget.is_soft else ''}"


def read_duration(text: str, param: str) -> int:
    """Seconds of a length of time.

    Raises:
        InvalidRequest: It is not written as one.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidRequest(f"`{param}`: {error}.", param=param) from None


def _moment(at: float | str | None, param: str) -> float | None:
    if not isinstance(at, str):
        return at
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        raise InvalidRequest(f"Write a time as in `2027-01-31T12:00:00Z` (`{param}`).", param=param) from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def iso(at: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()


def show_policy(policy: Policy) -> dict[str, Any]:
    """A policy as the API shows it: what is left out is not restricted."""
    shown: dict[str, Any] = msgspec.to_builtins(policy, order="deterministic")
    if policy.budgets:
        shown["budgets"] = [write_budget(budget) for budget in policy.budgets]
    if policy.expires_at is not None:
        shown["expires_at"] = iso(policy.expires_at)
    return shown


def merged(known: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`known` with the changes of a JSON Merge Patch: null takes a field away (RFC 7396)."""
    result = dict(known)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            before = result.get(name)
            inner = cast(dict[str, Any], before) if isinstance(before, dict) else {}
            result[name] = merged(inner, cast(dict[str, Any], value))
        else:
            result[name] = value
    return result


def changed(policy: Policy, patch: dict[str, Any], param: str = "policy") -> Policy:
    """A policy with the changes of a JSON Merge Patch.

    Raises:
        InvalidRequest: As `read_policy`.
    """
    return read_policy(merged(show_policy(policy), patch), param)


def with_limits(policy: Policy, limits: Limits) -> Policy:
    """The policy with these limits where they say something."""
    said = {name: value for name, value in msgspec.structs.asdict(limits).items() if value is not None}
    return msgspec.structs.replace(policy, limits=msgspec.structs.replace(policy.limits, **said)) if said else policy
