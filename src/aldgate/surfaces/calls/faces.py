"""The faces that make calls, one per dialect. Those of other dialects than OpenAI's are made by their first request."""

from __future__ import annotations

from collections.abc import Awaitable

from aldgate.core.principals import Operation
from aldgate.registry import Registry
from aldgate.surfaces.calls.face import Doors, Face, ReadNamed
from aldgate.surfaces.dialects import DIALECTS
from aldgate.surfaces.http.asgi import Handler, Receive, Scope, Send

ALWAYS_LOADED = "openai"
OWN: Registry[type[Face]] = Registry(
    "face",
    {
        "ollama": "aldgate.surfaces.calls.ollama_calls:OllamaCalls",
        "ollama-generate": "aldgate.surfaces.calls.ollama_calls:OllamaCalls",
    },
)
"""Dialects with calls of which some are answered without a model."""


class Faces:
    """Makes the handlers of paths that make calls."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._faces: dict[str, Face] = {}

    def face(self, dialect: str) -> Face:
        """The face of a dialect, by its name in `DIALECTS`."""
        face = self._faces.get(dialect)
        if face is None:
            made = OWN.load(dialect) if dialect in OWN.names() else Face
            face = self._faces[dialect] = made(DIALECTS.load(dialect), self._doors)
        return face

    def serving(self, dialect: str, operation: Operation, read_named: ReadNamed | None = None) -> Handler:
        """The handler for a path. `read_named` reads what the dialect says in path and headers."""
        if dialect == ALWAYS_LOADED:
            return self.face(dialect).serving(operation, read_named)
        handler: Handler | None = None

        def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            nonlocal handler
            if handler is None:
                handler = self.face(dialect).serving(operation, read_named)
            return handler(scope, receive, send)

        return serve
