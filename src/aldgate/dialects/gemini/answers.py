"""Answers in Gemini's words, and whole ones read from them: one shape serves whole replies and pieces of streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from aldgate.core.conversation import Answer, Finish, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.events import Event, Folding
from aldgate.core.usage import Usage
from aldgate.dialects.gemini import signatures
from aldgate.dialects.gemini.chunks import Reading, decode
from aldgate.dialects.gemini.finish import WORDS
from aldgate.dialects.gemini.keys import Object
from aldgate.dialects.gemini.usage import metadata_of
from aldgate.dialects.omitted import omitted

MALFORMED = "MALFORMED_FUNCTION_CALL"


def read_chat(body: bytes) -> Answer:
    """A whole reply.

    Raises:
        UpstreamError: It is none, or an error in the dress of one, or the model gave up.
    """
    reading, folding = Reading(), Folding()
    events: list[Event] = reading.events(decode(body))
    for event in events:
        folding.feed(event)
    if not reading.reason:
        raise UpstreamInvalid("The provider's reply holds no finished answer.")
    folding.feed(reading.finished())
    return folding.answer


def write_chat(call_id: str, model: str, answer: Answer) -> bytes:
    """A whole reply. `model` is the name the caller used: it knows no other."""
    parts, broken = parts_of(answer.parts)
    ending = Ending(answer.finish, answer.usage, broken)
    return response(call_id, model, parts, ending)


class Ending(msgspec.Struct):
    """What the last response of an answer says. `broken`: the function whose arguments were no JSON object."""

    finish: Finish
    usage: Usage | None = None
    broken: str | None = None


def response(call_id: str, model: str, parts: Sequence[Object], ending: Ending | None = None) -> bytes:
    """One `GenerateContentResponse`."""
    candidate: Object = {"content": {"parts": parts, "role": "model"}, "index": 0}
    said: Object = {"candidates": [candidate]}
    if ending is not None:
        candidate["finishReason"] = WORDS[ending.finish]
        if ending.broken is not None and ending.finish != "length":
            candidate["finishReason"] = MALFORMED
            candidate["finishMessage"] = f"The arguments of `{ending.broken}` are not a JSON object."
        if ending.usage is not None:
            said["usageMetadata"] = metadata_of(ending.usage)
    said["modelVersion"] = model
    said["responseId"] = call_id
    return msgspec.json.encode(said)


def parts_of(parts: Sequence[Part]) -> tuple[list[Object], str | None]:
    """Parts as Gemini writes them, and the name of a function whose arguments it cannot: its calls hold objects, not text."""
    said: list[Object] = []
    broken: str | None = None
    for part in parts:
        written = _part(part)
        if written is not None:
            said.append(written)
        elif isinstance(part, ToolCall):
            broken = part.name
    return said, broken


def _part(part: Part) -> Object | None:
    match part:
        case Text() | Refusal():
            return {"text": part.text} if part.text else None
        case Reasoning():
            return _thought(part)
        case ToolCall():
            return _call(part)
        case Media() if part.data is not None:
            return {"inlineData": {"mimeType": part.media_type or "application/octet-stream", "data": part.data}}
        case Media():
            return {"fileData": {"fileUri": part.url or part.file_id, "mimeType": part.media_type}}
        case Opaque():
            return part.raw if part.origin == signatures.ORIGIN else {"text": omitted(part)}
        case _:
            raise TypeError(f"an answer holds no {type(part).__name__}")


def _thought(thought: Reasoning) -> Object | None:
    sent = signatures.written(thought.signature, thought.redacted, thought.origin)
    if not thought.text and sent is None:
        return None
    said: Object = {"text": thought.text}
    if thought.text or thought.redacted is not None or thought.origin != signatures.ORIGIN:
        said["thought"] = True
    return said if sent is None else {**said, "thoughtSignature": sent}


def _call(call: ToolCall) -> Object | None:
    arguments: Any = {}
    try:
        arguments = msgspec.json.decode(call.arguments) if call.arguments.strip() else {}
    except msgspec.DecodeError:
        return None
    if not isinstance(arguments, dict):
        return None
    said: Object = {"functionCall": {"id": call.id, "name": call.name, "args": cast(Object, arguments)}}
    sent = signatures.written(call.signature, None, call.origin)
    return said if sent is None else {**said, "thoughtSignature": sent}
