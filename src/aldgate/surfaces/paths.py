"""The paths that make calls: which dialect is spoken there, and which operation it asks for."""

from __future__ import annotations

from typing import Any, cast

from aldgate.core.calls import Named
from aldgate.core.principals import Operation
from aldgate.surfaces.asgi import Handler, Scope
from aldgate.surfaces.faces import Faces

CALLS: tuple[tuple[str, str, Operation], ...] = (
    ("/v1/chat/completions", "openai", "chat"),
    ("/v1/completions", "openai", "complete"),
    ("/v1/embeddings", "openai", "embed"),
    ("/v1/messages", "anthropic", "chat"),
)


def call_handlers(faces: Faces) -> dict[tuple[str, str], Handler]:
    """Method and path -> handler, for the paths whose model stands in the body."""
    calls = {("POST", path): faces.serving(dialect, operation, _READ_NAMED.get(dialect)) for path, dialect, operation in CALLS}
    return {**calls, ("POST", "/v1/messages/count_tokens"): faces.later("anthropic", lambda face: cast(Any, face).count)}


def read_headers(scope: Scope) -> Named:
    """What the headers say of the version and the betas that a body of Anthropic's is written in."""
    return Named(headers=tuple(header for header in scope["headers"] if header[0].startswith(b"anthropic-")))


_READ_NAMED = {"anthropic": read_headers}
"""How a dialect reads what is said outside the body."""
