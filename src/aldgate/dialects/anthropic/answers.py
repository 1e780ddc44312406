"""Whole answers, read and written.

Wire: https://platform.claude.com/docs/en/api/messages, "Returns".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from aldgate.core.conversation import Answer, Conversation, Finish, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import UpstreamInvalid
from aldgate.dialects.anthropic import answer_tool
from aldgate.dialects.anthropic.carried import ORIGIN, carried, carried_of_call
from aldgate.dialects.anthropic.errors import ErrorBody, error_in_reply
from aldgate.dialects.anthropic.usage import WireUsage, write_usage
from aldgate.dialects.omitted import omitted

Object = dict[str, Any]

_FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STOPS: dict[Finish, str] = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


class _Message(msgspec.Struct):
    content: list[Object] = []
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: WireUsage | None = None
    error: ErrorBody | str | None = None


_message = msgspec.json.Decoder(_Message)


def finish_of(stop_reason: str | None, *, has_calls: bool, by_tool: bool = False) -> Finish:
    """Why the model stopped. An answer that calls tools waits for them, whatever the provider says, unless it was cut off.

    `by_tool`: it called `answer_tool`, and nobody waits for what comes of that.
    """
    finish = _FINISHES.get(stop_reason or "", "stop")
    if by_tool and not has_calls and finish == "tool_calls":
        return "stop"
    return "tool_calls" if has_calls and finish == "stop" else finish


def stop_reason_of(finish: Finish, stop_sequence: str | None, *, has_calls: bool) -> str:
    """The same in Anthropic's words."""
    if finish == "stop" and has_calls:
        return "tool_use"
    return "stop_sequence" if finish == "stop" and stop_sequence is not None else _STOPS[finish]


def read(body: bytes) -> Answer:
    """A whole reply.

    Raises:
        UpstreamError: It is none, or an error in the dress of one.
    """
    try:
        seen = _message.decode(body)
        if seen.error is not None:
            raise error_in_reply(seen.error)
        parts = [read_block(block) for block in seen.content]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise UpstreamInvalid("The provider's reply is not a message.") from None
    calls = any(isinstance(part, ToolCall) for part in parts)
    by_tool = any(block.get("name") == answer_tool.NAME for block in seen.content)
    finish = finish_of(seen.stop_reason, has_calls=calls, by_tool=by_tool)
    usage = seen.usage.canonical() if seen.usage else None
    return Answer(parts, finish, usage, seen.id, seen.model, seen.stop_sequence)


def read_block(block: Object) -> Part:
    """One block of an answer."""
    match block:
        case {"type": "text", "text": str(text)}:
            return Text(text)
        case {"type": "thinking", "thinking": str(thought)}:
            return Reasoning(thought, block.get("signature") or None, origin=ORIGIN)
        case {"type": "redacted_thinking", "data": str(data)}:
            return Reasoning(redacted=data, origin=ORIGIN)
        case {"type": "tool_use", "name": answer_tool.NAME}:
            return Text(msgspec.json.encode(block.get("input") or {}).decode())
        case {"type": "tool_use", "id": str(call_id), "name": str(name)}:
            return ToolCall(call_id, name, arguments_of(block.get("input")))
        case {"type": "tool_use"}:
            raise UpstreamInvalid("The provider called a tool without its name or the call's id.")
        case _:
            return Opaque(ORIGIN, block["type"], block)


def arguments_of(given: Any) -> str:
    """A call's `input` as JSON text; nothing where there is nothing in it."""
    return msgspec.json.encode(given).decode() if given else ""


def write(call_id: str, model: str, asked: Conversation, answer: Answer) -> bytes:
    """A whole answer as a message."""
    content = [block for part in answer.parts for block in _blocks(part, asked)]
    calls = any(isinstance(part, ToolCall) for part in answer.parts)
    stop_sequence = answer.stop_sequence if answer.finish == "stop" else None
    return msgspec.json.encode(
        {
            "id": message_id(answer.id, call_id),
            "type": "message",
            "role": "assistant",
            "model": answer.model or model,
            "content": content,
            "stop_reason": stop_reason_of(answer.finish, stop_sequence, has_calls=calls),
            "stop_sequence": stop_sequence,
            "usage": write_usage(answer.usage),
        }
    )


def message_id(given: str, call_id: str) -> str:
    """The provider's id where it is one of this dialect's, else the call's own."""
    return given if given.startswith("msg_") else f"msg_{call_id.removeprefix('req-')}"


def wants_thoughts(asked: Conversation) -> bool:
    """Claude tells its thoughts only to callers who asked for them; many read `content[0]` as the answer."""
    return asked.thinking is not None and asked.thinking.effort != "none"


def _blocks(part: Part, asked: Conversation) -> Iterator[Object]:
    match part:
        case Text() | Refusal():
            if part.text:
                yield {"type": "text", "text": part.text}
        case Reasoning(redacted=str(data)):
            yield {"type": "redacted_thinking", "data": data}
        case Reasoning():
            if wants_thoughts(asked):
                text = "" if asked.thinking and asked.thinking.is_shown is False else part.text
                yield {"type": "thinking", "thinking": text, "signature": carried(part.origin, part.signature)}
        case ToolCall():
            if part.signature:
                yield carried_of_call(part.origin, part.signature)
            yield {"type": "tool_use", "id": part.id, "name": part.name, "input": _object(part.arguments)}
        case Opaque(origin="anthropic"):
            yield part.raw
        case Media() | Opaque():
            yield {"type": "text", "text": omitted(part)}
        case _:
            raise TypeError(f"an answer holds no {type(part).__name__}")


def _object(arguments: str) -> Object:
    """Arguments as the object they are. Cut off by a bound on output, they are none; Anthropic ends such calls so, too."""
    try:
        return msgspec.json.decode(arguments, type=dict[str, Any]) if arguments.strip() else {}
    except msgspec.DecodeError:
        return {}
