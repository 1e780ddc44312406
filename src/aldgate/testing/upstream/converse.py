"""Bedrock's wire: Converse, whole and streamed in Amazon's binary framing, and the invocation of embedding models.

What is said depends on the request as it would with a real model: a tool that must be called is called, thinking that is
switched on is shown and signed, cache points are counted. What Bedrock refuses is refused.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

import struct
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote
from zlib import crc32

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.replies import DIMENSIONS, OTHERS, Object, Rendered, Reply, encode

SIGNATURE = "c2lnbmVk"
EVENTS: wire.Header = ("Content-Type", "application/vnd.amazon.eventstream")


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A message as it is sent."""
    block = b"".join(_header(name, value) for name, value in headers.items())
    start = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = b"".join((start, crc32(start).to_bytes(4, "big"), block, payload))
    return message + crc32(message).to_bytes(4, "big")


def _header(name: str, value: str) -> bytes:
    said, text = name.encode(), value.encode()
    return b"".join((bytes((len(said),)), said, b"\x07", len(text).to_bytes(2, "big"), text))


def refusal(status: int, kind: str, message: str) -> bytes:
    """An error as Bedrock answers it: its kind stands in a header alone."""
    headers = [wire.JSON, ("x-amzn-ErrorType", f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/")]
    return wire.whole(encode({"message": message}), status=status, headers=headers)


def render(path: str, asked: Object, reply: Reply) -> Rendered | None:
    """Answer a request to `/model/{id}/...`."""
    if not path.startswith("/v1/model/"):
        return None
    model, _, verb = path.rpartition("/")
    if verb == "invoke":
        return _invoked(unquote(model), asked, reply)
    if (problem := _problem(asked)) is not None:
        return Rendered(400, b"", (), 0, 0, refusal(400, "ValidationException", problem), ())
    blocks, stop, words = _answer(asked, reply)
    completion = min(reply.completion_tokens, asked.get("inferenceConfig", {}).get("maxTokens", reply.completion_tokens))
    cached = 7 if "cachePoint" in str(asked) else 0
    usage = {"inputTokens": reply.prompt_tokens, "outputTokens": completion, "totalTokens": reply.prompt_tokens + completion}
    usage |= {"cacheReadInputTokens": cached, "cacheWriteInputTokens": 0, "serverToolUsage": {}}
    if verb == "converse":
        message = {"role": "assistant", "content": blocks}
        body = encode({"output": {"message": message}, "stopReason": stop, "usage": usage, "metrics": {"latencyMs": 5}})
        return Rendered(200, body, (), reply.prompt_tokens + cached, completion, wire.whole(body), ())
    events = tuple(
        event(kind, said)
        for kind, said in [
            ("messageStart", {"role": "assistant"}),
            *(each for index, block in enumerate(blocks) for each in _streamed(index, block, words)),
            ("messageStop", {"stopReason": stop}),
            ("metadata", {"usage": usage, "metrics": {"latencyMs": 5}}),
        ]
    )
    head = wire.head([EVENTS, wire.CHUNKED])
    frames = tuple(map(wire.chunk, events))
    return Rendered(200, b"", events, reply.prompt_tokens + cached, completion, b"", frames, head)


def event(kind: str, said: Object) -> bytes:
    """One event of a stream."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, encode({**said, "p": "abcdefgh"}))


def exception(kind: str, message: str) -> bytes:
    """An error in the middle of a stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, encode({"message": message}))


def _problem(asked: Object) -> str | None:
    """What Bedrock would refuse a request for."""
    messages: list[Object] = asked.get("messages", [])
    blocks: list[Object] = [block for message in messages for block in message["content"]]
    roles = [message["role"] for message in messages]
    if not roles or roles[0] != "user":
        return "A conversation must start with a user message."
    if any(one == other for one, other in zip(roles, roles[1:], strict=False)):
        return "A conversation must alternate between user and assistant roles."
    if any(not block["text"].strip() for block in blocks if "text" in block):
        return "The text field in the ContentBlock object is blank."
    if "toolConfig" not in asked and any("toolUse" in block or "toolResult" in block for block in blocks):
        return "The toolConfig field must be defined when using toolUse and toolResult content blocks."
    return None


def _answer(asked: Object, reply: Reply) -> tuple[list[Object], str, list[str]]:
    words = reply.words(stream=True)
    cap = asked.get("inferenceConfig", {}).get("maxTokens")
    is_cut = cap is not None and cap < max(len(words), reply.completion_tokens)
    words = words[:cap]
    own: Object = asked.get("additionalModelRequestFields", {})
    blocks: list[Object] = []
    if own.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        blocks.append({"reasoningContent": {"reasoningText": {"text": "Let me think.", "signature": SIGNATURE}}})
    blocks.append({"text": "".join(words)})
    called = _called(asked, own)
    for number, name in enumerate(called):
        blocks.append({"toolUse": {"toolUseId": f"tooluse_{number}", "name": name, "input": {"at": "sea"}}})
    return blocks, "max_tokens" if is_cut else "tool_use" if called else "end_turn", words


def _called(asked: Object, own: Object) -> list[str]:
    config: Object = asked.get("toolConfig", {})
    names = [tool["toolSpec"]["name"] for tool in config.get("tools", ()) if "toolSpec" in tool]
    choice: Object = config.get("toolChoice", {})
    theirs: Object = own.get("tool_choice", {})
    if "tool" in choice:
        return [choice["tool"]["name"]]
    if theirs.get("type") in ("any", "tool"):
        return [theirs.get("name", names[0])]
    return names if "any" in choice else []


def _streamed(index: int, block: Object, words: list[str]) -> list[tuple[str, Object]]:
    deltas: list[Object]
    start: list[tuple[str, Object]] = []
    match block:
        case {"toolUse": call}:
            said = encode(call["input"]).decode()
            deltas = [{"toolUse": {"input": piece}} for piece in ("", said[:4], said[4:])]
            named = {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}
            start = [("contentBlockStart", {"contentBlockIndex": index, "start": named})]
        case {"reasoningContent": {"reasoningText": thought}}:
            deltas = [{"reasoningContent": {name: thought[name]}} for name in ("text", "signature")]
        case _:
            deltas = [{"text": word} for word in words]
    said_so = [("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
    return [*start, *said_so, ("contentBlockStop", {"contentBlockIndex": index})]


def _invoked(model: str, asked: Object, reply: Reply) -> Rendered:
    texts: list[str] = asked.get("texts") or [asked.get("inputText", "")]
    size = int(asked.get("dimensions") or asked.get("output_dimension") or DIMENSIONS)
    vectors: Any = [[(index + place) % size / size for place in range(size)] for index in range(len(texts))]
    headers = [wire.JSON, ("X-Amzn-Bedrock-Input-Token-Count", str(reply.prompt_tokens))]
    if "titan-embed" in model:
        body = encode({"embedding": vectors[0], "inputTextTokenCount": reply.prompt_tokens})
    else:
        body = encode({"id": "embed-upstream", "embeddings": {"float": vectors}, "response_type": "embeddings_by_type"})
    return Rendered(200, body, (), reply.prompt_tokens, 0, wire.whole(body, headers=headers), ())


OTHERS.append(render)
