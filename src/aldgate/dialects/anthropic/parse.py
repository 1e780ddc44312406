"""Messages requests into neutral words, for providers of other dialects.

Whatever Claude Code sends is taken: fields that mean nothing elsewhere stand in `others`, to be named in a warning.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.conversation import Conversation, Effort, Message, OutputFormat, Part, Thinking, Tool, ToolChoice, ToolResult
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.anthropic import types
from aldgate.dialects.anthropic.blocks import Object, cache_of, listed, parts, texts
from aldgate.dialects.anthropic.carried import ORIGIN
from aldgate.dialects.anthropic.requests import NEWEST_VERSION, betas_of
from aldgate.dialects.reading import read_body

_READ = frozenset(types.MessagesRequest.__struct_fields__)
_BESIDE_A_TOOL = ("input_examples", "defer_loading", "allowed_callers", "eager_input_streaming")
_request = msgspec.json.Decoder(types.MessagesRequest)
_members = msgspec.json.Decoder(dict[str, Any])


def parse(peek: Peek) -> Conversation:
    """Body of `POST /v1/messages`.

    Raises:
        InvalidRequest: A field has a value that this dialect has not, or asks for what only Anthropic's own models do.
    """
    asked = read_body(peek.body, (), _request.decode)
    others = {name: value for name, value in _members.decode(peek.body).items() if name not in _READ and value is not None}
    if betas := betas_of(peek.forward):
        others.setdefault("anthropic_beta", betas)
    _refuse(asked, is_newest=NEWEST_VERSION in peek.forward)
    tools = [_tool(tool, others) for tool in asked.tools or ()]
    choice = asked.tool_choice
    return Conversation(
        origin=ORIGIN,
        messages=[*_system(asked.system), *(each for message in asked.messages for each in _messages(message, others))],
        tools=tools,
        tool_choice=_tool_choice(choice) if tools else None,
        parallel_tool_calls=False if tools and choice and choice.disable_parallel_tool_use else None,
        max_output_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        stop=asked.stop_sequences or [],
        output_format=_output_format(asked),
        thinking=_thinking(asked, others),
        service_tier=asked.service_tier,
        cache=cache_of({"cache_control": asked.cache_control}),
        user=asked.metadata.user_id if asked.metadata else None,
        others=others,
    )


def _refuse(asked: types.MessagesRequest, *, is_newest: bool) -> None:
    if asked.max_tokens == 0:
        raise InvalidRequest("`max_tokens: 0` fills a cache that this model does not have.", param="max_tokens")
    if not is_newest:
        return
    for field in ("temperature", "top_p", "top_k"):
        if getattr(asked, field) is not None:
            raise InvalidRequest(f"`{field}` is not part of version {NEWEST_VERSION.decode()} of this API.", param=field)
    for message in asked.messages:
        blocks = listed(message.content, "messages")
        if message.role == "assistant" and any(block["type"] == "document" for block in blocks):
            raise InvalidRequest("A `document` cannot stand in an assistant's message.", param="messages")
        if message.role == "user" and any(block["type"] == "text" and block.get("citations") for block in blocks):
            raise InvalidRequest("A user's `text` cannot have `citations`.", param="messages")


def _system(system: Any) -> list[Message]:
    said: list[Part] = [] if system is None else list(texts(system, "system"))
    return [Message("system", said)] if said else []


def _messages(message: types.Message, others: Object) -> list[Message]:
    """One message, or two where a user's holds results of tools, which stand before whatever else it says."""
    if message.role == "system":
        said: list[Part] = list(texts(message.content, "messages"))
        return [Message("system", said)] if said else []
    all_parts = parts(message.content, "messages", others)
    results: list[Part] = [part for part in all_parts if isinstance(part, ToolResult)]
    rest: list[Part] = [part for part in all_parts if not isinstance(part, ToolResult)]
    turns = [Message("tool", results)] if results else []
    return [*turns, Message(message.role, rest)] if rest else turns


def _tool(tool: types.Tool, others: Object) -> Tool:
    if tool.type not in (None, "custom"):
        raise InvalidRequest(f"The tool `{tool.type}` is Anthropic's own; this model does not have it.", param="tools")
    for field in _BESIDE_A_TOOL:
        if getattr(tool, field) is not None:
            others[f"tools.{field}"] = getattr(tool, field)
    cache = cache_of({"cache_control": tool.cache_control})
    return Tool(tool.name, tool.description, tool.input_schema, tool.strict, cache=cache)


def _tool_choice(choice: types.ToolChoice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if choice.type == "tool":
        if not choice.name:
            raise InvalidRequest("`tool_choice` of type `tool` needs a `name`.", param="tool_choice")
        return ToolChoice("one", (choice.name,))
    return ToolChoice("required" if choice.type == "any" else choice.type)


def _output_format(asked: types.MessagesRequest) -> OutputFormat | None:
    wanted: Any = (asked.output_config or {}).get("format") or asked.output_format
    match wanted:
        case None:
            return None
        case {"type": "json_schema", "schema": dict()}:
            return OutputFormat(wanted["schema"], strict=True)
        case _:
            raise InvalidRequest("`output_config.format` needs `type: json_schema` and a `schema`.", param="output_config")


def _thinking(asked: types.MessagesRequest, others: Object) -> Thinking | None:
    config = dict(asked.output_config or {})
    effort = config.pop("effort", None)
    config.pop("format", None)
    others.update({f"output_config.{name}": value for name, value in config.items() if value is not None})
    wanted = asked.thinking
    try:
        level = msgspec.convert(effort, Effort | None)
    except msgspec.ValidationError:
        raise InvalidRequest(f"`output_config.effort` cannot be `{effort}`.", param="output_config") from None
    if wanted is None:
        return Thinking(level) if level else None
    if wanted.type == "disabled":
        return Thinking("none")
    if wanted.type == "between_tools":
        others["thinking.type"] = wanted.type
    is_shown = None if wanted.display is None else wanted.display != "omitted"
    return Thinking(level, wanted.budget_tokens if wanted.type == "enabled" else None, is_shown)
