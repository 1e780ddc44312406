"""Responses requests read into neutral conversations, for providers that do not speak Responses.

Wire: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from aldgate.core.conversation import Conversation, Effort, Message, OutputFormat, Text, Thinking
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.responses.items import Folded
from aldgate.dialects.responses.requests import invalid_field
from aldgate.dialects.responses.sealed import ORIGIN
from aldgate.dialects.responses.tools import ToolTable

Object = dict[str, Any]


class _Format(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    name: str = "answer"
    schema: Object | None = None
    strict: bool | None = None
    description: str | None = None


class _TextConfig(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Thinking(msgspec.Struct):
    effort: Effort | None = None
    summary: str | None = None
    generate_summary: str | None = None


class _Request(msgspec.Struct):
    model: str
    input: str | list[Any] | None = None
    instructions: str | None = None
    tools: list[Object] | None = None
    tool_choice: str | Object | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    text: _TextConfig | None = None
    reasoning: _Thinking | None = None
    include: list[str] | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None


_request = msgspec.json.Decoder(_Request)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(_Request))
_OURS = frozenset({"stream", "stream_options", "store", "background", "previous_response_id", "messages", "type", "stream_id"})
"""What the gate acts on itself."""
_NEEDED = {
    "conversation": "Conversations are kept at OpenAI; continue one here by `previous_response_id` or by sending its items.",
    "prompt": "Prompt templates are kept at OpenAI; send `instructions` and `input` themselves.",
    "moderation": "This model's provider does not moderate what it answers.",
}
"""Fields without which the answer would be another one, and what to do instead."""
_DEFAULTS = {"truncation": b'"disabled"'}
_LOGPROBS = "message.output_text.logprobs"


def parse(body: bytes) -> Conversation:
    """Read all of a request that `peek` found sound.

    Raises:
        InvalidRequest: A field has a value that there is not, or asks for what only OpenAI has.
    """
    try:
        asked = _request.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_field(error) from None
    folded = Folded()
    if asked.instructions:
        folded.messages.append(Message("system", [Text(asked.instructions)]))
    if isinstance(asked.input, str):
        folded.messages.append(Message("user", [Text(asked.input)]))
    for index, item in enumerate(asked.input if isinstance(asked.input, list) else ()):
        folded.add(item, index)
    if not folded.messages:
        raise InvalidRequest("There is nothing to answer: `input` is empty.", param="input")
    table = ToolTable(asked.tools or [])
    text = asked.text or _TextConfig()
    return Conversation(
        ORIGIN,
        folded.messages,
        tools=table.tools,
        tool_choice=table.choice(asked.tool_choice) if asked.tools else None,
        parallel_tool_calls=asked.parallel_tool_calls if table.tools else None,
        max_output_tokens=asked.max_output_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        output_format=_output_format(text.format),
        thinking=_thinking(asked.reasoning),
        verbosity=text.verbosity,
        service_tier=asked.service_tier if asked.service_tier != "auto" else None,
        cache_key=asked.prompt_cache_key,
        user=asked.safety_identifier or asked.user,
        metadata=asked.metadata or {},
        others=dict(_others(body, asked, [*table.left_out, *folded.left_out])),
    )


def _output_format(wanted: _Format | None) -> OutputFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return OutputFormat()
    return OutputFormat(wanted.schema or {}, wanted.name, wanted.description, wanted.strict)


def _thinking(wanted: _Thinking | None) -> Thinking | None:
    if wanted is None:
        return None
    is_shown = True if wanted.summary or wanted.generate_summary else None
    return Thinking(wanted.effort, is_shown=is_shown) if wanted.effort or is_shown else None


def _others(body: bytes, asked: _Request, left_out: list[str]) -> Iterator[tuple[str, Any]]:
    """What only OpenAI has, by name.

    Raises:
        InvalidRequest: Without it the answer would be another one.
    """
    if asked.top_logprobs or _LOGPROBS in (asked.include or ()):
        raise InvalidRequest("Log probabilities cannot be had from this model.", param="top_logprobs")
    for name, value in _members.decode(body).items():
        said = bytes(value)
        if name in _KNOWN or name in _OURS or said in (b"null", b"{}", b"[]") or said == _DEFAULTS.get(name):
            continue
        if name in _NEEDED:
            raise InvalidRequest(_NEEDED[name], param=name)
        yield name, msgspec.json.decode(value)
    yield from ((name, True) for name in left_out)
