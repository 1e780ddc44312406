"""Bedrock's Converse and ConverseStream (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html)."""

import json

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.converse import EVENTS, event, exception
from aldgate.testing.upstream.replies import Object
from aldgate.testing.upstream.said.words import Refused, Said, Wire, halves

SIGNATURE = "c2lnbmVk"
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered"}


def _whole(said: Said, model: str) -> Object:
    blocks: list[Object] = []
    if said.thoughts:
        blocks.append({"reasoningContent": {"reasoningText": {"text": said.thoughts, "signature": SIGNATURE}}})
    if said.text:
        blocks.append({"text": said.text})
    blocks += [{"image": {"format": "png", "source": {"bytes": image}}} for image in said.images]
    for call in said.calls:
        blocks.append({"toolUse": {"toolUseId": call.id, "name": call.name, "input": json.loads(call.arguments)}})
    output = {"message": {"role": "assistant", "content": blocks}}
    return {"output": output, "stopReason": _STOPS[said.finish], "usage": _usage(said), "metrics": {"latencyMs": 5}}


def _events(said: Said, model: str) -> list[bytes]:
    told = [event("messageStart", {"role": "assistant"})]
    blocks: list[tuple[Object | None, list[Object]]] = []
    if said.thoughts:
        thoughts: list[Object] = [{"reasoningContent": {"text": piece}} for piece in halves(said.thoughts)]
        blocks.append((None, [*thoughts, {"reasoningContent": {"signature": SIGNATURE}}]))
    if said.text:
        blocks.append((None, [{"text": piece} for piece in halves(said.text)]))
    for image in said.images:
        blocks.append(({"image": {"format": "png"}}, [{"image": {"source": {"bytes": image}}}]))
    for call in said.calls:
        start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
        blocks.append((start, [{"toolUse": {"input": piece}} for piece in ("", *halves(call.arguments))]))
    for index, (begin, deltas) in enumerate(blocks):
        place = {"contentBlockIndex": index}
        if begin is not None:
            told.append(event("contentBlockStart", {**place, "start": begin}))
        told += [event("contentBlockDelta", {**place, "delta": delta}) for delta in deltas]
        told.append(event("contentBlockStop", place))
    told += [event("messageStop", {"stopReason": _STOPS[said.finish]}), event("metadata", {"usage": _usage(said)})]
    return told


def _usage(said: Said) -> Object:
    return {
        "inputTokens": said.input_tokens - said.cached_tokens,
        "cacheReadInputTokens": said.cached_tokens,
        "cacheWriteInputTokens": 0,
        "outputTokens": said.output_tokens,
        "totalTokens": said.input_tokens + said.output_tokens,
    }


def _refusal(why: Refused) -> tuple[int, Object]:
    status, kind, message = {
        "limited": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
        "too_long": (
            400,
            "ValidationException",
            "Input is too long for requested model.",
        ),
        "unauthorised": (403, "UnrecognizedClientException", "The security token included in the request is invalid."),
        "overloaded": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    }[why]
    return status, {"__type": kind, "message": message}


_TROUBLE = exception("modelStreamErrorException", "The model could not go on.")
WIRE = Wire(_whole, _events, _refusal, _TROUBLE, wire.head([EVENTS, wire.CHUNKED]))
