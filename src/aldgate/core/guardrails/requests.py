"""Every text of a request that a model may come to read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, cast

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
from aldgate.core.guardrails.jsontext import JsonText
from aldgate.core.operations import CompletionRequest, EmbedRequest, ModerationRequest, Request, RerankRequest

Change = Callable[[str], str]


def rewrite(asked: Request, change: Change) -> None:
    """Put `change(text)` in place of every text, always in the same order.

    Names, ids, JSON Schemas, addresses and the bytes of media other than text are left as they are.

    Raises:
        InvalidRequest: It holds token ids, which nobody here can read.
    """
    match asked:
        case Conversation():
            _conversation(asked, change)
        case EmbedRequest():
            asked.inputs = [change(_text_of(each)) for each in asked.inputs]
            asked.user = asked.user and change(asked.user)
        case RerankRequest():
            asked.query = change(asked.query)
            asked.documents = [change(document) for document in asked.documents]
        case CompletionRequest():
            asked.prompt = change(asked.prompt)
            asked.suffix = asked.suffix and change(asked.suffix)
            asked.others = {name: leaves(value, change) for name, value in asked.others.items()}
        case ModerationRequest():
            asked.inputs = [_judged(each, change) for each in asked.inputs]


def texts_of(asked: Request) -> list[str]:
    """All the texts, in that order.

    Raises:
        InvalidRequest: As `rewrite`.
    """
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    rewrite(asked, note)
    return found


def _text_of(given: str | list[int]) -> str:
    if isinstance(given, str):
        return given
    raise InvalidRequest("The guardrails of this key cannot read token ids: send text.", param="input")


def _judged(given: str | dict[str, Any], change: Change) -> str | dict[str, Any]:
    if isinstance(given, str):
        return change(given)
    return {**given, "text": change(given["text"])} if isinstance(given.get("text"), str) else given


def _conversation(asked: Conversation, change: Change) -> None:
    for message in asked.messages:
        _message(message, change)
    for tool in asked.tools:
        tool.description = tool.description and change(tool.description)
    asked.user = asked.user and change(asked.user)
    asked.metadata = {name: change(value) for name, value in asked.metadata.items()}
    asked.others = {name: leaves(value, change) for name, value in asked.others.items()}


def _message(message: Message, change: Change) -> None:
    message.parts = [part for part in message.parts if _keeps(part, change)]


def _keeps(part: Part, change: Change) -> bool:
    """Change a part. False: it cannot be sent any more, for its signature holds for the words as they were."""
    match part:
        case Text() | Refusal():
            part.text = change(part.text)
        case Reasoning():
            text, part.text = part.text, change(part.text)
            return part.text == text or part.signature is None
        case ToolCall():
            part.arguments = change(part.arguments) if part.is_custom else in_json(part.arguments, change)
        case ToolResult():
            for each in part.parts:
                _keeps(each, change)
        case Media():
            _document(part, change)
        case Opaque():
            part.raw = leaves(part.raw, change)
    return True


def _document(media: Media, change: Change) -> None:
    """A document that is plain text."""
    if media.data is None or not (media.media_type or "").startswith("text/"):
        return
    try:
        text = base64.b64decode(media.data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return
    changed = change(text)
    if changed != text:
        media.data = base64.b64encode(changed.encode()).decode()


def leaves(value: Any, change: Change) -> Any:
    """A JSON value with all the strings in it changed, but not the names of fields."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [leaves(each, change) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: leaves(each, change) for name, each in cast("dict[str, Any]", value).items()}
    return value


def in_json(text: str, change: Change) -> str:
    """JSON text with all the strings in it changed."""
    stage = JsonText(lambda: _Whole(change))
    return stage.feed(text) + stage.end()


class _Whole:
    """Implements `stages.Stage` for a change that wants the text at once."""

    most = 0

    def __init__(self, change: Change) -> None:
        self._change = change
        self._pieces: list[str] = []
        self.held = 0

    def feed(self, text: str) -> str:
        """See `stages.Stage`."""
        self._pieces.append(text)
        return ""

    def end(self) -> str:
        """See `stages.Stage`."""
        return self._change("".join(self._pieces))
