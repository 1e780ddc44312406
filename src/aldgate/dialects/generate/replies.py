"""What `POST /v1/generate` answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from aldgate.dialects.generate.requests import Modality

FELL_BACK = "unavailable"
"""Why another model than the first answered, as far as is said."""


class Selection(msgspec.Struct):
    """Which model answered."""

    selected_model: str
    selected_provider: str
    fallback_used: bool = False
    fallback_reason: str | None = None


class LinkedArtifact(msgspec.Struct):
    """Something too large to stand in the answer. `expires_at`: of the link, as RFC 3339 writes it."""

    id: str
    type: str
    url: str
    expires_at: str


class GenerateOutput(msgspec.Struct):
    """What was made; images and meshes in base64."""

    text: str | None = None
    images: list[str] | None = None
    mesh: str | None = None
    artifacts: list[LinkedArtifact] | None = None


class GenerateUsage(msgspec.Struct):
    """Tokens of a text; of anything else none."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class GenerateReply(msgspec.Struct, kw_only=True):
    """The answer. What there is nothing to say of is null, as its clients expect."""

    request_id: str
    model: str
    modality: Modality
    session_id: str | None = None
    state_tokens: Any = None
    selection: Selection
    credits_status: None = None
    output: GenerateOutput
    usage: GenerateUsage = msgspec.field(default_factory=GenerateUsage)
    warnings: list[str] | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: GenerateUsage | None = None


_completion = msgspec.json.Decoder(_Completion)


def text_reply(call_id: str, model: str, selection: Selection, completion: bytes, warnings: Sequence[str]) -> GenerateReply:
    """A chat completion as the answer to a text."""
    answered = _completion.decode(completion)
    said = answered.choices[0].message if answered.choices else _Message()
    return GenerateReply(
        request_id=call_id,
        model=model,
        modality="text",
        selection=selection,
        output=GenerateOutput(text=said.content if said.content is not None else said.refusal or ""),
        usage=answered.usage or GenerateUsage(),
        warnings=list(warnings) or None,
    )


def selected(model: str, modality: Modality, selection: Selection) -> dict[str, Any]:
    """The first event of every stream."""
    return {
        "event": "model_selected",
        "model": model,
        "model_name": selection.selected_model,
        "modality": modality,
        "provider": selection.selected_provider,
        "fallback_used": selection.fallback_used,
        "fallback_reason": selection.fallback_reason,
    }
