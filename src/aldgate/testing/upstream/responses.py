"""OpenAI's Responses wire, as the upstream speaks it. Pure.

Shapes: https://platform.openai.com/docs/api-reference/responses/object and /responses-streaming.
"""

import hashlib
import json
from typing import Any

Object = dict[str, Any]


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


def usage(prompt_tokens: int, completion_tokens: int) -> Object:
    """Usage: a tenth of the input was cached, and two tokens of the output were thought."""
    return {
        "input_tokens": prompt_tokens,
        "input_tokens_details": {"cached_tokens": prompt_tokens // 10, "cache_write_tokens": 0},
        "output_tokens": completion_tokens,
        "output_tokens_details": {"reasoning_tokens": min(2, completion_tokens)},
        "total_tokens": prompt_tokens + completion_tokens,
    }


def events(whole: Object, words: list[str]) -> list[Object]:
    """The stream of a response, word by word, numbered."""
    begun: Object = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    item = whole["output"][0]
    part = item["content"][0]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    said: list[Object] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": [], "status": "in_progress"}},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in words),
        {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": f"response.{whole['status']}", "response": whole},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(said)]
