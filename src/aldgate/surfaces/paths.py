"""The paths that make calls: which dialect is spoken there, and which operation it asks for."""

from __future__ import annotations

from aldgate.core.principals import Operation
from aldgate.surfaces.asgi import Handler
from aldgate.surfaces.faces import Faces

CALLS: tuple[tuple[str, str, Operation], ...] = (
    ("/v1/chat/completions", "openai", "chat"),
    ("/v1/completions", "openai", "complete"),
    ("/v1/embeddings", "openai", "embed"),
)


def call_handlers(faces: Faces) -> dict[tuple[str, str], Handler]:
    """Method and path -> handler, for the paths whose model stands in the body."""
    return {("POST", path): faces.serving(dialect, operation) for path, dialect, operation in CALLS}
