"""A response told again as a stream, for callers who come back for it (`GET /v1/responses/{id}?stream=true`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from aldgate.dialects.responses.pen import DONE, Pen

Object = dict[str, Any]


class _Numbered(msgspec.Struct):
    sequence_number: int | None = None


_numbered = msgspec.json.Decoder(_Numbered)
_DATA = b"data: "


def replayed(body: bytes, starting_after: int | None) -> bytes:
    """The events of a response that was not streamed, each text in one piece, from number `starting_after` + 1 on."""
    first = 0 if starting_after is None else starting_after + 1
    return b"".join([*list(_events(msgspec.json.decode(body)))[first:], DONE])


def later(events: bytes, after: int) -> bytes:
    """Of whole events, as they went out, those numbered above `after`, and those that have no number."""
    return b"".join(event + b"\n\n" for event in events.split(b"\n\n") if event and _is_later(event, after))


def _is_later(event: bytes, after: int) -> bool:
    data = event[event.index(_DATA) + len(_DATA) :]
    if data == b"[DONE]":
        return True
    number = _numbered.decode(data).sequence_number
    return number is None or number > after


def _events(response: Object) -> Iterator[bytes]:
    pen = Pen()
    begun: Object = {
        **response,
        "status": "in_progress",
        "output": [],
        "usage": None,
        "incomplete_details": None,
        "completed_at": None,
    }
    yield pen.lifecycle("created", begun)
    yield pen.lifecycle("in_progress", begun)
    for index, item in enumerate(response["output"]):
        yield from _item(pen, index, item)
    yield pen.lifecycle(response["status"], response)


def _item(pen: Pen, index: int, item: Object) -> Iterator[bytes]:
    place = (item.get("id", ""), index)
    match item:
        case {"type": "message", "content": list()}:
            yield pen.item("added", index, {**item, "content": [], "status": "in_progress"})
            for number, part in enumerate(_objects(item["content"])):
                yield from _part(pen, (*place, number), part)
        case {"type": "function_call", "arguments": str(arguments)}:
            yield pen.item("added", index, {**item, "arguments": "", "status": "in_progress"})
            yield pen.argument(place, arguments)
            yield pen.arguments(place, item["name"], arguments)
        case {"type": "custom_tool_call", "input": str(text)}:
            yield pen.item("added", index, {**item, "input": ""})
            yield pen.custom("delta", place, text)
            yield pen.custom("done", place, text)
        case {"type": "reasoning", "summary": list()}:
            yield pen.item("added", index, {**item, "summary": []})
            for number, piece in enumerate(_objects(item["summary"])):
                yield from _summary(pen, (*place, number), piece["text"])
        case _:
            yield pen.item("added", index, item)
    yield pen.item("done", index, item)


def _objects(given: Any) -> list[Object]:
    return given


def _part(pen: Pen, place: tuple[str, int, int], part: Object) -> Iterator[bytes]:
    kind, field = ("refusal", "refusal") if part["type"] == "refusal" else ("output_text", "text")
    more: Object = {"logprobs": []} if kind == "output_text" else {}
    yield pen.part("added", place, {**part, field: ""})
    pen.aim(f"response.{kind}.delta", place, logprobs=kind == "output_text")
    yield pen.delta(part[field])
    yield pen.said(f"response.{kind}.done", place, {field: part[field], **more})
    yield pen.part("done", place, part)


def _summary(pen: Pen, place: tuple[str, int, int], text: str) -> Iterator[bytes]:
    pen.aim_summary(place)
    yield pen.summary("part.added", "")
    yield pen.delta(text)
    yield pen.summary("text.done", text)
    yield pen.summary("part.done", text)
