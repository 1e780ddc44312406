"""Gemini's `generateContent` (https://ai.google.dev/api/generate-content). Calls come whole, thoughts are counted apart."""

import json
from typing import Any

from aldgate.testing.upstream.replies import Object
from aldgate.testing.upstream.said.words import RETRY_AFTER_S, Refused, Said, Wire, data, halves

_STOPS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}


def _whole(said: Said, model: str) -> Object:
    thoughts = [{"text": said.thoughts, "thought": True}] if said.thoughts else []
    texts = [{"text": said.text}] if said.text else []
    return _response(said, model, [*thoughts, *texts, *_given(said)], _STOPS[said.finish])


def _events(said: Said, model: str) -> list[bytes]:
    parts: list[Object] = [{"text": piece, "thought": True} for piece in halves(said.thoughts)]
    parts += [{"text": piece} for piece in halves(said.text)]
    parts += _given(said)
    told = [_response(said, model, [part], None) for part in parts]
    return [data(each) for each in (*told, _response(said, model, [{"text": ""}], _STOPS[said.finish]))]


def _given(said: Said) -> list[Object]:
    images: list[Object] = [{"inlineData": {"mimeType": "image/png", "data": image}} for image in said.images]
    calls = [{"id": call.id, "name": call.name, "args": json.loads(call.arguments)} for call in said.calls]
    return [*images, *({"functionCall": call} for call in calls)]


def _response(said: Said, model: str, parts: list[Object], finish: str | None) -> Object:
    candidate: Object = {"content": {"parts": parts, "role": "model"}, "index": 0}
    usage: Object = {"promptTokenCount": said.input_tokens, "totalTokenCount": said.input_tokens}
    if finish is not None:
        candidate["finishReason"] = finish
        usage["candidatesTokenCount"] = said.output_tokens - said.reasoning_tokens
        usage["totalTokenCount"] += said.output_tokens
    if said.reasoning_tokens and finish is not None:
        usage["thoughtsTokenCount"] = said.reasoning_tokens
    if said.cached_tokens:
        usage["cachedContentTokenCount"] = said.cached_tokens
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "said"}


def _refusal(why: Refused) -> tuple[int, Object]:
    status, name, message = {
        "limited": (429, "RESOURCE_EXHAUSTED", "You exceeded your current rate."),
        "too_long": (
            400,
            "INVALID_ARGUMENT",
            "The input token count (9000) exceeds the maximum number of tokens allowed.",
        ),
        "unauthorised": (401, "UNAUTHENTICATED", "API key not valid. Please pass a valid API key."),
        "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    }[why]
    details: list[Any] = []
    if why == "limited":
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{RETRY_AFTER_S}s"})
    return status, {"error": {"code": status, "message": message, "status": name, "details": details}}


WIRE = Wire(_whole, _events, _refusal, data(_refusal("overloaded")[1]))
