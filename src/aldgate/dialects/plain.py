"""Turns as plain text, for wires that have no better place for them: results of tools, and thoughts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aldgate.core.conversation import Media, Message, Part, Reasoning, Text, ToolResult


def results_of(message: Message, warnings: list[str]) -> Iterator[tuple[ToolResult, str]]:
    """Each result of a tool's message with what it says. Failures are told in words, and `warnings` names that."""
    for result in message.parts:
        if not isinstance(result, ToolResult):
            continue
        text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
        if not text and any(isinstance(part, Media) for part in result.parts):
            text = "(see the attachment that follows)"
        if result.is_error:
            warnings.append("is_error")
            text = f"Error: {text}"
        yield result, text


def attachments_of(message: Message) -> list[Part]:
    """What a tool gave beside text, each with a word on whose it is, as a user's message after the results may hold it."""
    shown: list[Part] = []
    for result in message.parts:
        if isinstance(result, ToolResult) and (media := [part for part in result.parts if isinstance(part, Media)]):
            shown += [Text(f"Attachment of the tool result {result.call_id}:"), *media]
    return shown


def thoughts_of(parts: Iterable[Part]) -> str:
    """All thoughts that are in words."""
    return "\n\n".join(part.text for part in parts if isinstance(part, Reasoning) and part.text)
