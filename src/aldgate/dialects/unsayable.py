"""What a request asks that most dialects but its own cannot say: the same rule for those that know only the common words.

What changes the meaning of the answer is refused; what does no harm is left out and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aldgate.core.conversation import Conversation
from aldgate.core.errors import InvalidRequest

_MEANS_MORE = frozenset({"audio", "web_search_options", "documents", "mcp_servers", "container", "safety_settings"})
"""Others of these names ask for another kind of answer, or for work that only their provider does."""
_HARMLESS = ("verbosity", "service_tier", "cache", "cache_key", "user")


def refuse_or_name(asked: Conversation, others: Mapping[str, Any], warnings: list[str]) -> None:
    """Refuse what of `asked` and its `others` cannot be left out, and add the names of the rest to `warnings`.

    Raises:
        InvalidRequest: `param` is the field.
    """
    if asked.choices > 1:
        raise InvalidRequest("This model gives one answer at a time.", param="n")
    for name, value in others.items():
        if name in _MEANS_MORE or (name == "modalities" and value != ["text"]):
            raise InvalidRequest(f"`{name}` asks for what this model cannot do.", param=name)
    warnings += [name for name in _HARMLESS if getattr(asked, name) is not None]
    if asked.metadata:
        warnings.append("metadata")
    warnings += [name for name in others if name != "modalities"]
