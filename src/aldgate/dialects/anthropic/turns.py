"""Neutral messages as turns of the Messages API: leading instructions hoisted, roles merged, results of tools first."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from aldgate.core.conversation import Media as Attachment
from aldgate.core.conversation import Message, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.anthropic.carried import ORIGIN
from aldgate.dialects.anthropic.media import write_media

Object = dict[str, Any]

_BAD_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")


def write_turns(
    messages: list[Message], *, takes_system: bool, origin: str, warnings: list[str]
) -> tuple[list[Object], list[Object]]:
    """The blocks of `system`, and the turns.

    Args:
        messages: In order.
        takes_system: The model knows messages of role `system` after the first turn.
        origin: The dialect of the caller, whose file ids these are.
        warnings: Takes the names of what was left out.

    Raises:
        InvalidRequest: A message holds what Claude cannot be told.
    """
    leading = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    system = list(_texts(part for message in messages[:leading] for part in message.parts))
    turns: list[Object] = []
    rest = messages[leading:]
    for index, message in enumerate(rest):
        if message.role == "system":
            follows_user = bool(turns) and turns[-1]["role"] == "user"
            is_followed_well = index + 1 == len(rest) or rest[index + 1].role == "assistant"
            _instruct(turns, message, as_system=takes_system and follows_user and is_followed_well)
        else:
            role = "assistant" if message.role == "assistant" else "user"
            _say(turns, role, [block for part in message.parts for block in _blocks(part, origin, warnings)])
    if turns and turns[-1]["role"] == "assistant":
        _trim(turns)
    return system, turns


def _say(turns: list[Object], role: str, blocks: list[Object]) -> None:
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        blocks = turns.pop()["content"] + blocks
    if role == "user":
        blocks.sort(key=lambda block: block["type"] != "tool_result")
    turns.append({"role": role, "content": blocks})


def _instruct(turns: list[Object], message: Message, *, as_system: bool) -> None:
    """Instructions in the middle; models that know none there read them as marked text of the user's.

    Where they may stand: https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
    """
    if as_system:
        _say(turns, "system", list(_texts(message.parts)))
        return
    marked = [f"<system>\n{part.text}\n</system>" for part in message.parts if isinstance(part, Text) and part.text.strip()]
    _say(turns, "user", [{"type": "text", "text": text} for text in marked])


def _trim(turns: list[Object]) -> None:
    """The API refuses an answer to be continued that ends in white space."""
    last = turns[-1]["content"][-1]
    if last["type"] == "text":
        last["text"] = last["text"].rstrip()


def _texts(parts: Iterable[Part]) -> Iterator[Object]:
    for part in parts:
        if isinstance(part, Text) and part.text.strip():
            yield marked({"type": "text", "text": part.text}, part.cache)


def marked(block: Object, cache: str | None) -> Object:
    """The block with a `cache_control`, if the prompt is to be kept up to there."""
    if cache is not None:
        block["cache_control"] = cache_control(cache)
    return block


def cache_control(cache: str) -> Object:
    """For five minutes or for an hour; there is nothing between and nothing longer."""
    return {"type": "ephemeral"} if cache.endswith("m") else {"type": "ephemeral", "ttl": "1h"}


def _blocks(part: Part, origin: str, warnings: list[str]) -> Iterator[Object]:
    match part:
        case Text() | Refusal():
            if part.text.strip():
                yield marked({"type": "text", "text": part.text}, part.cache if isinstance(part, Text) else None)
        case Reasoning():
            yield from _thought(part)
        case ToolCall():
            yield {"type": "tool_use", "id": tool_id(part.id), "name": part.name, "input": _input(part)}
        case ToolResult():
            yield _result(part, origin, warnings)
        case Opaque(origin="anthropic"):
            yield part.raw
        case Opaque():
            raise InvalidRequest(f"A Claude model cannot be sent a `{part.kind}` of another provider.", param="messages")
        case _:
            yield marked(write_media(part, origin, warnings), part.cache)


def _thought(part: Reasoning) -> Iterator[Object]:
    """Thoughts go back only with the proof that they are Claude's own; without it the API refuses them."""
    if part.origin != ORIGIN:
        return
    if part.redacted is not None:
        yield {"type": "redacted_thinking", "data": part.redacted}
    elif part.signature:
        yield {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _result(part: ToolResult, origin: str, warnings: list[str]) -> Object:
    content: list[Object] = []
    for said in part.parts:
        if isinstance(said, Attachment):
            content.append(marked(write_media(said, origin, warnings), said.cache))
        elif said.text.strip():
            content.append(marked({"type": "text", "text": said.text}, said.cache))
    block: Object = {"type": "tool_result", "tool_use_id": tool_id(part.call_id)}
    if content:
        block["content"] = content
    if part.is_error:
        block["is_error"] = True
    return marked(block, part.cache)


def _input(call: ToolCall) -> Object:
    if call.is_custom:
        raise InvalidRequest("Claude models have no custom tools.", param="messages")
    try:
        return msgspec.json.decode(call.arguments, type=dict[str, Any]) if call.arguments.strip() else {}
    except msgspec.DecodeError:
        raise InvalidRequest(f"The arguments of the tool call `{call.id}` are not a JSON object.", param="messages") from None


def tool_id(given: str) -> str:
    """A call's id in the letters the API allows; the same for the call and its result."""
    clean = _BAD_IN_ID.sub("_", given)
    return given if clean == given and given else f"{clean}_{zlib.crc32(given.encode()):08x}"
