"""What a deployment is spoken to in: what its backend speaks, unless its model is to be had in some of that alone."""

from __future__ import annotations

from collections.abc import Mapping

from aldgate.core.routes import Deployment
from aldgate.ports import Backend, UpstreamDialect

_RESPONSES = "responses"


def spoken(backend: Backend, deployment: Deployment) -> Mapping[str, UpstreamDialect]:
    """The dialects, by name, the one that others are translated to first."""
    wanted = deployment.facts.responses
    if wanted is None:
        return backend.dialects
    return {name: dialect for name, dialect in backend.dialects.items() if _is_spoken(dialect, is_only=wanted == "only")}


def _is_spoken(dialect: UpstreamDialect, *, is_only: bool) -> bool:
    return "chat" not in dialect.operations or dialect.name.startswith(_RESPONSES) == is_only
