"""Content blocks of requests into neutral parts.

Shapes: https://platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Literal, cast

import msgspec

from aldgate.core.conversation import Media, Opaque, Part, Reasoning, Text, ToolCall, ToolResult
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.anthropic.carried import ORIGIN, uncarried, with_proofs
from aldgate.dialects.anthropic.shapes import check_block

Object = dict[str, Any]


def cache_of(block: Object) -> str | None:
    """How long the prompt is to be kept up to here.

    Raises:
        InvalidRequest: It says so in no words.
    """
    mark = block.get("cache_control")
    if not isinstance(mark, dict):
        return None
    ttl: Any = cast(Object, mark).get("ttl") or "5m"
    if not isinstance(ttl, str):
        raise InvalidRequest("`cache_control.ttl` is a text like `1h`.", param="cache_control")
    return ttl


def listed(content: Any, where: str) -> list[Object]:
    """`content` as blocks, whichever of its two forms it has.

    Raises:
        InvalidRequest: It has neither, or a block is not what its type says.
    """
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, list) and all(map(_is_block, cast("list[Any]", content))):
        for block in cast("list[Object]", content):
            check_block(block, where)
        return cast("list[Object]", content)
    raise InvalidRequest(f"`{where}` is a text or a list of blocks with a `type`.", param=where)


def _is_block(block: Any) -> bool:
    return isinstance(block, dict) and isinstance(cast(Object, block).get("type"), str)


def texts(content: Any, where: str) -> Iterator[Text]:
    """The texts of a place that takes nothing else; empty ones are left out.

    Raises:
        InvalidRequest: There is something else.
    """
    for block in listed(content, where):
        if block["type"] != "text":
            raise InvalidRequest(f"`{where}` may hold only text.", param=where)
        if block["text"]:
            yield Text(block["text"], cache_of(block))


def parts(content: Any, where: str, others: Object) -> list[Part]:
    """A message's blocks as parts; empty texts are left out, for no provider takes them.

    `others` takes what a block says that has no place in its part.

    Raises:
        InvalidRequest: A block lacks what its type is named for.
    """
    return with_proofs(part for block in listed(content, where) for part in _parts(block, where, others))


def _parts(block: Object, where: str, others: Object) -> Iterator[Part]:
    match block["type"]:
        case "text":
            _note(block, "citations", others)
            if block["text"]:
                yield Text(block["text"], cache_of(block))
        case "image" | "document" as kind:
            yield from _media(kind, block, others)
        case "thinking":
            origin, signature = uncarried(block.get("signature") or "")
            yield Reasoning(block["thinking"], signature or None, origin=origin)
        case "redacted_thinking":
            yield Reasoning(redacted=block["data"], origin=ORIGIN)
        case "tool_use":
            yield ToolCall(block["id"], block["name"], msgspec.json.encode(block.get("input") or {}).decode())
        case "tool_result":
            yield _tool_result(block, where, others)
        case kind:
            yield Opaque(ORIGIN, kind, block)


def _note(block: Object, field: str, others: Object) -> None:
    if block.get(field):
        others[field] = block[field]


def _media(kind: Literal["image", "document"], block: Object, others: Object) -> Iterator[Text | Media]:
    source = block["source"]
    name, cache = block.get("title"), cache_of(block)
    _note(block, "citations", others)
    _note(block, "context", others)
    match source["type"]:
        case "base64":
            yield Media(kind, source.get("media_type"), _of(source, "data"), name=name, cache=cache)
        case "url":
            yield Media(kind, url=_of(source, "url"), name=name, cache=cache)
        case "file":
            yield Media(kind, file_id=_of(source, "file_id"), name=name, cache=cache)
        case "text":
            data = base64.b64encode(_of(source, "data").encode()).decode()
            yield Media(kind, source.get("media_type") or "text/plain", data, name=name, cache=cache)
        case "content":
            yield from _said(source.get("content"), "source.content", others)
        case other:
            raise InvalidRequest(f"The source of a `{kind}` cannot be a `{other}`.", param="messages")


def _of(source: Object, name: str) -> str:
    value = source.get(name)
    if not isinstance(value, str):
        raise InvalidRequest(f"A source of type `{source['type']}` needs `{name}`.", param="messages")
    return value


def _tool_result(block: Object, where: str, others: Object) -> ToolResult:
    said = list(_said(block.get("content") or [], where, others))
    return ToolResult(block["tool_use_id"], said, block.get("is_error") is True, cache=cache_of(block))


def _said(content: Any, where: str, others: Object) -> Iterator[Text | Media]:
    """What a tool or a document says. Search results and tools that were found become the text that they are to a reader."""
    for block in listed(content, where):
        match block["type"]:
            case "search_result":
                _note(block, "citations", others)
                found = "\n".join(text.text for text in texts(block["content"], where))
                yield Text(f"{block['title']}\n{block['source']}\n{found}", cache_of(block))
            case "tool_reference":
                yield Text(f"Tool found: {block['tool_name']}")
            case _:
                for part in _parts(block, where, others):
                    if not isinstance(part, Text | Media):
                        raise InvalidRequest(f"A tool's result cannot hold a `{block['type']}` for this model.", param=where)
                    yield part
