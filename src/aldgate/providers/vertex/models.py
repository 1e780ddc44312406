"""Which models a publisher has on Vertex AI.

`publishers.models.list` (https://cloud.google.com/vertex-ai/docs/reference/rest/v1beta1/publishers.models/list) is there in
v1beta1 alone. It tells names and versions, and not what may be called: names say that.
"""

from __future__ import annotations

import re

import msgspec

from aldgate.core.principals import Operation

_EMBEDS = re.compile(r"(?:text|gemini|multilingual)-?embedding")
_LIVE = re.compile(r"-(?:live|tts|native-audio)")
_DATED = re.compile(r"\d{8}")


class Listed(msgspec.Struct, frozen=True):
    """A model that can be called under `id`."""

    id: str
    operations: frozenset[Operation]


class _Model(msgspec.Struct, rename="camel"):
    name: str
    version_id: str = ""


class Page(msgspec.Struct, rename="camel"):
    """One page of the list."""

    publisher_models: list[_Model] = []
    next_page_token: str = ""

    def models(self) -> list[Listed]:
        """Those that the gate can call; the publisher's others make films, or are to be deployed first."""
        found: list[Listed] = []
        for model in self.publisher_models:
            operation = operation_of(_id(model))
            if operation is not None:
                operations: frozenset[Operation] = frozenset({operation})
                found.append(Listed(_id(model), operations))
        return found


def operation_of(model: str) -> Operation | None:
    """What a model of Google's or Anthropic's is for, by its name; None: nothing that the gate does there."""
    if model.startswith("multimodalembedding"):
        return None
    if _EMBEDS.search(model):
        return "embed"
    is_chat = model.startswith(("gemini-", "claude-")) and _LIVE.search(model) is None
    return "chat" if is_chat else None


def _id(model: _Model) -> str:
    """`publishers/google/models/NAME` -> `NAME`, with the date of a Claude's version after an `@`."""
    name = model.name.rpartition("/")[2]
    return f"{name}@{model.version_id}" if name.startswith("claude-") and _DATED.fullmatch(model.version_id) else name
