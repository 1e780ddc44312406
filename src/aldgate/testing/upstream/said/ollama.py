"""Ollama's `/api/chat` (https://docs.ollama.com/api/chat). Calls come whole; nothing is said of caches."""

import json

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.ollama import CREATED_AT
from aldgate.testing.upstream.replies import Object, encode
from aldgate.testing.upstream.said.words import Refused, Said, Wire, halves

_STOPS = {"tool_calls": "stop"}


def _whole(said: Said, model: str) -> Object:
    message: Object = {"role": "assistant", "content": said.text}
    if said.thoughts:
        message["thinking"] = said.thoughts
    return _line(model, {**message, **_calls(said)}, **_ending(said))


def _events(said: Said, model: str) -> list[bytes]:
    messages: list[Object] = [{"content": "", "thinking": piece} for piece in halves(said.thoughts)]
    messages += [{"content": piece} for piece in halves(said.text)]
    if said.calls:
        messages.append({"content": "", **_calls(said)})
    lines = [_line(model, {"role": "assistant", **message}, done=False) for message in messages]
    last = _line(model, {"role": "assistant", "content": ""}, **_ending(said))
    return [encode(line) + b"\n" for line in (*lines, last)]


def _line(model: str, message: Object, **more: object) -> Object:
    return {"model": model, "created_at": CREATED_AT, "message": message, **more}


def _calls(said: Said) -> Object:
    calls = [{"id": call.id, "function": {"name": call.name, "arguments": json.loads(call.arguments)}} for call in said.calls]
    return {"tool_calls": calls} if calls else {}


def _ending(said: Said) -> Object:
    counts = {"prompt_eval_count": said.input_tokens, "eval_count": said.output_tokens}
    return {"done": True, "done_reason": _STOPS.get(said.finish, said.finish), "total_duration": 9, **counts}


def _refusal(why: Refused) -> tuple[int, Object]:
    status, message = {
        "limited": (429, "too many requests"),
        "too_long": (400, "prompt is too long for the context length of 4096"),
        "unauthorised": (401, "unauthorized"),
        "overloaded": (503, "server busy, please try again. maximum pending requests exceeded"),
    }[why]
    return status, {"error": message}


_TROUBLE = encode({"error": "model runner has unexpectedly stopped"}) + b"\n"
WIRE = Wire(_whole, _events, _refusal, _TROUBLE, wire.head([("Content-Type", "application/x-ndjson"), wire.CHUNKED]))
