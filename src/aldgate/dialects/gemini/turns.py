"""Neutral messages as `contents[]`: turns of user and model, one after the other.

https://ai.google.dev/api/caching#Content; signatures: https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from mimetypes import guess_type
from typing import Any, cast

import msgspec

from aldgate.core.conversation import (
    Conversation,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.gemini import versions
from aldgate.dialects.gemini.keys import Object
from aldgate.dialects.gemini.signatures import ORIGIN, PLACEHOLDER


def turns_of(asked: Conversation, model: str) -> tuple[list[Object], list[Object]]:
    """Parts of the system instruction (from the system messages in front), and the turns.

    Raises:
        InvalidRequest: A message holds what Gemini cannot be told.
    """
    writing = _Writing(asked, model)
    system: list[Object] = []
    turns: list[Object] = []
    for message in asked.messages:
        if message.role == "system" and not turns:
            system += [{"text": part.text} for part in message.parts if isinstance(part, Text) and part.text]
            continue
        role = "model" if message.role == "assistant" else "user"
        parts = list(writing.parts(message))
        if not parts:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": role, "parts": parts})
    if not turns:
        raise InvalidRequest("The conversation holds nothing but system messages.", param="messages")
    if versions.signs_calls(model):
        _sign(turns)
    return system, turns


def _sign(turns: list[Object]) -> None:
    """Give the first call of each of the model's turns the placeholder where its signature is lost."""
    for turn in turns:
        call = next((part for part in turn["parts"] if "functionCall" in part), None)
        if call is not None and turn["role"] == "model":
            call.setdefault("thoughtSignature", PLACEHOLDER)


class _Writing:
    def __init__(self, asked: Conversation, model: str) -> None:
        self._model = model
        self._origin = asked.origin
        self._names = {part.id: part.name for message in asked.messages for part in message.parts if isinstance(part, ToolCall)}

    def parts(self, message: Message) -> Iterator[Object]:
        said: list[Object] = []
        for part in message.parts:
            if isinstance(part, Reasoning):
                _say_thought(said, part)
            else:
                said += self._part(part)
        yield from said

    def _part(self, part: Part) -> list[Object]:
        match part:
            case Text() | Refusal():
                return [{"text": part.text}] if part.text else []
            case Media():
                return [self._media(part)]
            case ToolCall():
                return [_call(part)]
            case ToolResult():
                return self._result(part)
            case Opaque() if part.origin == ORIGIN:
                return [part.raw]
            case _:
                kind = part.kind if isinstance(part, Opaque) else type(part).__name__
                raise InvalidRequest(f"This model cannot be sent a `{kind}`.", param="messages")

    def _media(self, media: Media) -> Object:
        name: Object = {"displayName": media.name} if media.name and self._origin == ORIGIN else {}
        if media.data is not None:
            if media.media_type is None:
                raise InvalidRequest(f"This model must be told what type the {media.kind} has.", param="messages")
            return {"inlineData": {"mimeType": media.media_type, "data": media.data, **name}}
        if media.file_id is not None and self._origin != ORIGIN:
            raise InvalidRequest("A file of another provider cannot be sent to this model; send its bytes.", param="messages")
        uri = media.url or media.file_id or ""
        media_type = media.media_type or guess_type(uri.partition("?")[0])[0]
        file: Object = {"fileUri": uri, **name}
        return {"fileData": {"mimeType": media_type, **file} if media_type else file}

    def _result(self, result: ToolResult) -> list[Object]:
        name = result.name or self._names.get(result.call_id)
        if name is None:
            raise InvalidRequest(
                f"A tool's result names the call `{result.call_id[:100]}`, which was not made.", param="messages"
            )
        text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
        response: Object = {"id": result.call_id, "name": name, "response": _response(text, is_error=result.is_error)}
        shown = [self._media(part) for part in result.parts if isinstance(part, Media)]
        if not shown or not versions.takes_media_in_results(self._model):
            return [{"functionResponse": response}, *shown]
        return [{"functionResponse": {**response, "parts": shown}}]


def _say_thought(said: list[Object], thought: Reasoning) -> None:
    """Only what Gemini itself signed means anything to it. A proof without words belongs to the text before it."""
    if thought.origin != ORIGIN or thought.signature is None:
        return
    if thought.text:
        said.append({"text": thought.text, "thought": True, "thoughtSignature": thought.signature})
    elif said and "text" in said[-1] and "thoughtSignature" not in said[-1]:
        said[-1]["thoughtSignature"] = thought.signature
    else:
        said.append({"text": "", "thoughtSignature": thought.signature})


def _call(call: ToolCall) -> Object:
    if call.is_custom:
        raise InvalidRequest(f"The call of `{call.name}` holds free text; this model's tools take JSON.", param="messages")
    try:
        arguments: Any = msgspec.json.decode(call.arguments) if call.arguments.strip() else {}
    except msgspec.DecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise InvalidRequest(f"The arguments of the call of `{call.name}` are not a JSON object.", param="messages")
    said: Object = {"functionCall": {"id": call.id, "name": call.name, "args": cast(Object, arguments)}}
    if call.signature is not None and call.origin == ORIGIN:
        said["thoughtSignature"] = call.signature
    return said


def _response(text: str, *, is_error: bool) -> Object:
    """An object: the tool's own if it gave one, else its text under the key that Google reads it from."""
    if is_error:
        return {"error": text}
    try:
        given: Any = msgspec.json.decode(text) if text.startswith("{") else None
    except msgspec.DecodeError:
        given = None
    return cast(Object, given) if isinstance(given, dict) else {"output": text}
