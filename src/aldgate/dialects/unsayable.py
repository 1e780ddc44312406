"""What a request asks that dialects which know only the common words cannot say.

What changes the meaning of the answer is refused (fields that one dialect alone has: in `core/lossy.py`, for all); what does no
harm is left out and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aldgate.core.conversation import Conversation
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
    if asked.metadata:
        warnings.append("metadata")
    warnings += [name for name in others if name != "modalities"]
