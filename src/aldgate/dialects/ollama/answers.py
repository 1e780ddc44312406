"""Whole answers and embeddings in Ollama's words, read from servers and written for callers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from aldgate.core.conversation import Answer, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.events import fold
from aldgate.core.operations import Embeddings
from aldgate.core.usage import Usage
from aldgate.dialects.ollama.decoder import ChatDecoder
from aldgate.dialects.ollama.errors import error_in_stream, no_reply
from aldgate.dialects.ollama.pieces import NewId, new_call_id
from aldgate.dialects.omitted import omitted

Object = dict[str, Any]


class _Embedded(msgspec.Struct):
    embeddings: list[list[float]]
    model: str = ""
    prompt_eval_count: int | None = None


_embedded = msgspec.json.Decoder(_Embedded)


def read_chat(body: bytes, new_id: NewId = new_call_id) -> Answer:
    """A whole answer: the one line of a stream that says everything.

    Raises:
        UpstreamError: It is not one, is not complete, or is an error in the dress of one.
    """
    decoder = ChatDecoder(new_id)
    return fold([*decoder.feed(body.replace(b"\n", b" ") + b"\n"), *decoder.end()])


def read_embeddings(body: bytes) -> Embeddings:
    """A reply of `/api/embed`.

    Raises:
        UpstreamError: It is not one, or an error in the dress of one.
    """
    fault = error_in_stream(body)
    if fault is not None:
        raise fault
    try:
        reply = _embedded.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise no_reply() from None
    counted = reply.prompt_eval_count
    return Embeddings(reply.embeddings, None if counted is None else Usage(counted), reply.model)


def message_of(parts: list[Part]) -> Object:
    """The message of a whole answer.

    Raises:
        UpstreamInvalid: A call's arguments are not a JSON object, which is all that Ollama's callers can be told.
    """
    message: Object = {"role": "assistant", "content": "".join(map(_text, parts))}
    thoughts = "".join(part.text for part in parts if isinstance(part, Reasoning))
    if thoughts:
        message["thinking"] = thoughts
    images = [part.data for part in parts if isinstance(part, Media) and _is_image(part)]
    if images:
        message["images"] = images
    calls = [part for part in parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = [call_of(index, call) for index, call in enumerate(calls)]
    return message


def _is_image(part: Media) -> bool:
    return part.kind == "image" and bool(part.data)


def _text(part: Part) -> str:
    match part:
        case Text() | Refusal():
            return part.text
        case Media() if _is_image(part):
            return ""
        case Media() | Opaque():
            return omitted(part)
        case _:
            return ""


def call_of(index: int, call: ToolCall) -> Object:
    """A tool call, with its arguments as an object.

    Raises:
        UpstreamInvalid: They are none.
    """
    try:
        arguments = msgspec.json.decode(call.arguments or "{}", type=Object)
    except msgspec.DecodeError:
        raise UpstreamInvalid(f"The model called `{call.name}` with arguments that are not a JSON object.") from None
    return {"id": call.id, "function": {"index": index, "name": call.name, "arguments": arguments}}


def without_cut_calls(answer: Answer) -> Answer:
    """The answer without a last call that was cut off in its arguments: `done_reason` says so, an object cannot."""
    last = answer.parts[-1] if answer.parts else None
    if answer.finish == "length" and isinstance(last, ToolCall):
        try:
            msgspec.json.decode(last.arguments, type=Object)
        except msgspec.DecodeError:
            return msgspec.structs.replace(answer, parts=answer.parts[:-1])
    return answer


def timings(usage: Usage | None, began_ns: int, spoke_ns: int, ended_ns: int) -> Object:
    """The figures at the end of an answer. Durations in nanoseconds, as the gate saw them."""
    used = usage or Usage()
    return {
        "total_duration": ended_ns - began_ns,
        "load_duration": 0,
        "prompt_eval_count": used.input_tokens,
        "prompt_eval_duration": spoke_ns - began_ns,
        "eval_count": used.output_tokens,
        "eval_duration": ended_ns - spoke_ns,
    }


def done_reason(answer_finish: str) -> str:
    """Ollama ends tool calls with `stop`."""
    return "stop" if answer_finish == "tool_calls" else answer_finish


def instant(now_ns: int) -> str:
    """A moment as Ollama writes it."""
    return datetime.fromtimestamp(now_ns / 1e9, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
