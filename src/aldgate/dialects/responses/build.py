"""Neutral conversations as Responses requests, for models that are to be had no other way, or better this way.

Wire: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aldgate.core.conversation import (
    Conversation,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from aldgate.core.errors import InvalidRequest
from aldgate.dialects import callers
from aldgate.dialects.functions import parameters_of
from aldgate.dialects.openai.words import effort_of, sound_of
from aldgate.dialects.responses.sealed import ORIGIN
from aldgate.dialects.unsayable import cache_marks

Object = dict[str, Any]


def build(asked: Conversation, model: str, *, stream: bool, warnings: list[str]) -> Object:
    """Body of `POST /v1/responses`; `warnings` takes the names of what was left out.

    Nothing is kept at the provider: whatever state a caller has is the gate's.

    Raises:
        InvalidRequest: It asks for what Responses cannot say.
    """
    _refuse(asked)
    instructions, messages = _led(asked.messages)
    items = _Items(asked.origin, warnings)
    for message in messages:
        items.add(message)
    body: Object = {"model": model, "input": items.found, "store": False}
    given = {
        "instructions": instructions,
        "max_output_tokens": asked.max_output_tokens or None,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "tools": [_tool(tool) for tool in asked.tools] or None,
        "tool_choice": _tool_choice(asked.tool_choice, asked.tools) if asked.tools else None,
        "parallel_tool_calls": asked.parallel_tool_calls if asked.tools else None,
        "reasoning": _reasoning(asked.thinking),
        "include": ["reasoning.encrypted_content"] if _thinks(asked.thinking) else None,
        "text": _text(asked.output_format, asked.verbosity),
        "prompt_cache_key": asked.cache_key,
        "service_tier": asked.service_tier if asked.origin == "openai" else None,
        "user": callers.short(asked.user),
        "stream": stream or None,
    }
    body.update((name, value) for name, value in given.items() if value is not None)
    warnings += _left_out(asked)
    return body


def _refuse(asked: Conversation) -> None:
    if asked.stop:
        raise InvalidRequest("This model's provider knows no stop strings.", param="stop")
    if asked.choices > 1:
        raise InvalidRequest("This model's provider gives one answer at a time.", param="n")
    if asked.top_logprobs is not None:
        raise InvalidRequest("Log probabilities cannot be had from this model.", param="logprobs")


def _left_out(asked: Conversation) -> Iterator[str]:
    for name in ("top_k", "seed", "presence_penalty", "frequency_penalty"):
        if getattr(asked, name) is not None:
            yield name
    if asked.service_tier is not None and asked.origin != "openai":
        yield "service_tier"
    if asked.max_output_tokens == 0:
        yield "max_tokens"
    if asked.metadata:
        yield "metadata"
    if asked.cache is not None:
        yield "cache"
    yield from cache_marks(asked)
    yield from asked.others


def _led(messages: list[Message]) -> tuple[str | None, list[Message]]:
    """The instructions that lead the conversation, and the rest of it."""
    count = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    texts = [part.text for message in messages[:count] for part in message.parts if isinstance(part, Text)]
    return "\n\n".join(texts) or None, messages[count:]


def _thinks(thinking: Thinking | None) -> bool:
    """Only a caller who asks for thought gets its proof: models that do not think refuse to be asked for it."""
    if thinking is None or thinking.effort == "none":
        return False
    return thinking.effort is not None or bool(thinking.budget_tokens)


def _reasoning(thinking: Thinking | None) -> Object | None:
    if thinking is None:
        return None
    effort = effort_of(thinking)
    wanted: Object = {} if effort is None else {"effort": effort}
    if thinking.is_shown:
        wanted["summary"] = "auto"
    return wanted or None


def _text(wanted: OutputFormat | None, verbosity: str | None) -> Object | None:
    text: Object = {} if verbosity is None else {"verbosity": verbosity}
    if wanted is not None and wanted.schema is None:
        text["format"] = {"type": "json_object"}
    elif wanted is not None:
        schema = {"name": wanted.name, "schema": wanted.schema, "strict": wanted.strict, "description": wanted.description}
        text["format"] = {"type": "json_schema", **{name: value for name, value in schema.items() if value is not None}}
    return text or None


def _tool(tool: Tool) -> Object:
    said: Object = {"name": tool.name} if tool.description is None else {"name": tool.name, "description": tool.description}
    if tool.is_custom:
        return {"type": "custom", **said} if tool.grammar is None else {"type": "custom", **said, "format": tool.grammar}
    parameters = parameters_of(tool)
    # Here a function is strict unless it says otherwise; everywhere else it is the other way round.
    return {"type": "function", **said, "parameters": parameters, "strict": bool(tool.strict)}


def _tool_choice(choice: ToolChoice | None, tools: list[Tool]) -> str | Object | None:
    if choice is None or not choice.names:
        return choice and choice.mode
    custom = {tool.name for tool in tools if tool.is_custom}
    named = [{"type": "custom" if name in custom else "function", "name": name} for name in choice.names]
    return named[0] if choice.mode == "one" else {"type": "allowed_tools", "mode": choice.mode, "tools": named}


class _Items:
    """Input items, as they are made of messages."""

    def __init__(self, origin: str, warnings: list[str]) -> None:
        self.found: list[Object] = []
        self._origin = origin
        self._warnings = warnings
        self._custom: set[str] = set()

    def add(self, message: Message) -> None:
        """One message: several items for an assistant's or a tool's."""
        if message.name is not None:
            self._warnings.append("messages.name")
        match message.role:
            case "assistant":
                for part in message.parts:
                    self._assistant(part)
            case "tool":
                for part in message.parts:
                    if isinstance(part, ToolResult):
                        self._result(part)
            case role:
                content = [self._piece(part) for part in message.parts]
                self.found.append({"type": "message", "role": role, "content": content})

    def _assistant(self, part: Part) -> None:
        match part:
            case Text():
                self._say({"type": "output_text", "text": part.text})
            case Refusal():
                self._say({"type": "refusal", "refusal": part.text})
            case Reasoning():
                if part.origin == ORIGIN and part.signature is not None:
                    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
                    self.found.append({"type": "reasoning", "summary": summary, "encrypted_content": part.signature})
            case ToolCall(is_custom=True):
                self._custom.add(part.id)
                self.found.append({"type": "custom_tool_call", "call_id": part.id, "name": part.name, "input": part.arguments})
            case ToolCall():
                arguments = part.arguments or "{}"
                self.found.append({"type": "function_call", "call_id": part.id, "name": part.name, "arguments": arguments})
            case Opaque(origin="responses"):
                self.found.append(part.raw)
            case _:
                raise InvalidRequest("An assistant's message cannot hold this for this model.", param="messages")

    def _say(self, piece: Object) -> None:
        last = self.found[-1] if self.found else {}
        if last.get("role") == "assistant":
            last["content"].append(piece)
        else:
            self.found.append({"type": "message", "role": "assistant", "content": [piece]})

    def _result(self, result: ToolResult) -> None:
        kind = "custom_tool_call_output" if result.call_id in self._custom else "function_call_output"
        pieces = [self._piece(part) for part in result.parts]
        if result.is_error:
            self._warnings.append("is_error")
            pieces.insert(0, {"type": "input_text", "text": "Error:"})
        is_text = len(pieces) == 1 and pieces[0]["type"] == "input_text"
        self.found.append({"type": kind, "call_id": result.call_id, "output": pieces[0]["text"] if is_text else pieces})

    def _piece(self, part: Part) -> Object:
        match part:
            case Text():
                return {"type": "input_text", "text": part.text}
            case Media(kind="image"):
                return self._image(part)
            case Media(kind="document"):
                return self._document(part)
            case Media(kind="audio", data=str()) if (sound := sound_of(part)) is not None:
                return sound
            case Media():
                raise InvalidRequest(f"This model takes no {part.kind} of this kind.", param="messages")
            case Opaque(origin="responses"):
                return part.raw
            case _:
                raise InvalidRequest("A message holds what this model cannot read.", param="messages")

    def _image(self, image: Media) -> Object:
        said: Object = {"type": "input_image", "detail": image.detail or "auto"}
        if image.file_id is not None:
            return {**said, "file_id": self._own(image.file_id)}
        return {**said, "image_url": image.url or _data_url(image, "image/png")}

    def _document(self, file: Media) -> Object:
        said: Object = {"type": "input_file"}
        if file.file_id is not None:
            return {**said, "file_id": self._own(file.file_id)}
        if file.url is not None:
            return {**said, "file_url": file.url}
        return {**said, "filename": file.name or "document.pdf", "file_data": _data_url(file, "application/pdf")}

    def _own(self, file_id: str) -> str:
        if self._origin != "openai":
            raise InvalidRequest("A file kept at another provider cannot be sent to this model.", param="messages")
        return file_id


def _data_url(media: Media, usual: str) -> str:
    return f"data:{media.media_type or usual};base64,{media.data}"
