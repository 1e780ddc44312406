"""Joins everything that can be called into one catalogue."""

from collections.abc import Collection, Iterable, Mapping

from aldgate.core.defaults import Wanted, default_routes
from aldgate.core.errors import ModelNotFound
from aldgate.core.limits import Limits
from aldgate.core.plans import RouteEntry, limits_of, plan_of, stage_of
from aldgate.core.routes import Catalogue, Deployment, Plan, Route, Seat, Source, Stage


def build_catalogue(
    sources: Iterable[Source],
    aliases: Mapping[str, str],
    routes: Mapping[str, RouteEntry] = {},
    default: Wanted = Wanted(),
    engines: Collection[str] = (),
) -> tuple[Catalogue, list[str]]:
    """Join `sources`, `routes` and `aliases` into one catalogue.

    One spelling, one route, in this order: a configured route, a name that is listed (`provider/model`), a bare model name (of
    the first source that has it), an alias, `provider:model` or another name that the provider has for it, and the names that
    exist without configuration, of which `default` leads where it says. Returns the catalogue and, in words, each alias or route
    that leads nowhere or is shadowed. What is named after one of `engines` leads there, whatever that has.
    """
    problems: list[str] = []
    spelled, names, models, open_sources = _spellings(sources)
    plain = Catalogue(spelled | names, models, open_sources)
    limits = limits_of(routes.values(), plain.resolve)
    if limits:
        spelled, names = _limited(spelled, limits), _limited(names, limits)
    planned = _planned(routes, plain, limits, problems)
    named = Catalogue(spelled | names | planned, models, open_sources)
    aliased: dict[str, Route] = {}
    made: dict[str, str] = {}
    for alias, target in aliases.items():
        if alias in names or alias in planned:
            problems.append(f"alias `{alias}` is never used: `{(planned.get(alias) or names[alias]).name}` has that name")
        try:
            found = named.resolve(target)
            aliased[alias] = Route(alias, found.deployments, found.plan, kind="alias")
        except ModelNotFound as error:
            if any(target.partition(separator)[0] in engines for separator in "/:"):
                made[alias] = target
            else:
                problems.append(f"alias `{alias}`: {error.message}")
    known = Catalogue(spelled | aliased | names | planned, models, open_sources)
    return Catalogue({**default_routes(known, default, problems), **known.routes}, models, open_sources, made), problems


def _spellings(
    sources: Iterable[Source],
) -> tuple[dict[str, Route], dict[str, Route], tuple[Deployment, ...], dict[str, Source]]:
    """What sources offer: `provider:model` -> route, other names -> route, all models, and the sources that take any name."""
    listed: dict[str, Route] = {}
    spelled: dict[str, Route] = {}
    bare: dict[str, Route] = {}
    models: list[Deployment] = []
    open_sources: dict[str, Source] = {}
    for source in sources:
        if source.accepts_any:
            open_sources[source.name] = source
        for deployment in source.deployments:
            models.append(deployment)
            route = Route(deployment.id, (deployment,))
            listed[deployment.id] = spelled[f"{source.name}:{deployment.model}"] = route
            bare.setdefault(deployment.model, route)
            for other in deployment.also:
                for name in (other, f"{source.name}/{other}", f"{source.name}:{other}"):
                    spelled.setdefault(name, route)
        for deployment in source.known:
            listed[deployment.id] = spelled[f"{source.name}:{deployment.model}"] = Route(deployment.id, (deployment,))
    return spelled, bare | listed, tuple(models), open_sources


def _limited(routes: Mapping[str, Route], limits: Mapping[str, Limits]) -> dict[str, Route]:
    """The routes, with a plan for those whose deployment a configured route limits: a limit holds whoever asks."""
    return {
        name: Route(route.name, route.deployments, Plan(stage=Stage((Seat(only),)), limits={only.id: limits[only.id]}))
        if (only := route.deployments[0]).id in limits
        else route
        for name, route in routes.items()
    }


def _planned(
    routes: Mapping[str, RouteEntry], plain: Catalogue, limits: Mapping[str, Limits], problems: list[str]
) -> dict[str, Route]:
    stages = {name: stage_of(name, entry, plain.resolve, problems) for name, entry in routes.items()}
    planned: dict[str, Route] = {}
    for name, entry in routes.items():
        plan = plan_of(name, entry, stages, plain.resolve, limits, problems)
        if plan.stage.seats:
            planned[name] = Route(name, tuple(seat.deployment for seat in plan.stage.seats), plan, kind="route")
        else:
            problems.append(f"route `{name}`: none of its deployments exists")
    return planned
