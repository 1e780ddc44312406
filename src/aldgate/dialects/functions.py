"""Tools as OpenAI's chat first wrote them down, and most servers since: functions, and nothing but functions."""

from __future__ import annotations

from typing import Any

from aldgate.core.conversation import Tool
from aldgate.core.errors import InvalidRequest


def parameters_of(tool: Tool) -> dict[str, Any]:
    """The schema of its parameters; one that nobody gave takes none."""
    return tool.parameters or {"type": "object", "properties": {}}


def function_of(tool: Tool) -> dict[str, Any]:
    """The tool as a function.

    Raises:
        InvalidRequest: It takes free text.
    """
    if tool.is_custom:
        raise InvalidRequest(f"`{tool.name}` takes free text, and this model calls functions alone.", param="tools")
    function = {"name": tool.name, "description": tool.description or "", "parameters": parameters_of(tool)}
    return {"type": "function", "function": function}
