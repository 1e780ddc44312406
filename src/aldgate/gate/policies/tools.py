"""The names of the tools that a request brings, as each dialect writes them.

A provider's own tools go by their type (`web_search`), whatever name they are given; what has neither is called `unnamed`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from aldgate.gate.policies.parameters import only_key

Members = dict[str, Any]

UNNAMED = "unnamed"
_VERSION = re.compile(r"_20\d\d(?:_?\d\d){2}$")
"""At the end of the types of providers' own tools, as in `web_search_20250305`."""
_raws = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


def tools_in(dialect: str, members: Members) -> Iterator[str]:
    """The name of every tool that a body brings. What they stand in is written anew, each key once.

    Raises:
        DecodeError: They are no list of objects.
        InvalidRequest: They stand in a spelling that some parsers take for one.
    """
    if dialect == "gemini":
        yield from _gemini(members)
        return
    for tool in _listed(members, "tools"):
        yield from _names(tool)
    for function in _listed(members, "functions"):
        yield _text(function, "name") or UNNAMED
    if _is_set(members, "web_search_options"):
        yield "web_search"
    if _is_set(members, "mcp_servers"):
        yield "mcp"


def _gemini(members: Members) -> Iterator[str]:
    for tool in _listed(members, "tools", is_proto=True):
        declared = only_key("functionDeclarations", tool, is_proto=True)
        if declared is not None:
            for function in _listed(tool, "functionDeclarations", is_proto=True):
                yield _text(function, "name") or UNNAMED
        yield from (key for key in tool if key != declared)
        if not tool:
            yield UNNAMED


def _names(tool: Members) -> Iterator[str]:
    """Every name that a tool may be taken to have: APIs differ in where they look."""
    found = [_text(tool, "name")]
    for inner in ("function", "custom"):
        key = only_key(inner, tool)
        if key is not None and bytes(tool[key])[:1] == b"{":
            function: Members = dict(_object.decode(bytes(tool[key])))
            found.append(_text(function, "name"))
            tool[key] = msgspec.Raw(_encode(function))
    kind = _text(tool, "type")
    if kind not in ("", "function", "custom"):
        found = [_VERSION.sub("", kind)]
    named = [name for name in found if name]
    yield from named or [UNNAMED]


def _listed(members: Members, name: str, *, is_proto: bool = False) -> list[Members]:
    key = only_key(name, members, is_proto=is_proto)
    if key is None:
        return []
    found: list[Members] = [dict(each) for each in _raws.decode(bytes(members[key])) or ()]
    members[key] = found
    return found


def _text(members: Members, name: str) -> str:
    key = only_key(name, members)
    value = msgspec.json.decode(bytes(members[key])) if key is not None else ""
    return value if isinstance(value, str) else ""


def _is_set(members: Members, name: str) -> bool:
    key = only_key(name, members)
    return key is not None and bytes(members[key]) not in (b"null", b"[]")
