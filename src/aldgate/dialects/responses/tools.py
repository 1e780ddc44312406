"""Responses tools as other providers can have them, and the way back.

Functions go as they are; a namespace's functions under a joined name; a custom tool, which takes free text, as a function with
one string argument. Whatever OpenAI's servers run themselves is left out and named in a warning: Codex, for one, always offers
such tools (https://platform.openai.com/docs/guides/tools).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec

from aldgate.core.conversation import Tool, ToolCall, ToolChoice
from aldgate.core.errors import InvalidRequest

Object = dict[str, Any]

_INPUT = "input"


class Declared(msgspec.Struct, frozen=True):
    """A tool by the name and kind that the caller gave it."""

    name: str
    namespace: str | None = None
    is_custom: bool = False


class _Described(msgspec.Struct):
    description: str | None = None
    parameters: Object | None = None
    strict: bool | None = None


class ToolTable:
    """The tools of one request.

    Args:
        given: Those in `tools`.
        added: Those that stand among the input, as Codex sends them for models that it knows; a later one replaces its namesake.

    Attributes:
        tools: What the model is offered.
        left_out: What it is not, as `tools.TYPE`.
    """

    def __init__(self, given: Iterable[Object], added: Iterable[Object] = ()) -> None:
        self.tools: list[Tool] = []
        self.left_out: list[str] = []
        self._declared: dict[str, Declared] = {}
        self._may_replace = False
        for tool in given:
            self._add(tool, None)
        self._may_replace = True
        for tool in added:
            self._add(tool, None)

    def _add(self, tool: Object, namespace: str | None) -> None:
        match tool:
            case {"type": "function", "name": str(name)}:
                self._declare(Declared(name, namespace), tool)
            case {"type": "custom", "name": str(name)}:
                self._declare(Declared(name, namespace, is_custom=True), tool)
                if _grammar(tool):
                    self.left_out.append(f"tools.{name}.format")
            case {"type": "namespace", "name": str(name), "tools": list()}:
                for each in cast("list[Object]", tool["tools"]):
                    self._add(each, name)
            case {"type": "function" | "custom" | "namespace" as kind}:
                raise InvalidRequest(f"A `{kind}` tool needs a `name`.", param="tools")
            case {"type": str(kind)}:
                self.left_out.append(f"tools.{kind}")
            case _:
                raise InvalidRequest("A tool needs a `type`.", param="tools")

    def _declare(self, declared: Declared, tool: Object) -> None:
        try:
            told = msgspec.convert(tool, _Described)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"The tool `{declared.name}` is not as tools are: {error}.", param="tools") from None
        name = flat_name(declared.name, declared.namespace)
        if name in self._declared:
            if not self._may_replace:
                raise InvalidRequest(f"Two tools are called `{name}`.", param="tools")
            self.tools = [each for each in self.tools if each.name != name]
        self._declared[name] = declared
        if declared.is_custom:
            self.tools.append(Tool(name, _described(told.description, tool), _FREE_TEXT))
        else:
            self.tools.append(Tool(name, told.description, told.parameters, told.strict))

    def declared(self, name: str) -> Declared:
        """What the caller calls the tool that the model knows as `name`."""
        return self._declared.get(name) or Declared(name)

    def choice(self, wanted: str | Object | None) -> ToolChoice | None:
        """`tool_choice` in neutral words.

        Raises:
            InvalidRequest: It insists on a tool that is not there.
        """
        match wanted:
            case None:
                return None
            case "auto" | "none" | "required":
                return ToolChoice(wanted)
            case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list()}:
                return ToolChoice(mode, tuple(self._allowed(wanted["tools"])))
            case {"type": "function" | "custom", "name": str(name)}:
                return ToolChoice("one", (self._known(name, wanted.get("namespace")),))
            case _:
                raise InvalidRequest("This model has no such tool to choose.", param="tool_choice")

    def _allowed(self, tools: list[Object]) -> Iterator[str]:
        for tool in tools:
            match tool:
                case {"type": "function" | "custom", "name": str(name)}:
                    yield self._known(name, tool.get("namespace"))
                case _:
                    pass  # OpenAI's own

    def _known(self, name: str, namespace: str | None) -> str:
        flat = flat_name(name, namespace)
        if flat not in self._declared:
            raise InvalidRequest(f"`tool_choice` names `{name}`, which is not among `tools`.", param="tool_choice")
        return flat


def added_by(items: object) -> Iterator[Object]:
    """The tools that items of an input add (`ResponseInputItem.AdditionalTools` in OpenAI's API).

    Raises:
        InvalidRequest: An item's `tools` are none.
    """
    for index, item in enumerate(cast("list[object]", items) if isinstance(items, list) else ()):
        match item:
            case {"type": "additional_tools", "tools": list()}:
                yield from cast("list[Object]", cast(Object, item)["tools"])
            case {"type": "additional_tools"}:
                raise InvalidRequest(f"`input[{index}]` needs a list `tools`.", param=f"input[{index}].tools")
            case _:
                pass


def flat_name(name: str, namespace: str | None) -> str:
    """A tool's name where there are no namespaces."""
    return f"{namespace}__{name}" if namespace else name


def wrapped(text: str) -> str:
    """Free text of a custom tool as the arguments of the function that stands for it."""
    return msgspec.json.encode({_INPUT: text}).decode()


def unwrapped(call: ToolCall) -> str:
    """The free text of a call to a custom tool, however the model wrote it."""
    if call.is_custom:
        return call.arguments
    try:
        arguments: Any = msgspec.json.decode(call.arguments)
    except msgspec.DecodeError:
        return call.arguments
    match arguments:
        case {"input": str(text)}:
            return text
        case _:
            return call.arguments


_FREE_TEXT: Object = {
    "type": "object",
    "properties": {_INPUT: {"type": "string", "description": "The tool's whole input, as plain text."}},
    "required": [_INPUT],
    "additionalProperties": False,
}


def _grammar(tool: Object) -> Object | None:
    match tool.get("format"):
        case {"type": "grammar"} as grammar:
            return cast(Object, grammar)
        case _:
            return None


def _described(description: str | None, tool: Object) -> str | None:
    grammar = _grammar(tool)
    if grammar is None:
        return description
    rule = f"The input must match this {grammar.get('syntax', '')} grammar:\n{grammar.get('definition', '')}"
    return f"{description}\n\n{rule}" if description else rule
