"""Policies: what the holder of one level may do, as an operator writes it down."""

import re
from fnmatch import translate
from functools import lru_cache
from typing import Any

import msgspec

from aldgate.core.budgets import Budget
from aldgate.core.guardrails.kinds import Guardrail
from aldgate.core.limits import UNLIMITED, Limits


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one level allows. A field that is left out allows all that the levels above it do."""

    scopes: frozenset[str] | None = None
    """Operations, and what else a principal may do: see `principals.ALL_SCOPES`."""
    providers: tuple[str, ...] | None = None
    """Providers that may answer, by name; patterns with `*`, `?` and `[...]`, as in the fields below."""
    denied_providers: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    """Models that may be called: the name asked for, or the model that answers, with its provider or without."""
    denied_models: tuple[str, ...] = ()
    endpoints: tuple[str, ...] | None = None
    """Paths that may be called, such as `/v1/chat/*`."""
    max_input_tokens: int | None = None
    """Longest request, in tokens of four bytes."""
    max_output_tokens: int | None = None
    """Most output tokens of an answer; a call that asks for more gets this many."""
    parameter_caps: dict[str, float] = {}
    """Greatest value of a numeric parameter, such as `temperature`; a greater one is lowered to it."""
    parameter_defaults: dict[str, Any] = {}
    """Parameters of requests that do not give them."""
    forced_parameters: dict[str, Any] = {}
    """Parameters of every request, whatever it gives."""
    tools: tuple[str, ...] | None = None
    """Names of the tools that a request may bring; empty: none."""
    retention_s: float | None = None
    """Longest time for which files, artifacts and answers are kept."""
    networks: tuple[str, ...] | None = None
    """Addresses and networks (CIDR) that calls may come from."""
    residency: frozenset[str] | None = None
    """Regions that a model's data may stay in: each of the model's tags must be one of them, and it must have one."""
    expires_at: float | None = None
    """Unix seconds from which on nothing is allowed."""
    guardrails: tuple[Guardrail, ...] = ()
    """What looks at texts on their way; those of the levels above act first, and none of them can be taken away."""
    limits: Limits = UNLIMITED
    """Of the level: all that is below it counts together."""
    budgets: tuple[Budget, ...] = ()
    """Of the level, one for each period at the most."""


ANYTHING = Policy()


@lru_cache(4096)
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, globs)))


def matches(name: str, globs: tuple[str, ...]) -> bool:
    """Whether a name is one of `globs`."""
    return bool(globs) and _pattern(globs).match(name) is not None
