"""The `[routes.NAME]` tables, and the plan that each becomes once its names are resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from aldgate.core.errors import ModelNotFound
from aldgate.core.limits import UNLIMITED, Limits
from aldgate.core.routes import Plan, Route, Seat, Stage, Strategy

Limit = Annotated[int, Meta(ge=1, le=10**12)]


class DeploymentEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of a route's deployments with the route's word on it: `{model = "azure/gpt-4.1", weight = 3}`."""

    model: str
    """A model's name, best as `provider/model`."""
    weight: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    """Share of the calls under `weighted`; under other strategies, of those that they hold equal."""
    priority: Annotated[int, Meta(ge=0, le=1_000)] = 0
    """Lower numbers are tried first, whatever the strategy; it decides among equal numbers."""
    rpm: Limit | None = None
    """Requests per minute that the gate sends there."""
    tpm: Limit | None = None
    """Tokens per minute."""
    concurrency: Limit | None = None
    """Calls under way there at once."""

    @property
    def limits(self) -> Limits:
        """What the gate may send there over time."""
        return Limits(rpm=self.rpm, tpm=self.tpm, concurrency=self.concurrency)


class RouteEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A name that callers may ask for, and several deployments behind it."""

    deployments: Annotated[tuple[str | DeploymentEntry, ...], Meta(min_length=1)]
    """Names of models, or tables of `model`, `weight`, `priority`, `rpm`, `tpm` and `concurrency`."""
    rpm: Limit | None = None
    """Requests per minute for this name, of all callers together."""
    tpm: Limit | None = None
    """Tokens per minute, likewise."""
    tpd: Limit | None = None
    """Tokens per day, likewise."""
    concurrency: Limit | None = None
    """Calls under way at once, likewise."""
    strategy: Strategy = "priority"
    """Which comes first: `priority` (the order given), `weighted`, `lowest-latency`, `lowest-cost`, `least-busy`."""
    fallbacks: tuple[str, ...] = ()
    """Models or routes to turn to, in this order, when all deployments failed in a way that another may not."""
    context_fallbacks: tuple[str, ...] = ()
    """Those to turn to when the prompt is too long for the model."""
    filter_fallbacks: tuple[str, ...] = ()
    """Those to turn to when a provider's content filter refused."""
    retries: Annotated[int, Meta(ge=0, le=10)] = 2
    """How often a deployment that was away or overloaded is asked again once there is no other left."""
    hedge_after_ms: Annotated[int, Meta(ge=1, le=600_000)] | None = None
    """Ask a second deployment as well when the first has not begun to answer by then; the first to begin wins."""
    deadline_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    """Seconds from the call's begin by which some deployment must have begun to answer."""
    cache: str = ""
    """How long answers to the same request of the same key are kept and given again, as in `10m`; empty keeps none."""


Resolve = Callable[[str], Route]
"""Finds the route of a name, or raises `ModelNotFound`."""


def limits_of(entries: Iterable[RouteEntry], resolve: Resolve) -> dict[str, Limits]:
    """What may be sent to each deployment, by its id. Where several routes say something, all of it holds."""
    limits: dict[str, Limits] = {}
    for entry in entries:
        for each in entry.deployments:
            if isinstance(each, DeploymentEntry) and not each.limits.is_empty:
                try:
                    (deployment,) = resolve(each.model).deployments
                except ModelNotFound:
                    continue
                limits[deployment.id] = tightest(limits.get(deployment.id, UNLIMITED), each.limits)
    return limits


def stage_of(name: str, entry: RouteEntry, resolve: Resolve, problems: list[str]) -> Stage:
    """The deployments of a route's table; those that cannot be found are put down as problems."""
    seats: list[Seat] = []
    for each in entry.deployments:
        said = DeploymentEntry(model=each) if isinstance(each, str) else each
        try:
            found = resolve(said.model).deployments
        except ModelNotFound as error:
            problems.append(f"route `{name}`: {error.message}")
            continue
        seats += [Seat(deployment, said.weight, said.priority) for deployment in found]
    return Stage(tuple(seats), entry.strategy)


def plan_of(
    name: str, entry: RouteEntry, stages: Mapping[str, Stage], resolve: Resolve, limits: Mapping[str, Limits], problems: list[str]
) -> Plan:
    """The plan of a route whose own stage is in `stages`, where those of other routes are too."""

    def fallbacks(names: tuple[str, ...]) -> tuple[Stage, ...]:
        found: list[Stage] = []
        for each in names:
            if each in stages:
                found.append(stages[each])
                continue
            try:
                found.append(Stage(tuple(map(Seat, resolve(each).deployments))))
            except ModelNotFound as error:
                problems.append(f"route `{name}`: {error.message}")
        return tuple(found)

    plan = Plan(
        name=name,
        own_limits=Limits(rpm=entry.rpm, tpm=entry.tpm, tpd=entry.tpd, concurrency=entry.concurrency),
        stage=stages[name],
        fallbacks=fallbacks(entry.fallbacks),
        context_fallbacks=fallbacks(entry.context_fallbacks),
        filter_fallbacks=fallbacks(entry.filter_fallbacks),
        retries=entry.retries,
        hedge_after_s=entry.hedge_after_ms / 1000 if entry.hedge_after_ms else None,
        deadline_s=entry.deadline_s,
    )
    return replace(plan, limits={each.id: limits[each.id] for each in plan.deployments if each.id in limits})


def tightest(one: Limits, other: Limits) -> Limits:
    """What both allow."""
    if one == UNLIMITED or other == UNLIMITED:
        return one if other == UNLIMITED else other
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in Limits.__struct_fields__}
    return Limits(**{name: min((each for each in pair if each is not None), default=None) for name, pair in pairs.items()})
