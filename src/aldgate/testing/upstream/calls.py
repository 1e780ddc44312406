"""A tool that the upstream calls, as a model would: once it is offered, and not again when its result is there. Pure."""

import json
from collections.abc import Iterator
from typing import Any, cast

Object = dict[str, Any]
Call = tuple[str, str]
"""A tool's name and its arguments as JSON."""
ID = "call_upstream"
_RESULTS = {"tool_result", "function_call_output", "functionResponse"}


def due(asked: Object, call: Call | None) -> Call | None:
    """`call`, if a request on any wire offers that tool and holds no result yet; else None."""
    if call is None or call[0] not in _offered(asked) or any(_is_result(item) for item in _items(asked)):
        return None
    return call


def pieces(call: Call) -> list[str]:
    """The arguments as a stream sends them."""
    half = len(call[1]) // 2
    return [call[1][:half], call[1][half:]]


def chat(call: Call) -> Object:
    """An item of `tool_calls` in chat completions."""
    return {"id": ID, "type": "function", "function": {"name": call[0], "arguments": call[1]}}


def chat_deltas(call: Call) -> list[Object]:
    """The same as the deltas of a stream."""
    begun = {"index": 0, **chat((call[0], ""))}
    grown = [{"index": 0, "function": {"arguments": piece}} for piece in pieces(call)]
    return [{"tool_calls": [delta]} for delta in (begun, *grown)]


def _offered(asked: Object) -> set[str]:
    tools = cast("list[Object]", asked.get("tools") or [])
    plain = {str(tool["name"]) for tool in tools if "name" in tool}
    nested = {str(tool["function"]["name"]) for tool in tools if "function" in tool}
    return plain | nested | {str(each["name"]) for tool in tools for each in tool.get("functionDeclarations", ())}


def _items(asked: Object) -> Iterator[Object]:
    """Messages, and what stands in them."""
    for key in ("messages", "input", "contents"):
        for item in _objects(asked.get(key)):
            yield item
            yield from _objects(item.get("content"))
            yield from _objects(item.get("parts"))


def _objects(value: Any) -> list[Object]:
    return [cast(Object, each) for each in cast("list[Any]", value) if isinstance(each, dict)] if isinstance(value, list) else []


def _is_result(item: Object) -> bool:
    return item.get("role") == "tool" or item.get("type") in _RESULTS or not _RESULTS.isdisjoint(item)


def arguments(call: Call) -> Object:
    """The arguments, decoded."""
    return cast(Object, json.loads(call[1]))
