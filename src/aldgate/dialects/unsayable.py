"""What a request asks that dialects which know only the common words cannot say.

What changes the meaning of the answer is refused (fields that one dialect alone has: in `core/lossy.py`, for all); what does no
harm is left out and named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aldgate.core.conversation import Conversation, Media, Text, ToolResult
from aldgate.core.errors import InvalidRequest

_HARMLESS = ("verbosity", "service_tier", "cache", "cache_key", "user")


def refuse_or_name(asked: Conversation, others: Mapping[str, Any], warnings: list[str]) -> None:
    """Refuse what of `asked` cannot be left out, and add the names of the rest and of `others` to `warnings`.

    Raises:
        InvalidRequest: Several answers are wanted.
    """
    if asked.choices > 1:
        raise InvalidRequest("This model gives one answer at a time.", param="n")
    warnings += [name for name in _HARMLESS if getattr(asked, name) is not None]
    warnings += [*cache_marks(asked), *details(asked)]
    if asked.metadata:
        warnings.append("metadata")
    warnings += [name for name in others if name != "modalities"]


def cache_marks(asked: Conversation) -> Iterator[str]:
    """The name of the marks that say up to where a prompt is to be kept, if there are any."""
    parts = (part for message in asked.messages for part in message.parts)
    if any(isinstance(part, Text | Media | ToolResult) and part.cache for part in parts) or any(
        tool.cache for tool in asked.tools
    ):
        yield "cache_control"


def details(asked: Conversation) -> Iterator[str]:
    """The name of the wish how closely images be looked at, if there is one."""
    parts = (part for message in asked.messages for part in message.parts)
    if any(isinstance(part, Media) and part.detail not in (None, "auto") for part in parts):
        yield "detail"


def names(asked: Conversation) -> Iterator[str]:
    """The name of the names of those who speak, if there are any."""
    if any(message.name for message in asked.messages):
        yield "name"
