"""Every path and who answers it: exact ones, ones that begin so, and sockets; what is not here is FastAPI's.

Faces that are not OpenAI's are loaded by their first request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from aldgate.gate.principals.clients import Clients
from aldgate.ports import Endpoint
from aldgate.registry import Registry
from aldgate.surfaces.calls.background import BackgroundFace
from aldgate.surfaces.calls.face import Doors
from aldgate.surfaces.calls.faces import Faces
from aldgate.surfaces.dialects import DIALECTS
from aldgate.surfaces.health import HealthFace, Probes
from aldgate.surfaces.http.asgi import Handler
from aldgate.surfaces.http.front import Front
from aldgate.surfaces.http.later import Later
from aldgate.surfaces.http.origins import Origins
from aldgate.surfaces.jobs.doors import JobDoors
from aldgate.surfaces.models.face import PREFIX as MODELS
from aldgate.surfaces.models.face import ModelsFace, by_client
from aldgate.surfaces.paths import BATCHED, CALLS, EXPLAIN, GENERATE, MESSAGES, RESPONSES
from aldgate.surfaces.people.oidc import PATH as OIDC
from aldgate.surfaces.people.oidc import OidcFace
from aldgate.surfaces.responses.shelf import Shelf

SURFACES: Registry[Any] = Registry(
    "surface",
    {
        "anthropic": "aldgate.surfaces.calls.anthropic:AnthropicFace",
        "api": "aldgate.surfaces.api:Api",
        "call_jobs": "aldgate.surfaces.jobs.calls:CallJobsFace",
        "explain": "aldgate.surfaces.explain:ExplainFace",
        "gemini": "aldgate.surfaces.calls.gemini:GeminiFace",
        "generate": "aldgate.surfaces.jobs.generate:GenerateFace",
        "job-socket": "aldgate.surfaces.queued.socket:JobSocket",
        "ollama": "aldgate.surfaces.calls.ollama:OllamaFace",
        "prompts": "aldgate.surfaces.calls.prompts:PromptFace",
        "responses": "aldgate.surfaces.responses.api:ResponsesApi",
    },
)
"""Faces that are loaded by their first request: FastAPI is a third of the start and 15 MB."""

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
"""All that is below Gemini's versions is its own to answer, what is not there too."""


def batch_endpoint(doors: Doors, shelf: Shelf, path: str) -> Endpoint:
    """What is behind one of `BATCHED`."""
    if path == RESPONSES:
        memory = SURFACES.load("responses")(doors, shelf).face
        return Endpoint(DIALECTS.load("responses"), BATCHED[path], memory)
    return Endpoint(DIALECTS.load("openai"), BATCHED[path])


def health_paths(health: HealthFace) -> dict[tuple[str, str], Handler]:
    """What probes and scrapers ask, on every listener."""
    return {
        **probe_paths(health),
        ("GET", "/health/upstreams"): health.upstreams,
        ("GET", "/metrics"): health.metrics,
    }


def probe_paths(probes: Probes) -> dict[tuple[str, str], Handler]:
    """What probes ask of any process."""
    ready = {(method, path): probes.ready for method in ("GET", "HEAD") for path in ("/ready", "/readyz")}
    return {
        ("GET", "/health"): probes.health,
        ("HEAD", "/health"): probes.health,
        ("GET", "/version"): probes.version,
        **ready,
    }


def every_path(
    doors: Doors,
    shelf: Shelf,
    health: HealthFace,
    clients: Clients,
    oidc: OidcFace,
    rest: Callable[[], Handler],
    watching: Callable[[], Handler],
    making: JobDoors,
    origins: Origins = Origins(),
) -> Front:
    """The entry of a listener that serves everything.

    `rest` makes FastAPI's application when somebody needs it, and `watching` what lets jobs be watched.
    """
    faces = Faces(doors)
    begin = cache(lambda: SURFACES.load("call_jobs")(making))
    in_background = partial(BackgroundFace, DIALECTS.load("openai"), doors, begin=begin)
    models = ModelsFace(doors.gate, doors.identity, int(time.time()))
    gemini = Later(lambda: SURFACES.load("gemini")(doors).serve)
    ollama = _Group(lambda: SURFACES.load("ollama")(doors).handlers)
    anthropic = _Group(lambda: SURFACES.load("anthropic")(doors).handlers)
    responses = _Group(lambda: SURFACES.load("responses")(doors, shelf).handlers)
    exact: dict[tuple[str, str], Handler] = {
        ("POST", EXPLAIN): Later(lambda: SURFACES.load("explain")(doors, shelf).serve),
        **{("POST", path): faces.serving(dialect, operation) for path, dialect, operation in CALLS},
        **{("POST", path): in_background(path).handler(operation) for path, dialect, operation in CALLS if dialect == "openai"},
        ("POST", GENERATE): Later(lambda: SURFACES.load("prompts")(doors, clients).serving("chat")),
        ("POST", "/v1/generate"): Later(lambda: SURFACES.load("generate")(doors, making).handler()),
        ("POST", MESSAGES): anthropic["messages"],
        ("POST", f"{MESSAGES}/count_tokens"): anthropic["count_tokens"],
        ("POST", RESPONSES): responses["create"],
        ("POST", f"{RESPONSES}/input_tokens"): responses["input_tokens"],
        ("POST", f"{RESPONSES}/compact"): responses["compact"],
        ("GET", "/api/tags"): ollama["tags"],
        ("POST", "/api/show"): ollama["show"],
        ("GET", "/api/ps"): ollama["ps"],
        ("GET", "/api/version"): ollama["version"],
        ("HEAD", "/api/version"): ollama["version"],
        ("GET", "/v1/models"): by_client(models.list, gemini),
        ("GET", OIDC): oidc.list,
        ("HEAD", "/"): health.here,
        ("GET", "/"): health.here,
        ("GET", "/v1beta/models"): gemini,
        ("GET", "/v1alpha/models"): gemini,
        **health_paths(health),
    }
    prefixes: list[tuple[str, str, Handler]] = [
        ("GET", MODELS, by_client(models.get, gemini)),
        ("POST", MODELS, gemini),
        ("GET", f"{OIDC}/", oidc.serve),
        *((method, f"/{version}/", gemini) for version in ("v1beta", "v1alpha") for method in _METHODS),
        ("GET", f"{RESPONSES}/", responses["get"]),
        ("DELETE", f"{RESPONSES}/", responses["delete"]),
        ("POST", f"{RESPONSES}/", responses["cancel"]),
    ]
    jobs = Later(watching)
    sockets = {RESPONSES: responses["connect"], "/ws/jobs/": jobs, "/jobs/ws/jobs/": jobs}
    return Front(exact, prefixes, Later(rest), doors.gate.new_id, sockets, origins)


class _Group:
    """Handlers by name that are loaded together, by the first request to any of them."""

    def __init__(self, load: Callable[[], dict[str, Handler]]) -> None:
        self._load = cache(load)

    def __getitem__(self, name: str) -> Handler:
        return lambda scope, receive, send: self._load()[name](scope, receive, send)
