"""OpenAI's Responses wire, as the upstream speaks it. Pure.

Shapes: https://platform.openai.com/docs/api-reference/responses/object and /responses-streaming.
"""

import hashlib
import json

from aldgate.testing.upstream import calls, wire
from aldgate.testing.upstream.replies import CREATED, OTHERS, Object, Rendered, Reply, encode, sse, whole


def render(path: str, asked: Object, reply: Reply) -> Rendered | None:
    """The answer at `/v1/responses`."""
    if path != "/v1/responses":
        return None
    words = reply.words(stream=bool(asked.get("stream")))
    said = response(asked, words, reply.completion_tokens, reply.prompt_tokens, CREATED)
    call = calls.due(asked, reply.call)
    if call is not None:
        said |= {"output": [function_call(call)], "status": "completed", "incomplete_details": None}
    completion = said["usage"]["output_tokens"]
    if not asked.get("stream"):
        return whole(said, reply.prompt_tokens, completion)
    told = call_events(said, call) if call is not None else events(said, words[: asked.get("max_output_tokens")])
    frames = tuple(wire.chunk(framed(event)) for event in told)
    return Rendered(200, b"", tuple(map(encode, told)), reply.prompt_tokens, completion, b"", frames)


OTHERS.append(render)


def framed(event: Object) -> bytes:
    """An event with its name, as it goes out."""
    return b"event: " + event["type"].encode() + b"\n" + sse(encode(event))


def response(asked: Object, words: list[str], completion_tokens: int, prompt_tokens: int, created: int) -> Object:
    """A whole response. Its text is cut where the caller capped it."""
    cap: int | None = asked.get("max_output_tokens")
    is_cut = cap is not None and cap < max(len(words), completion_tokens)
    made = min(completion_tokens, cap or completion_tokens)
    return {
        "id": _id(asked),
        "object": "response",
        "created_at": created,
        "status": "incomplete" if is_cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": cap,
        "model": asked.get("model"),
        "output": [message("".join(words[:cap]))],
        "parallel_tool_calls": True,
        "previous_response_id": asked.get("previous_response_id"),
        "store": asked.get("store", True),
        "tool_choice": "auto",
        "tools": asked.get("tools") or [],
        "usage": usage(prompt_tokens, made),
        "metadata": asked.get("metadata") or {},
    }


def _id(asked: Object) -> str:
    """Another one for every other request."""
    return "resp_" + hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def message(text: str) -> Object:
    """An output message, with the `phase` that newer models give."""
    part: Object = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "id": "msg_upstream",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "phase": "final_answer",
        "content": [part],
    }


def function_call(call: calls.Call) -> Object:
    """An output item that calls a function."""
    named = {"call_id": calls.ID, "name": call[0], "arguments": call[1]}
    return {"id": "fc_upstream", "type": "function_call", "status": "completed", **named}


def usage(prompt_tokens: int, completion_tokens: int) -> Object:
    """Usage: a tenth of the input was cached, and two tokens of the output were thought."""
    return {
        "input_tokens": prompt_tokens,
        "input_tokens_details": {"cached_tokens": prompt_tokens // 10, "cache_write_tokens": 0},
        "output_tokens": completion_tokens,
        "output_tokens_details": {"reasoning_tokens": min(2, completion_tokens)},
        "total_tokens": prompt_tokens + completion_tokens,
    }


def call_events(said: Object, call: calls.Call) -> list[Object]:
    """The stream of a response that calls a function, numbered."""
    item = said["output"][0]
    place = {"item_id": item["id"], "output_index": 0}
    begun: Object = {**item, "arguments": "", "status": "in_progress"}
    return _numbered(
        said,
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        *({"type": "response.function_call_arguments.delta", **place, "delta": piece} for piece in calls.pieces(call)),
        {"type": "response.function_call_arguments.done", **place, "name": call[0], "arguments": call[1]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    )


def events(said: Object, words: list[str]) -> list[Object]:
    """The stream of a response, word by word, numbered."""
    item = said["output"][0]
    part = item["content"][0]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    begun: Object = {**item, "content": [], "status": "in_progress"}
    deltas: list[Object] = [{"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in words]
    return _numbered(
        said,
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *deltas,
        {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    )


def _numbered(said: Object, *between: Object) -> list[Object]:
    """All events, from the beginning of a response to its end."""
    begun: Object = {**said, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    told: list[Object] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *between,
        {"type": f"response.{said['status']}", "response": said},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(told)]
