"""Responses objects for callers: the frame that repeats what was asked, and the items of the answer.

Shapes: https://platform.openai.com/docs/api-reference/responses/object. Strict clients want every field that is here.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.conversation import Answer, Finish, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import InvalidRequest
from aldgate.core.usage import Usage
from aldgate.dialects.omitted import omitted
from aldgate.dialects.responses.sealed import ORIGIN, seal_call, seal_thought
from aldgate.dialects.responses.tools import ToolTable, added_by, unwrapped
from aldgate.dialects.responses.usage import usage_of

Object = dict[str, Any]

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_tools = msgspec.json.Decoder(list[Object])
_ECHOED: Object = {
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, and what it says where that says nothing."""


def key_of(call_id: str) -> str:
    """What all ids of a call's response have in common."""
    return call_id.rpartition("-")[2]


def response_id(call_id: str) -> str:
    """The id of a call's response."""
    return f"resp_{key_of(call_id)}"


class Frame:
    """A response but for its answer.

    Attributes:
        key: See `key_of`.
        table: The tools of the request.
    """

    def __init__(self, call_id: str, peek: Peek) -> None:
        asked = _members.decode(peek.body)
        self.key = key_of(call_id)
        given = {name: value for name in _ECHOED if (value := asked.get(name)) is not None and bytes(value) != b"null"}
        added = added_by(msgspec.json.decode(asked["input"])) if b'"additional_tools"' in peek.body else ()
        self.table = ToolTable(_tools.decode(given["tools"]) if "tools" in given else (), added)
        self._common: Object = {
            "id": response_id(call_id),
            "object": "response",
            "created_at": int(time.time()),
            "model": peek.model,
            **_ECHOED,
            **given,
        }

    def queued(self) -> Object:
        """The response before anybody has begun with it."""
        return self._said("queued", [], None)

    def begun(self) -> Object:
        """The response before anything is said."""
        return self._said("in_progress", [], None)

    def ended(self, finish: Finish, output: list[Object], usage: Usage | None) -> Object:
        """The complete response."""
        reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish)
        done = self._said("completed" if reason is None else "incomplete", output, usage or Usage())
        if reason is None:
            done["completed_at"] = int(time.time())
        else:
            done["incomplete_details"] = {"reason": reason}
        return done

    def failed(self, error: Object) -> Object:
        """The response that broke off."""
        return {**self._said("failed", [], None), "error": error}

    def _said(self, status: str, output: list[Object], usage: Usage | None) -> Object:
        return {
            **self._common,
            "status": status,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "output": output,
            "usage": None if usage is None else usage_of(usage),
        }


def framed(call_id: str, peek: Peek) -> Frame:
    """The frame of a request that nobody has read all of.

    Raises:
        InvalidRequest: Its tools are none.
    """
    try:
        return Frame(call_id, peek)
    except (msgspec.ValidationError, RecursionError):
        raise InvalidRequest("`tools` is no list of tools.", param="tools") from None


def text_part(text: str) -> Object:
    """Text within a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal_part(text: str) -> Object:
    """A refusal within a message."""
    return {"type": "refusal", "refusal": text}


def message_item(item_id: str, content: list[Object], status: str = "completed") -> Object:
    """What the model says to the user."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def thought_item(item_id: str, text: str, sealed: str | None) -> Object:
    """What the model thought: in the summary, where clients look, and its proof."""
    item: Object = {"id": item_id, "type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else []}
    return item if sealed is None else {**item, "encrypted_content": sealed}


def image_item(item_id: str, data: str) -> Object:
    """An image that the model made, base64, where OpenAI's own tool puts it."""
    return {"id": item_id, "type": "image_generation_call", "status": "completed", "result": data}


def call_item(item_id: str, call: ToolCall, table: ToolTable, status: str = "completed") -> Object:
    """A call to one of the caller's tools, under the name and in the form the caller knows."""
    tool = table.declared(call.name)
    item: Object = {"id": item_id, "call_id": call.id, "name": tool.name, "status": status}
    if tool.namespace is not None:
        item["namespace"] = tool.namespace
    if tool.is_custom or call.is_custom:
        return {**item, "type": "custom_tool_call", "input": unwrapped(call)}
    return {**item, "type": "function_call", "arguments": call.arguments}


def items_of(answer: Answer, frame: Frame) -> list[Object]:
    """The output items of a whole answer."""
    found: list[Object] = []
    for part in answer.parts:
        _add(part, found, frame)
    return found


def _add(part: Part, found: list[Object], frame: Frame) -> None:
    match part:
        case Text() | Refusal():
            piece = text_part(part.text) if isinstance(part, Text) else refusal_part(part.text)
            if found and found[-1]["type"] == "message":
                found[-1]["content"].append(piece)
            else:
                found.append(message_item(item_id("msg", frame, len(found)), [piece]))
        case Reasoning():
            found.append(thought_item(item_id("rs", frame, len(found)), part.text, seal_thought(part)))
        case ToolCall():
            proof = seal_call(part)
            if proof is not None:
                found.append(thought_item(item_id("rs", frame, len(found)), "", proof))
            found.append(call_item(item_id("fc", frame, len(found)), part, frame.table))
        case Opaque(origin=origin) if origin == ORIGIN:
            found.append(part.raw)
        case Media(kind="image", data=str(data)):
            found.append(image_item(item_id("ig", frame, len(found)), data))
        case Media() | Opaque():
            _add(Text(omitted(part)), found, frame)
        case _:
            raise TypeError(f"an answer holds no {type(part).__name__}")


def item_id(kind: str, frame: Frame, index: int) -> str:
    """The id of an output item; the response it belongs to can be read from it."""
    return f"{kind}_{frame.key}_{index}"
