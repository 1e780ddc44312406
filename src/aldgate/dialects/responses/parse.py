"""Responses requests read into neutral conversations, for providers that do not speak Responses.

Wire: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from aldgate.core.conversation import Conversation, Message, OutputFormat, Text, Thinking
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.reading import read_body
from aldgate.dialects.responses.items import Folded
from aldgate.dialects.responses.sealed import ORIGIN
from aldgate.dialects.responses.tools import ToolTable, added_by
from aldgate.dialects.responses.types import ReasoningConfig, ResponseRequest, TextConfig, TextFormat

Object = dict[str, Any]


_request = msgspec.json.Decoder(ResponseRequest)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(ResponseRequest))
_OURS = frozenset({"stream_options", "messages"})
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
    asked = read_body(body, (), _request.decode)
    folded = Folded()
    if asked.instructions:
        folded.messages.append(Message("system", [Text(asked.instructions)]))
    if isinstance(asked.input, str):
        folded.messages.append(Message("user", [Text(asked.input)]))
    for index, item in enumerate(asked.input if isinstance(asked.input, list) else ()):
        folded.add(item, index)
    if not folded.messages:
        raise InvalidRequest("There is nothing to answer: `input` is empty.", param="input")
    table = ToolTable(asked.tools or (), added_by(asked.input))
    text = asked.text or TextConfig()
    return Conversation(
        ORIGIN,
        folded.messages,
        tools=table.tools,
        tool_choice=table.choice(asked.tool_choice) if asked.tools or table.tools else None,
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


def _output_format(wanted: TextFormat | None) -> OutputFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return OutputFormat()
    return OutputFormat(wanted.schema or {}, wanted.name, wanted.description, wanted.strict)


def _thinking(wanted: ReasoningConfig | None) -> Thinking | None:
    if wanted is None:
        return None
    is_shown = True if wanted.summary or wanted.generate_summary else None
    return Thinking(wanted.effort, is_shown=is_shown) if wanted.effort or is_shown else None


def _others(body: bytes, asked: ResponseRequest, left_out: list[str]) -> Iterator[tuple[str, Any]]:
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
