"""The frozen catalogue: which names callers may ask for, and the deployments behind them."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Literal

import msgspec

from aldgate.core.errors import ModelNotFound
from aldgate.core.levels import Operation
from aldgate.core.limits import UNLIMITED, Limits
from aldgate.core.prices import Price

Origin = Literal["file", "environment", "discovered", "builtin"]
Strategy = Literal["priority", "weighted", "lowest-latency", "lowest-cost", "least-busy"]
Kind = Literal["listed id", "alias", "route", "standing name"]
"""Why there is a route: a model is listed, or somebody configured an alias or a route, or the name needs no configuration."""
Rule = Literal["listed id", "alias", "route", "standing name", "bare name", "provider:model", "other name", "unlisted", "no name"]
"""How a name found its route; `other name` is one that the provider has for its model."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model besides its price. None and empty: nobody said.

    Attributes:
        context_window: Most tokens of input and output together.
        max_output: Most output tokens of one answer.
        can: Capabilities it has: `tools`, `vision`, `audio`, `documents`, `reasoning`, `json_schema`, `caching`.
        cannot: Those it is known not to have.
        ends_on: ISO date on which the provider stops serving it.
        is_deprecated: It should no longer be begun with.
        responses: `only`: it chats in OpenAI's Responses API alone; `no`: it does not, though its provider speaks that.
        residency: Regions that its data may come to, such as `eu`.
    """

    context_window: int | None = None
    max_output: int | None = None
    can: frozenset[str] = frozenset()
    cannot: frozenset[str] = frozenset()
    ends_on: str | None = None
    is_deprecated: bool = False
    responses: Literal["only", "no"] | None = None
    residency: frozenset[str] = frozenset()

    def over(self, others: "Facts") -> "Facts":
        """These facts, and where they say nothing, the others."""
        return Facts(
            context_window=self.context_window or others.context_window,
            max_output=self.max_output or others.max_output,
            can=self.can | (others.can - self.cannot),
            cannot=self.cannot | (others.cannot - self.can),
            ends_on=self.ends_on or others.ends_on,
            is_deprecated=self.is_deprecated or others.is_deprecated,
            responses=self.responses or others.responses,
            residency=self.residency or others.residency,
        )


UNKNOWN = Facts()
DEFAULT_ALIASES: dict[Operation, str] = {"moderate": "moderation"}
"""What the alias of calls without a model is called, where it is not the operation's own name."""


class Deployment(msgspec.Struct, frozen=True):
    """A provider's model, ready to be called.

    Attributes:
        id: `provider/model`.
        backend: Name of the backend that runs it.
        model: What the provider calls it.
        price: None when nobody knows it.
        operations: None when the provider did not say; then any is tried.
        also: Other names that the provider has for it.
    """

    id: str
    backend: str
    model: str
    price: Price | None
    origin: Origin
    operations: frozenset[Operation] | None = None
    facts: Facts = UNKNOWN
    also: tuple[str, ...] = ()


class Seat(msgspec.Struct, frozen=True):
    """A deployment's place on a route: see `core.plans.DeploymentEntry`."""

    deployment: Deployment
    weight: int = 1
    priority: int = 0


class Stage(msgspec.Struct, frozen=True):
    """Deployments that are as good as each other, and how to choose among them."""

    seats: tuple[Seat, ...]
    strategy: Strategy = "priority"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a route's deployments are tried: see `core.plans.RouteEntry`. Fallbacks are stages, entered one after the other."""

    stage: Stage
    fallbacks: tuple[Stage, ...] = ()
    context_fallbacks: tuple[Stage, ...] = ()
    filter_fallbacks: tuple[Stage, ...] = ()
    takes_larger: bool = False
    """After a prompt that was too long, the stage goes on to its next deployment that is known to read more."""
    retries: int = 0
    hedge_after_s: float | None = None
    deadline_s: float | None = None
    name: str = ""
    """The route's."""
    own_limits: Limits = UNLIMITED
    """What all callers together may ask of it."""
    limits: dict[str, Limits] = {}
    """What the gate may send to each deployment, by its id, where anything was said."""

    @property
    def deployments(self) -> Iterator[Deployment]:
        """All that may come to answer, the route's own first."""
        for stage in (self.stage, *self.fallbacks, *self.context_fallbacks, *self.filter_fallbacks):
            for seat in stage.seats:
                yield seat.deployment


