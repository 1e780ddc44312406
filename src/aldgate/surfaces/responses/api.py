"""Everything at and under `/v1/responses`, put together by the first request there."""

from __future__ import annotations

from aldgate.surfaces.calls.face import Doors
from aldgate.surfaces.http.asgi import Handler
from aldgate.surfaces.responses.compaction import CompactionFace
from aldgate.surfaces.responses.face import ResponsesFace
from aldgate.surfaces.responses.kept import KeptResponses
from aldgate.surfaces.responses.shelf import Shelf
from aldgate.surfaces.responses.socket import ResponseSocket


class ResponsesApi:
    """The handlers, by what they do."""

    def __init__(self, doors: Doors, shelf: Shelf) -> None:
        self.face = face = ResponsesFace(doors, shelf)
        kept = KeptResponses(doors, shelf, face.history)
        self.handlers: dict[str, Handler] = {
            "create": face.serving("chat"),
            "connect": ResponseSocket(doors, face).serve,
            "get": kept.get,
            "delete": kept.delete,
            "cancel": kept.cancel,
            "compact": CompactionFace(doors, face.history).serving("chat"),
            "input_tokens": kept.input_tokens,
        }
