"""What may not be lost in translation: fields that only one dialect has and that change what the caller gets.

Other such fields are left out with a warning; these are refused, since an answer without them is not what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aldgate.core.conversation import Conversation
from aldgate.core.errors import InvalidRequest


def _speaks(value: Any) -> bool:
    return value not in (None, [], ["text"])


_ESSENTIAL: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    "anthropic": {"container": bool, "mcp_servers": bool, "inference_geo": bool},
    "openai": {"modalities": _speaks, "audio": bool, "web_search_options": lambda value: value is not None},
}
"""Dialect -> its field -> whether a value of it asks for what another dialect cannot give."""


def refuse_losses(asked: Conversation, model: str) -> None:
    """See that nothing essential would be lost.

    Raises:
        InvalidRequest: Names the field.
    """
    for name, is_essential in _ESSENTIAL.get(asked.origin, {}).items():
        if name in asked.others and is_essential(asked.others[name]):
            raise InvalidRequest(f"`{model}` has nothing for `{name}`.", param=name)
