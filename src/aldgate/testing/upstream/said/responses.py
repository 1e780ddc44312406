"""OpenAI's Responses (https://platform.openai.com/docs/api-reference/responses/object and /responses-streaming)."""

from typing import Any

from aldgate.testing.upstream.replies import CREATED, Object
from aldgate.testing.upstream.said.openai import refusal
from aldgate.testing.upstream.said.words import Called, Said, Wire, halves, named

_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


def _whole(said: Said, model: str) -> Object:
    status = "incomplete" if said.finish in _REASONS else "completed"
    reason = {"reason": _REASONS[said.finish]} if said.finish in _REASONS else None
    output = [item for item, _ in _items(said)]
    return _response(model, status=status, incomplete_details=reason, output=output, usage=_usage(said))


def _events(said: Said, model: str) -> list[bytes]:
    begun = _response(model, status="in_progress", incomplete_details=None, output=[], usage=None)
    told: list[Object] = [{"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")]
    items = _items(said)
    calls = [place for place, (item, _) in enumerate(items) if item["type"] == "function_call"]
    for place, (item, deltas) in enumerate(items):
        if place not in calls:
            told += [_added(place, item), *({**delta, "output_index": place} for delta in deltas), _done(place, item)]
    told += [_added(place, items[place][0]) for place in calls]
    for number in (0, 1):  # the arguments of calls made side by side come in turns
        told += [{**items[place][1][number], "output_index": place} for place in calls]
    told += [event for place in calls for event in (_argued(place, items[place][0]), _done(place, items[place][0]))]
    ended = _whole(said, model)
    told.append({"type": f"response.{ended['status']}", "response": ended})
    return [named({**event, "sequence_number": number}) for number, event in enumerate(told)]


def _response(model: str, **more: Any) -> Object:
    same: Object = {"id": "resp_said", "object": "response", "created_at": CREATED, "model": model, "error": None}
    return {**same, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {}, "store": False, **more}


def _items(said: Said) -> list[tuple[Object, list[Object]]]:
    """Each output item with the deltas that tell it."""
    items: list[tuple[Object, list[Object]]] = []
    if said.thoughts:
        item: Object = {"id": "rs_0", "type": "reasoning", "summary": [{"type": "summary_text", "text": said.thoughts}]}
        place: Object = {"item_id": "rs_0", "summary_index": 0}
        items.append((item, _told("response.reasoning_summary_text", place, said.thoughts)))
    if said.text:
        content: list[Object] = [{"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}]
        message: Object = {"id": "msg_0", "type": "message", "status": "completed", "role": "assistant", "content": content}
        place = {"item_id": "msg_0", "content_index": 0, "logprobs": []}
        items.append((message, _told("response.output_text", place, said.text)))
    for number, call in enumerate(said.calls):
        item_id = f"fc_{number}"
        deltas = _told("response.function_call_arguments", {"item_id": item_id}, call.arguments)
        items.append((_call(item_id, call), deltas[:-1]))
    return items


def _told(kind: str, place: Object, text: str) -> list[Object]:
    said = [{"type": f"{kind}.delta", **place, "delta": piece} for piece in halves(text)]
    return [*said, {"type": f"{kind}.done", **place, "text": text}]


def _call(item_id: str, call: Called) -> Object:
    same = {"id": item_id, "type": "function_call", "status": "completed", "call_id": call.id, "name": call.name}
    return {**same, "arguments": call.arguments}


def _added(place: int, item: Object) -> Object:
    empty: dict[str, Object] = {"reasoning": {"summary": []}, "message": {"content": []}, "function_call": {"arguments": ""}}
    begun = {**item, **empty[item["type"]]}
    if "status" in item:
        begun["status"] = "in_progress"
    return {"type": "response.output_item.added", "output_index": place, "item": begun}


def _argued(place: int, item: Object) -> Object:
    kind = "response.function_call_arguments.done"
    return {"type": kind, "output_index": place, "item_id": item["id"], "name": item["name"], "arguments": item["arguments"]}


def _done(place: int, item: Object) -> Object:
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def _usage(said: Said) -> Object:
    return {
        "input_tokens": said.input_tokens,
        "input_tokens_details": {"cached_tokens": said.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": said.output_tokens,
        "output_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
        "total_tokens": said.input_tokens + said.output_tokens,
    }


_ERROR = {"code": "server_error", "message": "The server had an error while processing your request."}
_FAILED = _response("said", status="failed", incomplete_details=None, output=[], usage=None) | {"error": _ERROR}
WIRE = Wire(_whole, _events, refusal, named({"type": "response.failed", "sequence_number": 99, "response": _FAILED}))