class Route(msgspec.Struct, frozen=True):
    """An ordered choice of deployments for one model name.

    Attributes:
        plan: How to choose and where to turn; None where there is one deployment and nothing was said of it.
        is_listed: `GET /v1/models` shows it.
    """

    name: str
    deployments: tuple[Deployment, ...]
    plan: Plan | None = None
    is_listed: bool = True
    kind: Kind = "listed id"


class Source(msgspec.Struct, frozen=True):
    """One provider or engine as the catalogue sees it.

    Attributes:
        accepts_any: Names outside `deployments` may be asked for as `provider/name` (its list is not known, or not complete).
        unlisted_price: Price of such names.
        known: Of such names, those that the operator says something of.
    """

    name: str
    deployments: tuple[Deployment, ...]
    origin: Origin
    accepts_any: bool = False
    unlisted_price: Price | None = None
    known: tuple[Deployment, ...] = ()

    def deployment(self, model: str) -> Deployment:
        """A model that is not listed."""
        return Deployment(f"{self.name}/{model}", self.name, model, self.unlisted_price, self.origin)


class Catalogue(msgspec.Struct, frozen=True):
    """One snapshot of everything that can be called. A change builds a new one and swaps it; calls keep theirs."""

    routes: Mapping[str, Route]
    """Every spelling a caller may use -> its route."""
    models: tuple[Deployment, ...]
    """What `GET /v1/models` lists, each once, in configuration order."""
    open_sources: Mapping[str, Source]
    """Providers that take names they did not list."""
    made: Mapping[str, str] = {}
    """Aliases of what engines make, which are no routes -> `engine/model`, or an engine."""

    def default(self, operation: Operation) -> Route:
        """The route of a call that names no model: the alias for its operation, else the first model that is for it.

        Raises:
            ModelNotFound: There is neither.
        """
        alias = DEFAULT_ALIASES.get(operation, operation)
        route = self.routes.get(alias)
        if route is not None:
            return route
        for deployment in self.models:
            if deployment.operations is not None and operation in deployment.operations:
                return Route(deployment.id, (deployment,))
        raise ModelNotFound(f"Name a `model`: there is no alias `{alias}`, and none is known to {operation}.", param="model")

    def resolve(self, name: str, *, tells_near: bool = True) -> Route:
        """Find the route for `name`: a name or alias first, then `provider:model`, then `provider/model`.

        Raises:
            ModelNotFound: Names the closest known models; not so without `tells_near`, to those who may not know of all.
        """
        route = self.routes.get(name)
        return route if route is not None else self._resolve_unlisted(name, tells_near)

    def _resolve_unlisted(self, name: str, tells_near: bool) -> Route:
        for separator in ":/":
            provider, found, model = name.partition(separator)
            source = self.open_sources.get(provider)
            if found and model and source:
                return Route(name, (source.deployment(model),))
        near = self.near(name) if tells_near else []
        hint = f" Did you mean {' or '.join(f'`{other}`' for other in near)}?" if near else ""
        shown = name if len(name) <= 100 else name[:100] + "..."
        raise ModelNotFound(f"The model `{shown}` does not exist.{hint} GET /v1/models lists what does.", param="model")

    def near(self, name: str) -> list[str]:
        """Up to three models whose names look like `name`, the likest first."""
        return get_close_matches(name, [deployment.id for deployment in self.models], n=3, cutoff=0.5)

    def rule(self, name: str) -> Rule:
        """How `name`, which `resolve` finds, leads to its route."""
        if not name:
            return "no name"
        route = self.routes.get(name)
        if route is None:
            return "unlisted"
        if name == route.name:
            return route.kind
        deployment = route.deployments[0]
        if name == deployment.model:
            return "bare name"
        return "provider:model" if name == f"{deployment.backend}:{deployment.model}" else "other name"
