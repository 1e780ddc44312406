"""The events of a Responses stream as bytes, numbered in the order they are written.

Each is named in `event:` and again in `type`, and the numbers only grow
(https://platform.openai.com/docs/api-reference/responses-streaming).
"""

from __future__ import annotations

from typing import Any

import msgspec

Object = dict[str, Any]
Place = tuple[str, int, int]
"""Id of an item, its output index, and the content index within it."""
ItemPlace = tuple[str, int]

_encode = msgspec.json.Encoder().encode
DONE = b"data: [DONE]\n\n"


class Pen:
    """Writes events. Deltas are aimed once for each part, so that each one costs only its text."""

    __slots__ = ("_aim", "_number", "_place")

    def __init__(self, number: int = 0) -> None:
        self._number = number
        self._aim = b""
        self._place: Object = {}

    def _event(self, kind: str, fields: Object) -> bytes:
        data = _encode({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    def lifecycle(self, status: str, response: Object) -> bytes:
        """A new status of the whole response."""
        return self._event(f"response.{status}", {"response": response})

    def item(self, what: str, index: int, item: Object) -> bytes:
        """An item is `added` or `done`."""
        return self._event(f"response.output_item.{what}", {"output_index": index, "item": item})

    def part(self, what: str, place: Place, part: Object) -> bytes:
        """A message part is `added` or `done`."""
        return self._event(f"response.content_part.{what}", {**_placed(place), "part": part})

    def said(self, kind: str, place: Place, more: Object) -> bytes:
        """What a message part came to."""
        return self._event(kind, {**_placed(place), **more})

    def aim(self, kind: str, place: Place, *, logprobs: bool) -> None:
        """From here on deltas are of this kind and for this part."""
        self._point(kind, {**_placed(place), **({"logprobs": []} if logprobs else {})})

    def aim_summary(self, place: Place) -> None:
        """From here on deltas are for this part of a thought's summary."""
        self._place = {"item_id": place[0], "output_index": place[1], "summary_index": place[2]}
        self._point("response.reasoning_summary_text.delta", self._place)

    def _point(self, kind: str, fields: Object) -> None:
        head = _encode({"type": kind, **fields})[:-1]
        self._aim = b"event: %b\ndata: %b" % (kind.encode(), head)

    def delta(self, text: str) -> bytes:
        """More of what was aimed at."""
        number = self._number
        self._number = number + 1
        return b'%b,"sequence_number":%d,"delta":%b}\n\n' % (self._aim, number, _encode(text))

    def summary(self, what: str, text: str) -> bytes:
        """The summary that was aimed at: `part.added`, `text.done` or `part.done`."""
        said: Object = {"text": text} if what == "text.done" else {"part": {"type": "summary_text", "text": text}}
        return self._event(f"response.reasoning_summary_{what}", {**self._place, **said})

    def argument(self, place: ItemPlace, text: str) -> bytes:
        """More of a call's arguments."""
        return self._event("response.function_call_arguments.delta", {**_of_item(place), "delta": text})

    def arguments(self, place: ItemPlace, name: str, text: str) -> bytes:
        """All of a call's arguments."""
        return self._event("response.function_call_arguments.done", {**_of_item(place), "name": name, "arguments": text})

    def custom(self, what: str, place: ItemPlace, text: str) -> bytes:
        """Input of a custom tool: a `delta`, or all of it when `done`."""
        field = "delta" if what == "delta" else "input"
        return self._event(f"response.custom_tool_call_input.{what}", {**_of_item(place), field: text})


def _placed(place: Place) -> Object:
    return {"item_id": place[0], "output_index": place[1], "content_index": place[2]}


def _of_item(place: ItemPlace) -> Object:
    return {"item_id": place[0], "output_index": place[1]}
