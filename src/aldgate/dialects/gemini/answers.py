"""Answers in Gemini's words, and whole ones read from them: one shape serves whole replies and pieces of streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from aldgate.core.conversation import Answer, Finish, Media, Opaque, Part, Reasoning, Refusal, Text, TokenLogprob, ToolCall
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.events import Event, Folding
from aldgate.core.usage import Usage
from aldgate.dialects.gemini import signatures
from aldgate.dialects.gemini.chunks import Reading, decode
from aldgate.dialects.gemini.finish import WORDS
from aldgate.dialects.gemini.keys import Object
from aldgate.dialects.gemini.logprobs import result_of
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
    if not reading.is_finished:
        raise UpstreamInvalid("The provider's reply holds no finished answer.")
    for event in reading.finished():
        folding.feed(event)
    return folding.answer


def write_chat(call_id: str, model: str, answer: Answer) -> bytes:
    """A whole reply. `model` is the name the caller used: it knows no other."""
    candidates: list[Object] = []
    for index, each in enumerate((answer, *answer.others)):
        parts, broken = parts_of(each.parts)
        candidates.append(candidate_of(index, parts, each.logprobs, Ending(each.finish, broken)))
    return response(call_id, model, candidates, answer.usage)


class Ending(msgspec.Struct):
    """Why a candidate ended. `broken`: the function whose arguments were no JSON object."""

    finish: Finish
    broken: str | None = None


def candidate_of(index: int, parts: Sequence[Object], tokens: list[TokenLogprob], ending: Ending | None = None) -> Object:
    """One candidate, or a piece of one; `tokens` are those whose probabilities are told."""
    candidate: Object = {"content": {"parts": parts, "role": "model"}, "index": index}
    if tokens:
        candidate["logprobsResult"] = result_of(tokens)
    if ending is not None:
        candidate["finishReason"] = WORDS[ending.finish]
        if ending.broken is not None and ending.finish != "length":
            candidate["finishReason"] = MALFORMED
            candidate["finishMessage"] = f"The arguments of `{ending.broken}` are not a JSON object."
    return candidate


def response(call_id: str, model: str, candidates: Sequence[Object], usage: Usage | None = None) -> bytes:
    """One `GenerateContentResponse`."""
    said: Object = {"candidates": candidates}
    if usage is not None:
        said["usageMetadata"] = metadata_of(usage)
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
