"""Everything at and under `/v1/responses`, put together by the first request there."""

from __future__ import annotations

from aldgate.surfaces.asgi import Handler
from aldgate.surfaces.compaction import CompactionFace
from aldgate.surfaces.face import Doors
from aldgate.surfaces.kept_responses import KeptResponses
from aldgate.surfaces.response_socket import ResponseSocket
from aldgate.surfaces.responses import ResponsesFace
from aldgate.surfaces.shelf import Shelf


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
