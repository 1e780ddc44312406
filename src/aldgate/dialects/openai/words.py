"""What OpenAI's chat and its Responses say in the same words: effort, and sound."""

from __future__ import annotations

from typing import Any

from aldgate.core.conversation import Effort, Media, Thinking

_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
_EFFORT_OF_BUDGET: tuple[tuple[int, Effort], ...] = ((2_048, "low"), (8_192, "medium"))
"""Budgets up to so many tokens are about such an effort; larger ones are `high`."""


def effort_of(thinking: Thinking | None) -> Effort | None:
    """The effort that was asked for, or about so much as its budget allows."""
    if thinking is None or thinking.effort is not None or thinking.budget_tokens is None:
        return thinking and thinking.effort
    for most, effort in _EFFORT_OF_BUDGET:
        if thinking.budget_tokens <= most:
            return effort
    return "high"


def sound_of(media: Media) -> dict[str, Any] | None:
    """A part of a message that holds this sound; None where it is of no format that OpenAI knows, or no bytes."""
    form = _FORMATS.get(media.media_type or "")
    if form is None or media.data is None:
        return None
    return {"type": "input_audio", "input_audio": {"data": media.data, "format": form}}
