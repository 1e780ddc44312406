"""InvokeAI's events, over Socket.IO: the little of that protocol which a listener needs.

Source: https://socket.io/docs/v4/engine-io-protocol/ and https://github.com/invoke-ai/InvokeAI, `invokeai/app/api/sockets.py`.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, cast

import msgspec

from aldgate.core.generation import Preview, Progress

PATH = "/ws/socket.io/"
QUERY = {"EIO": "4", "transport": "websocket"}
_OPEN, _PING, _CONNECTED, _EVENT = "0", "2", "40", "42"


class Listener:
    """What the socket says of one batch.

    Attributes:
        may_have_ended: Something changed its status.
    """

    def __init__(self, batch_id: str, count: int) -> None:
        self.may_have_ended = False
        self._batch_id = batch_id
        self._count = count
        self._items: list[int] = []
        self._most = 0.0

    def answer(self, frame: str) -> str | None:
        """What is to be sent back to a frame, if anything."""
        if frame.startswith(_OPEN):
            return _CONNECTED
        if frame == _PING:
            return "3"
        if frame.startswith(_CONNECTED):
            return _EVENT + '["subscribe_queue",{"queue_id":"default"}]'
        return None

    def told(self, frame: str) -> Progress | None:
        """The progress in a frame, if it is of this batch and tells of any."""
        if not frame.startswith(_EVENT):
            return None
        try:
            event = msgspec.json.decode(frame[len(_EVENT) :])
        except msgspec.DecodeError:
            return None
        if not isinstance(event, list) or len(cast("list[Any]", event)) < 2:
            return None
        kind, data = cast("list[Any]", event)[:2]
        if not isinstance(data, dict) or cast("dict[str, Any]", data).get("batch_id") != self._batch_id:
            return None
        facts = cast("dict[str, Any]", data)
        if kind == "queue_item_status_changed":
            self.may_have_ended = facts.get("status") in ("completed", "failed", "canceled")
        return self._progress(facts) if kind == "invocation_progress" else None

    def _progress(self, facts: dict[str, Any]) -> Progress:
        item, part = facts.get("item_id"), facts.get("percentage")
        if isinstance(item, int) and item not in self._items:
            self._items.append(item)
        done = max(len(self._items) - 1, 0)
        share = min(max(part, 0.0), 1.0) if isinstance(part, int | float) else 0.0
        self._most = max(self._most, min((done + share) / self._count, 1.0))
        return Progress(fraction=self._most, message=str(facts.get("message") or ""), preview=_preview(facts.get("image")))


def _preview(image: Any) -> Preview | None:
    url = str(cast("dict[str, Any]", image).get("dataURL", "")) if isinstance(image, dict) else ""
    head, comma, text = url.partition(",")
    if not comma or not head.startswith("data:image/"):
        return None
    try:
        return Preview(head.removeprefix("data:").partition(";")[0], base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None
