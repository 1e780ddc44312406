"""Reads of a Messages request what the gate decides on, and prepares the bytes that go on to an upstream of the same dialect.

Wire: https://platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.errors import ThreadNotFound
from aldgate.dialects.governed import with_members, with_model
from aldgate.dialects.reading import read_body

NEWEST_VERSION = b"2026-10-21"
"""Refuses sampling parameters and attachments of the assistant's (https://platform.claude.com/docs/en/api/migration-2026-10-21)."""
FORWARDED = frozenset({b"anthropic-version", b"anthropic-beta"})
"""Headers that say how the body is to be read; a provider of the same dialect gets them to the byte."""

Name = Annotated[str, msgspec.Meta(min_length=1)]
Cap = Annotated[int, msgspec.Meta(ge=0)]

Seen = TypeVar("Seen", bound="_CountPeek")


class _Message(msgspec.Struct):
    role: str


class _CountPeek(msgspec.Struct, kw_only=True):
    model: Name
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1)]
    thread: Any = None


class _Peek(_CountPeek, kw_only=True):
    max_tokens: Cap
    stream: bool | None = None


_GOVERNED = (b'"model"', b'"stream"', b'"max_tokens"', b'"thread"')
_request = msgspec.json.Decoder(_Peek)
_count = msgspec.json.Decoder(_CountPeek)


def peek(body: bytes, named: Named | None = None) -> Peek:
    """Read the governed fields of the body of `POST /v1/messages`.

    Raises:
        InvalidRequest: Not JSON, not UTF-8, nested too deep, a field of a wrong type or value, an ambiguous key.
    """
    body, seen = _decoded(body, _request)
    forward = _forward(named) if named is not None else b""
    return Peek(body=body, model=seen.model, stream=seen.stream is True, cap=seen.max_tokens, forward=forward)


def peek_count(body: bytes, named: Named | None = None) -> Peek:
    """The same of `POST /v1/messages/count_tokens`, which generates nothing."""
    body, seen = _decoded(body, _count)
    return Peek(body=body, model=seen.model, cap=0, forward=_forward(named) if named is not None else b"")


def _decoded(body: bytes, decoder: msgspec.json.Decoder[Seen]) -> tuple[bytes, Seen]:
    return read_body(body, _GOVERNED, lambda body: (body, _known_whole(decoder.decode(body))))


def _known_whole(seen: Seen) -> Seen:
    """`seen`, unless it only goes on from what a provider holds: nobody here knows how long that is, nor whose.

    Raises:
        ThreadNotFound: What Anthropic says when a thread has expired, whereupon its SDKs send everything
            (https://platform.claude.com/docs/en/build-with-claude/message-threads).
    """
    match seen.thread:
        case None | {"type": "create"}:
            return seen
        case _:
            raise ThreadNotFound("This gate holds no message threads; send the whole conversation.", param="thread")


def _forward(named: Named) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in named.headers if header[0] in FORWARDED)


def betas_of(forward: bytes) -> list[str]:
    """What the `anthropic-beta` headers among `Peek.forward` name."""
    lines = (line.partition(b": ") for line in forward.split(b"\r\n"))
    betas = (beta.strip() for name, _, value in lines if name == b"anthropic-beta" for beta in value.decode("latin-1").split(","))
    return list(dict.fromkeys(beta for beta in betas if beta))


def outgoing(seen: Peek, *, model: str, cap: int | None) -> bytes:
    """The bytes for an upstream of the same dialect: the model's name swapped, and the bound on output where it must be lower."""
    body = seen.body if model == seen.model else with_model(seen.body, model)
    return body if cap is None or cap == seen.cap else with_members(body, {"max_tokens": cap})
