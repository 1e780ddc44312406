"""Which tool a chat request makes the echo call."""

from collections.abc import Sequence

from aldgate.core.errors import InvalidRequest
from aldgate.dialects.openai.types import AllowedToolsChoice, CustomChoice, FunctionChoice, FunctionTool, Tool, ToolChoice


def chosen_tool(choice: ToolChoice | None, tools: Sequence[Tool]) -> Tool | None:
    """The tool to call: the named one, or the first that may be called where one must be; else None.

    Raises:
        InvalidRequest: A tool is named that is not offered, or one must be called and none is.
    """
    match choice:
        case FunctionChoice() | CustomChoice():
            return _named(choice, tools)
        case AllowedToolsChoice():
            allowed = [_named(name, tools) for name in choice.allowed_tools.tools]
            return _first(allowed) if choice.allowed_tools.mode == "required" else None
        case "required":
            return _first(tools)
        case _:
            return None


def _first(tools: Sequence[Tool]) -> Tool:
    if not tools:
        raise InvalidRequest("`tool_choice` asks for a tool call, but there is no tool to call.", param="tool_choice")
    return tools[0]


def _named(choice: FunctionChoice | CustomChoice, tools: Sequence[Tool]) -> Tool:
    kind, name = ("function", choice.function.name) if isinstance(choice, FunctionChoice) else ("custom", choice.custom.name)
    for tool in tools:
        if _identity(tool) == (kind, name):
            return tool
    raise InvalidRequest(f"`tool_choice` names a {kind} tool that is not in `tools`.", param="tool_choice")


def _identity(tool: Tool) -> tuple[str, str]:
    return ("function", tool.function.name) if isinstance(tool, FunctionTool) else ("custom", tool.custom.name)
