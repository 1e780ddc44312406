"""Neutral requests as OpenAI chat and embedding bodies, for providers that speak OpenAI's wire.

Shapes: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any, cast

from aldgate.core.conversation import (
    Conversation,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from aldgate.core.errors import InvalidRequest
from aldgate.core.operations import EmbedRequest
from aldgate.dialects import callers
from aldgate.dialects.functions import parameters_of
from aldgate.dialects.openai.words import effort_of, sound_of
from aldgate.dialects.plain import attachments_of, results_of, thoughts_of
from aldgate.dialects.unsayable import cache_marks

Object = dict[str, Any]

ORIGIN = "openai"


def build_embedding(asked: EmbedRequest, model: str, warnings: list[str]) -> Object:
    """Body of `POST /v1/embeddings`."""
    if asked.task is not None:
        warnings.append("task")
    body: Object = {"model": model, "input": asked.inputs}
    if asked.dimensions is not None:
        body["dimensions"] = asked.dimensions
    return body


def build_chat(asked: Conversation, model: str, *, stream: bool, cap_field: str, warnings: list[str]) -> Object:
    """Body of `POST /v1/chat/completions`; `warnings` takes the names of what was left out.

    Raises:
        InvalidRequest: It asks for what OpenAI's chat cannot say.
    """
    body: Object = {"model": model, "messages": [each for message in asked.messages for each in _messages(message, warnings)]}
    given = {
        cap_field: asked.max_output_tokens or None,  # Anthropic's 0 asks for no answer at all; here nothing can
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "seed": asked.seed,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "stop": asked.stop[:4] or None,
        "n": asked.choices if asked.choices > 1 else None,
        "reasoning_effort": effort_of(asked.thinking),
        "verbosity": asked.verbosity,
        "response_format": _response_format(asked.output_format),
        "tools": [_tool(tool) for tool in asked.tools] or None,
        "tool_choice": _tool_choice(asked.tool_choice) if asked.tools else None,
        "parallel_tool_calls": asked.parallel_tool_calls if asked.tools else None,
        "prompt_cache_key": asked.cache_key,
        "user": callers.short(asked.user),
    }
    if asked.top_logprobs is not None:
        given |= {"logprobs": True, "top_logprobs": asked.top_logprobs or None}
    body.update((name, value) for name, value in given.items() if value is not None)
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    warnings += _left_out(asked)
    return body


def _left_out(asked: Conversation) -> Iterator[str]:
    if asked.top_k is not None:
        yield "top_k"
    if len(asked.stop) > 4:
        yield "stop[4:]"
    if asked.max_output_tokens == 0:
        yield "max_tokens"
    if asked.service_tier is not None:
        yield "service_tier"
    if asked.metadata:
        yield "metadata"
    if asked.cache is not None:
        yield "cache"
    yield from cache_marks(asked)
    yield from asked.others


def _response_format(wanted: OutputFormat | None) -> Object | None:
    if wanted is None:
        return None
    if wanted.schema is None:
        return {"type": "json_object"}
    schema: Object = {"name": wanted.name, "schema": wanted.schema}
    if wanted.description is not None:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _tool(tool: Tool) -> Object:
    inner: Object = {"name": tool.name}
    if tool.description is not None:
        inner["description"] = tool.description
    if tool.is_custom:
        if tool.grammar is not None:
            inner["format"] = tool.grammar
        return {"type": "custom", "custom": inner}
    inner["parameters"] = parameters_of(tool)
    if tool.strict is not None:
        inner["strict"] = tool.strict
    return {"type": "function", "function": inner}


def _tool_choice(choice: ToolChoice | None) -> str | Object | None:
    if choice is None or not choice.names:
        return choice and choice.mode
    if choice.mode == "one":
        return {"type": "function", "function": {"name": choice.names[0]}}
    tools = [{"type": "function", "function": {"name": name}} for name in choice.names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}


def _messages(message: Message, warnings: list[str]) -> Iterator[Object]:
    match message.role:
        case "tool":
            yield from _tool_messages(message, warnings)
        case "assistant":
            yield _assistant(message)
        case role:
            spoken: Object = {"role": role, "content": _content(message.parts)}
            if message.name is not None:
                spoken["name"] = message.name
            yield spoken


def _tool_messages(message: Message, warnings: list[str]) -> Iterator[Object]:
    """One message per result. OpenAI's take text alone, so what else a tool gave follows as the user's."""
    for result, text in results_of(message, warnings):
        yield {"role": "tool", "tool_call_id": result.call_id, "content": text}
    if shown := attachments_of(message):
        yield {"role": "user", "content": _content(shown)}


def _assistant(message: Message) -> Object:
    spoken: Object = {"role": "assistant"}
    text = [part for part in message.parts if isinstance(part, Text)]
    spoken["content"] = "\n\n".join(part.text for part in text) if text else None
    thoughts = thoughts_of(message.parts)
    calls = [_call(part) for part in message.parts if isinstance(part, ToolCall)]
    refusals = [part.text for part in message.parts if isinstance(part, Refusal)]
    if thoughts and calls:  # DeepSeek refuses a tool turn without its thoughts, and others ignore the field
        spoken["reasoning_content"] = thoughts
    if refusals:
        spoken["refusal"] = "\n".join(refusals)
    if calls:
        spoken["tool_calls"] = calls
    for part in message.parts:
        if isinstance(part, Media | Opaque):
            raise InvalidRequest(f"An assistant's message cannot hold {_kind(part)} for this model.", param="messages")
    return spoken


def _call(call: ToolCall) -> Object:
    if call.is_custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    said: Object = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
    }
    if call.signature is not None and call.origin == "gemini":
        said["extra_content"] = {"google": {"thought_signature": call.signature}}
    return said


def _content(parts: list[Part]) -> str | list[Object]:
    if all(isinstance(part, Text) for part in parts):
        texts = [cast(Text, part).text for part in parts]
        if len(texts) == 1:
            return texts[0]
    return [_part(part) for part in parts]


def _part(part: Part) -> Object:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Media(kind="image"):
            image: Object = {"url": _url(part)}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Media(kind="audio", data=str()) if (sound := sound_of(part)) is not None:
            return sound
        case Media(kind="document", media_type="text/plain", data=str(data)):
            return {"type": "text", "text": _plain(data)}
        case Media(kind="document", data=str()):
            return {"type": "file", "file": {"file_data": _url(part), "filename": part.name or "document"}}
        case _:
            raise InvalidRequest(f"A message cannot hold {_kind(part)} for this model.", param="messages")


def _plain(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidRequest("A text document is not base64 of UTF-8.", param="messages") from None


def _url(media: Media) -> str:
    if media.url is not None:
        return media.url
    if media.data is None:
        raise InvalidRequest("A file of another provider cannot be sent to this model; send its bytes.", param="messages")
    return f"data:{media.media_type or 'application/octet-stream'};base64,{media.data}"


def _kind(part: Part) -> str:
    match part:
        case Opaque():
            return f"a `{part.kind}`"
        case Media():
            return f"this {part.kind}" if part.file_id is None else f"a {part.kind} by file id"
        case _:
            return f"a {type(part).__name__}"
