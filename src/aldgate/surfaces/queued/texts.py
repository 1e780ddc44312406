"""Who answers prompts at `/llm/generate`, and the models that `/llm/models` lists."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from aldgate.core.defaults import chats
from aldgate.core.errors import UpstreamError
from aldgate.core.generation import EngineModel
from aldgate.core.principals import Principal
from aldgate.core.routes import Deployment
from aldgate.gate.policies.permission import shown
from aldgate.jobs.making import Jobs
from aldgate.making import Engine
from aldgate.surfaces.models.face import listed
from aldgate.surfaces.queued.called import knows, model_of, usual
from aldgate.surfaces.queued.choosing import PATIENCE_S, named

Object = dict[str, Any]


class Writer(NamedTuple):
    """Who answers a prompt: an engine, or one of the models that the gate calls."""

    is_engine: bool
    name: str


def writer(jobs: Jobs, engine: str, model: str) -> Writer:
    """Whom a request means. An engine goes first, and a model that no provider has is the first engine's.

    Raises:
        GatewayError: As `choosing.named`; or nobody is named, and there is nobody.
    """
    catalogue = jobs.calls.catalogue
    engines = {name: each for name, each in jobs.engines.items() if "chat" in each.operations}
    if engine and engine not in engines and (name := model_of(catalogue, engine, model)):
        return Writer(False, name)
    if engine:
        return Writer(True, named(jobs, "chat", engine, model))
    if any(model.startswith((f"{name}/", f"{name}:")) for name in engines):
        return Writer(True, model)
    if not engines or (model and knows(catalogue, model)):
        return Writer(False, model or usual(catalogue))
    first = next(iter(engines))
    return Writer(True, f"{first}/{model}" if model else first)


async def models(jobs: Jobs, who: Principal) -> Object:
    """What may be asked: what engines have installed, loaded or not, and what providers have. `unavailable`: who is away.

    Nothing is loaded by it.
    """
    engines = [each for each in jobs.engines.values() if "chat" in each.operations]
    found = await asyncio.gather(*map(_installed, engines))
    rows: list[Object] = []
    for engine, installed in zip(engines, found, strict=True):
        rows += [_row(engine, each) for each in installed or () if _may(who, engine, each)]
    rows += [_called(name) for name, able in listed(jobs.calls.catalogue, who.rights) if any(map(chats, able))]
    return {"models": rows, "unavailable": [each.name for each, has in zip(engines, found, strict=True) if has is None]}


async def _installed(engine: Engine) -> tuple[EngineModel, ...] | None:
    """None: it does not answer."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            state = await engine.state()
    except (UpstreamError, TimeoutError):
        return None
    return tuple(each for each in state.models if chats(_deployment(engine, each)))


def _may(who: Principal, engine: Engine, model: EngineModel) -> bool:
    deployment = _deployment(engine, model)
    return bool(shown(who.rights, deployment.id, (deployment,)))


def _deployment(engine: Engine, model: EngineModel) -> Deployment:
    return Deployment(f"{engine.name}/{model.name}", engine.name, model.name, None, "discovered", model.operations or None)


def _row(engine: Engine, model: EngineModel) -> Object:
    size = None if model.size_mb is None else f"{model.size_mb} MB"
    return {
        "name": model.name,
        "id": f"{engine.name}/{model.name}",
        "size": size,
        "processor": None,
        "service": engine.name,
        "loaded": model.is_loaded,
    }


def _called(name: str) -> Object:
    return {"name": name, "id": name, "size": None, "processor": None, "service": name.partition("/")[0], "loaded": None}
