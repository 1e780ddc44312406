"""Reads of a Responses request what the gate decides on, and prepares the bytes for a provider that speaks Responses itself.

Wire: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import msgspec

from aldgate.core.calls import Peek
from aldgate.dialects.governed import (
    with_member_first,
    with_members,
    with_model,
)
from aldgate.dialects.reading import read_body
from aldgate.dialects.responses.sealed import PREFIX, recalled, summary_in

Cap = Annotated[int, msgspec.Meta(ge=1)]
Name = Annotated[str, msgspec.Meta(min_length=1)]

_GOVERNED = (
    b'"model"',
    b'"stream"',
    b'"max_output_tokens"',
    b'"store"',
    b'"background"',
    b'"previous_response_id"',
)


class Governed(msgspec.Struct):
    """The fields that decide what becomes of a request."""

    model: Name
    stream: bool | None = None
    max_output_tokens: Cap | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    input: str | list[Any] | None = None
    messages: list[Any] | None = None


SEALED = PREFIX.encode()
_governed = msgspec.json.Decoder(Governed)


def peek(body: bytes) -> Peek:
    """Read the governed fields of `body`.

    Raises:
        InvalidRequest: Not JSON, not UTF-8, nested too deep, a field of a wrong type or value, an ambiguous key.
    """
    body, seen = read_body(body, _GOVERNED, lambda body: (body, _governed.decode(body)))
    if seen.input is None and seen.messages is not None:  # an older gateway's callers say it in chat's word
        body = _renamed(body)
    return Peek(body=body, model=seen.model, stream=seen.stream is True, cap=seen.max_output_tokens)


def governed(seen: Peek) -> Governed:
    """The governed fields again, for whoever keeps state: `peek` has found them sound."""
    return _governed.decode(seen.body)


def _renamed(body: bytes) -> bytes:
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    members["input"] = members.pop("messages")
    return msgspec.json.encode(members)


def outgoing(seen: Peek, *, model: str, cap: int | None) -> bytes:
    """The caller's bytes with the provider's name of the model, and a cap on the output where a budget needs one.

    What the gate itself keeps does not go on: the response that was continued, and thoughts that only another provider can read.
    Nor does `background`: it is the gate that waits.
    """
    body = seen.body if model == seen.model else with_model(seen.body, model)
    if b'"previous_response_id"' in body or b'"background"' in body or SEALED in body:
        body = _ours_removed(body)
    if cap is None:
        return body
    if b'"max_output_tokens"' in body:  # it may be there as null, and a parser may keep the last of two
        return with_members(body, {"max_output_tokens": cap})
    return with_member_first(body, b'"max_output_tokens":%d' % cap)


def _ours_removed(body: bytes) -> bytes:
    members: dict[str, Any] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    members.pop("previous_response_id", None)
    members.pop("background", None)
    if SEALED in body and isinstance(given := msgspec.json.decode(members["input"]), list):
        members["input"] = [found for item in cast("list[Any]", given) if (found := _readable(item)) is not None]
    return msgspec.json.encode(members)


def _readable(item: object) -> object | None:
    """An item as a provider can read it: a summary of ours as a message, None for a thought that only another one can read."""
    match item:
        case {"type": "compaction", "encrypted_content": str(content)} if (summary := summary_in(content)) is not None:
            return {"type": "message", "role": "user", "content": recalled(summary)}
        case {"encrypted_content": str(content)} if content.startswith(PREFIX):
            return None
        case _:
            return item
