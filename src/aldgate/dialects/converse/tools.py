"""Tools and the choice among them, and calls told as text where no tool may be called."""

from typing import Any, cast

import msgspec

from aldgate.core.conversation import Conversation, Message, Part, Text, Tool, ToolCall, ToolResult
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.converse.families import is_claude, one_call_at_a_time

Fields = dict[str, Any]
CACHE_POINT = "cachePoint"


def cache_point(ttl: str) -> Fields:
    """Keep the prompt up to here. Only an hour is worth saying; five minutes are what Converse takes anyway."""
    return {CACHE_POINT: {"type": "default", "ttl": "1h"} if ttl == "1h" else {"type": "default"}}


def offered(asked: Conversation) -> list[Tool]:
    """The tools that the model may call now: none if the caller says so, else those its choice names, else all.

    Raises:
        InvalidRequest: One of them takes free text, or the choice names one that is not there.
    """
    choice = asked.tool_choice
    if choice is not None and choice.mode == "none":
        return []
    for tool in asked.tools:
        if tool.is_custom:
            raise InvalidRequest(f"`{tool.name}` takes free text; this model calls tools with JSON only.", param="tools")
    if choice is None or not choice.names:
        return asked.tools
    known = {tool.name for tool in asked.tools}
    if missing := [name for name in choice.names if name not in known]:
        raise InvalidRequest(f"`tool_choice` names `{missing[0]}`, which is not among the tools.", param="tool_choice")
    if choice.mode == "one":
        return asked.tools
    return [tool for tool in asked.tools if tool.name in choice.names]


def tool_config(
    asked: Conversation, model: str, tools: list[Tool], *, caches: bool, warnings: list[str]
) -> tuple[Fields, Fields]:
    """`toolConfig`, and what Claude is told of the choice in its own words."""
    specs: list[Fields] = []
    for tool in tools:
        specs.append({"toolSpec": _spec(tool)})
        if tool.cache and caches:
            specs.append(cache_point(tool.cache))
    config: Fields = {"tools": specs}
    if asked.parallel_tool_calls is False:
        if is_claude(model):
            return config, one_call_at_a_time(asked.tool_choice)
        warnings.append("parallel_tool_calls")
    match asked.tool_choice:
        case None:
            pass
        case choice if choice.mode == "required":
            config["toolChoice"] = {"any": {}}
        case choice if choice.mode == "one":
            config["toolChoice"] = {"tool": {"name": choice.names[0]}}
        case _:
            config["toolChoice"] = {"auto": {}}
    return config, {}


def _spec(tool: Tool) -> Fields:
    schema: Fields = {"type": "object", "properties": {}} if tool.parameters is None else tool.parameters
    if "type" not in schema:
        schema = {"type": "object", **schema}
    spec: Fields = {"name": tool.name, "inputSchema": {"json": schema}}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return spec


def has_calls(messages: list[Message]) -> bool:
    """Whether tools were called in the conversation so far."""
    return any(isinstance(part, ToolCall | ToolResult) for message in messages for part in message.parts)


def told_as_text(messages: list[Message]) -> list[Message]:
    """The conversation with its calls and results in words.

    Converse refuses a history with calls unless tools are offered, and has no way to offer tools that must not be called.
    So that no tool is called that the caller does not offer now, the past calls become text.
    """
    return [_told(message) for message in messages]


def _told(message: Message) -> Message:
    parts: list[Part] = []
    for part in message.parts:
        match part:
            case ToolCall():
                parts.append(Text(f"[Called the tool {part.name} ({part.id}) with {part.arguments or '{}'}]"))
            case ToolResult():
                parts.append(Text(f"[The call {part.call_id} {'failed with' if part.is_error else 'returned'}:]"))
                parts.extend(part.parts)
            case _:
                parts.append(part)
    return Message("user" if message.role == "tool" else message.role, parts, message.name)


def arguments(call: ToolCall) -> Fields:
    """A call's arguments as the object that Converse wants. Text that is no JSON object is kept in one."""
    if call.is_custom:
        return {"input": call.arguments}
    try:
        found: Any = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        found = call.arguments
    return cast(Fields, found) if isinstance(found, dict) else {"arguments": found}
