"""Cohere's v2 chat (https://docs.cohere.com/reference/chat and https://docs.cohere.com/v2/docs/streaming)."""

from aldgate.testing.upstream.replies import Object
from aldgate.testing.upstream.said.words import Called, Refused, Said, Wire, halves, named

_STOPS = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL", "content_filter": "ERROR_TOXIC"}


def _whole(said: Said, model: str) -> Object:
    content: list[Object] = [{"type": "thinking", "thinking": said.thoughts}] if said.thoughts else []
    content += [{"type": "text", "text": said.text}] if said.text else []
    message: Object = {"role": "assistant", "content": content}
    if said.calls:
        message["tool_calls"] = [_call(call, call.arguments) for call in said.calls]
    return {"id": "said", "finish_reason": _STOPS[said.finish], "message": message, "usage": _usage(said)}


def _events(said: Said, model: str) -> list[bytes]:
    told: list[Object] = [{"type": "message-start", "id": "said", "delta": {"message": {"role": "assistant"}}}]
    for kind, text in (("thinking", said.thoughts), ("text", said.text)):
        if text:
            told.append(_event("content-start", 0, {"content": {"type": kind, kind: ""}}))
            told += [_event("content-delta", 0, {"content": {kind: piece}}) for piece in halves(text)]
            told.append({"type": "content-end", "index": 0})
    for place, call in enumerate(said.calls):
        told.append(_event("tool-call-start", place, {"tool_calls": _call(call, "")}))
        for piece in halves(call.arguments):
            told.append(_event("tool-call-delta", place, {"tool_calls": {"function": {"arguments": piece}}}))
        told.append({"type": "tool-call-end", "index": place})
    told.append({"type": "message-end", "delta": {"finish_reason": _STOPS[said.finish], "usage": _usage(said)}})
    return [named(event) for event in told]


def _event(kind: str, index: int, message: Object) -> Object:
    return {"type": kind, "index": index, "delta": {"message": message}}


def _call(call: Called, arguments: str) -> Object:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _usage(said: Said) -> Object:
    counts = {"input_tokens": float(said.input_tokens), "output_tokens": float(said.output_tokens)}
    return {"billed_units": counts, "tokens": counts, "cached_tokens": float(said.cached_tokens)}


def _refusal(why: Refused) -> tuple[int, Object]:
    status, message = {
        "limited": (429, "you are past the per minute request limit"),
        "too_long": (400, "too many tokens: total number of tokens in the prompt cannot exceed 256000"),
        "unauthorised": (401, "invalid api token"),
        "overloaded": (503, "the service is overloaded"),
    }[why]
    return status, {"message": message}


_TROUBLE = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "the model could not go on"}}
WIRE = Wire(_whole, _events, _refusal, named(_TROUBLE))
