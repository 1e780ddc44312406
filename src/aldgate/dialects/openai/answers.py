"""Whole OpenAI answers, read into neutral ones and written from them.

Shapes: https://platform.openai.com/docs/api-reference/chat/object and /embeddings/object.
"""

from __future__ import annotations

import base64
import struct
import time
from typing import Any, TypeGuard, TypeVar

import msgspec

from aldgate.core.conversation import Answer, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import UpstreamError, UpstreamInvalid
from aldgate.core.operations import Embeddings
from aldgate.core.usage import Usage
from aldgate.dialects.omitted import omitted
from aldgate.dialects.openai.errors import ErrorBody, error_in_reply
from aldgate.dialects.openai.finish import FAILURES, finish_of
from aldgate.dialects.openai.logprobs import logprobs_of, read_logprobs
from aldgate.dialects.openai.pieces import Call, Content, Image, call_signature, has_place, image_of, said_of
from aldgate.dialects.openai.usage import UsageBody

Object = dict[str, Any]


class _Message(msgspec.Struct):
    content: Content = None
    reasoning_content: Content = None
    reasoning: Content = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    images: list[Image] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: Any = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []
    service_tier: Any = None
    usage: UsageBody | None = None
    error: ErrorBody | str | None = None
    id: str | None = None
    model: str | None = None


class _Vector(msgspec.Struct):
    embedding: list[float] | str
    index: int = 0


class _EmbeddingList(msgspec.Struct):
    data: list[_Vector] = []
    usage: UsageBody | None = None
    error: ErrorBody | str | None = None
    model: str | None = None


Body = TypeVar("Body", _Completion, _EmbeddingList)

_completion = msgspec.json.Decoder(_Completion)
_embeddings = msgspec.json.Decoder(_EmbeddingList)


def read_chat(body: bytes, *, tells_bill: bool = False) -> Answer:
    """A whole chat completion. `tells_bill`: the provider says which model answered and what that cost.

    Raises:
        UpstreamError: It is none, or an error in the dress of one.
    """
    reply = _decoded(_completion, body)
    if not reply.choices:
        raise UpstreamInvalid("The provider's reply holds no choice.")
    answer, *others = map(_answer, reply.choices)
    answer.usage = reply.usage and (reply.usage.billed(reply.model) if tells_bill else reply.usage.canonical(reply.service_tier))
    answer.id, answer.model, answer.others = reply.id or "", reply.model or "", others
    return answer


def _answer(choice: _Choice) -> Answer:
    if choice.finish_reason in FAILURES:
        raise UpstreamError("The provider gave up in the middle of its answer.")
    message = choice.message
    calls = message.tool_calls or []
    thoughts, text = said_of(message.content, message.reasoning_content or message.reasoning)
    parts: list[Part] = [Reasoning(thoughts)] if thoughts else []
    if text:
        parts.append(Text(text))
    if message.refusal:
        parts.append(Refusal(message.refusal))
    parts += [image.media for image in message.images or ()]
    for call in calls:
        inner = call.function or call.custom
        if inner is None:
            raise UpstreamInvalid("The provider's reply holds a tool call of an unknown kind.")
        signature = call_signature(call)
        origin = "gemini" if signature else ""
        parts.append(ToolCall(call.id or "", inner.name or "", inner.text, call.function is None, signature, origin))
    finish = finish_of(choice.finish_reason, has_calls=bool(calls))
    return Answer(parts, finish, logprobs=read_logprobs(choice.logprobs) if choice.logprobs is not None else [])


def read_embeddings(body: bytes) -> Embeddings:
    """A list of embeddings, in floats or base64.

    Raises:
        UpstreamError: It is none, or an error in the dress of one.
    """
    reply = _decoded(_embeddings, body)
    try:
        vectors = [_floats(item.embedding) for item in sorted(reply.data, key=lambda item: item.index)]
    except (ValueError, struct.error):
        raise UpstreamInvalid("The provider's embeddings are not base64 of floats.") from None
    return Embeddings(vectors, reply.usage and reply.usage.canonical(), reply.model or "")


def _decoded(decoder: msgspec.json.Decoder[Body], body: bytes) -> Body:
    try:
        reply = decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamInvalid(f"The provider's reply is not what was asked for: {error}.") from None
    if reply.error is not None:
        raise error_in_reply(reply.error)
    return reply


def _floats(vector: list[float] | str) -> list[float]:
    if isinstance(vector, list):
        return vector
    packed = base64.b64decode(vector, validate=True)
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def write_chat(call_id: str, model: str, answer: Answer) -> bytes:
    """A chat completion. `model` is the name the caller used: it knows no other."""
    body: Object = {
        "id": f"chatcmpl-{call_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [_choice(index, each) for index, each in enumerate((answer, *answer.others))],
    }
    if answer.usage is not None:
        body["usage"] = usage_of(answer.usage)
    return msgspec.json.encode(body)


def _choice(index: int, answer: Answer) -> Object:
    message: Object = {"role": "assistant", "content": None, "refusal": None}
    text = [_text(part) for part in answer.parts if _is_text(part)]
    if text:
        message["content"] = "".join(text)
    images = [image_of(part) for part in answer.parts if isinstance(part, Media) and has_place(part)]
    if images:
        message["images"] = images
    refusal = [part.text for part in answer.parts if isinstance(part, Refusal)]
    if refusal:
        message["refusal"] = "".join(refusal)
    thoughts = [part for part in answer.parts if isinstance(part, Reasoning)]
    if thoughts:
        message["reasoning_content"] = "".join(part.text for part in thoughts)
        if any(part.signature or part.redacted for part in thoughts):
            message["thinking_blocks"] = [block_of(part) for part in thoughts]
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = [call_of(part) for part in calls]
    return {"index": index, "message": message, "logprobs": logprobs_of(answer.logprobs), "finish_reason": answer.finish}


def _is_text(part: Part) -> TypeGuard[Text | Media | Opaque]:
    return isinstance(part, Text | Media | Opaque) and not has_place(part)


def _text(part: Text | Media | Opaque) -> str:
    return part.text if isinstance(part, Text) else omitted(part)


def block_of(thought: Reasoning) -> Object:
    """A thought with what proves it, for clients that send it back as it is."""
    if thought.redacted is not None:
        return {"type": "redacted_thinking", "data": thought.redacted, "origin": thought.origin}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature, "origin": thought.origin}


def call_of(call: ToolCall) -> Object:
    """A tool call as a message holds it."""
    if call.is_custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    said: Object = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
    if call.signature is not None:
        said["extra_content"] = extra_of(call.origin, call.signature)
    return said


def extra_of(origin: str, signature: str) -> Object:
    """Where a call's signature travels: `google.thought_signature`, as Gemini's own OpenAI form has it."""
    return {"google" if origin == "gemini" else origin: {"thought_signature": signature}}


def usage_of(usage: Usage) -> Object:
    """Usage in OpenAI's words."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def write_embeddings(model: str, result: Embeddings, *, as_base64: bool) -> bytes:
    """A list of embeddings; in base64, vectors are little-endian float32."""
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if as_base64 else vector}
        for index, vector in enumerate(result.vectors)
    ]
    usage = result.usage or Usage()
    counts = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": model, "usage": counts})


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
