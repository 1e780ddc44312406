"""Anthropic's messages (https://platform.claude.com/docs/en/api/messages and /messages-streaming)."""

import json

from aldgate.testing.upstream.replies import Object
from aldgate.testing.upstream.said.words import Refused, Said, Wire, halves, named

SIGNATURE = "c2lnbmVk"
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def _whole(said: Said, model: str) -> Object:
    blocks = [block for block, _, _ in _blocks(said)]
    return _message(model, content=blocks, stop_reason=_STOPS[said.finish], usage=_usage(said))


def _events(said: Said, model: str) -> list[bytes]:
    begun = _message(model, content=[], stop_reason=None, usage={**_usage(said), "output_tokens": 1})
    told: list[Object] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, (block, empty, deltas) in enumerate(_blocks(said)):
        told.append({"type": "content_block_start", "index": index, "content_block": {**block, **empty}})
        told += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        told.append({"type": "content_block_stop", "index": index})
    ended = {"stop_reason": _STOPS[said.finish], "stop_sequence": None}
    told += [{"type": "message_delta", "delta": ended, "usage": _usage(said)}, {"type": "message_stop"}]
    return [named(event) for event in told]


def _message(model: str, **more: object) -> Object:
    same = {"id": "msg_said", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}
    return {**same, **more}


def _blocks(said: Said) -> list[tuple[Object, Object, list[Object]]]:
    """Each block, what its start has for what follows, and the deltas that tell it."""
    blocks: list[tuple[Object, Object, list[Object]]] = []
    if said.thoughts:
        block: Object = {"type": "thinking", "thinking": said.thoughts, "signature": SIGNATURE}
        deltas: list[Object] = [{"type": "thinking_delta", "thinking": piece} for piece in halves(said.thoughts)]
        proof = {"type": "signature_delta", "signature": SIGNATURE}
        blocks.append((block, {"thinking": "", "signature": ""}, [*deltas, proof]))
    if said.text:
        texts: list[Object] = [{"type": "text_delta", "text": piece} for piece in halves(said.text)]
        blocks.append(({"type": "text", "text": said.text}, {"text": ""}, texts))
    for call in said.calls:
        use: Object = {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}
        pieces = ["", *halves(call.arguments)]
        blocks.append((use, {"input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]))
    return blocks


def _usage(said: Said) -> Object:
    """Anthropic's input is what neither was read from the cache nor written to it."""
    return {
        "input_tokens": said.input_tokens - said.cached_tokens,
        "cache_read_input_tokens": said.cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": said.output_tokens,
        "output_tokens_details": {"thinking_tokens": said.reasoning_tokens},
    }


def _refusal(why: Refused) -> tuple[int, Object]:
    status, kind, message = {
        "limited": (429, "rate_limit_error", "This request would exceed your rate limit."),
        "too_long": (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        "unauthorised": (401, "authentication_error", "invalid x-api-key"),
        "overloaded": (529, "overloaded_error", "Overloaded"),
    }[why]
    return status, {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_upstream"}


WIRE = Wire(_whole, _events, _refusal, named(_refusal("overloaded")[1]))
