"""Reads of an OpenAI request what the gate decides on, and prepares the bytes that go on to an upstream of the same dialect.

Wire: https://platform.openai.com/docs/api-reference (chat, completions, embeddings).
"""

from typing import Annotated, Any

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.principals import Operation
from aldgate.dialects.governed import (
    with_member_first,
    with_members,
    with_model,
)
from aldgate.dialects.reading import read_body

Choices = Annotated[int, msgspec.Meta(ge=1, le=128)]
Cap = Annotated[int, msgspec.Meta(ge=1)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


class StreamOptions(msgspec.Struct):
    """`stream_options` as far as it matters here."""

    include_usage: bool | None = None


class _Message(msgspec.Struct):
    role: str


class _ChatPeek(msgspec.Struct):
    model: Name
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Choices | None = None
    max_tokens: Cap | None | msgspec.UnsetType = msgspec.UNSET
    max_completion_tokens: Cap | None | msgspec.UnsetType = msgspec.UNSET
    background: Any = None


class _CompletionPeek(msgspec.Struct):
    model: Name
    prompt: str | list[Any]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Choices | None = None
    best_of: Choices | None = None
    max_tokens: Cap | None = None


class _EmbeddingPeek(msgspec.Struct):
    model: Name
    input: str | list[Any]


class _ModerationPeek(msgspec.Struct):
    input: str | list[Any]
    model: str | None = None


_STREAMED = (b'"model"', b'"stream"', b'"stream_options"', b'"n"', b'"max_tokens"')
_GOVERNED: dict[Operation, tuple[bytes, ...]] = {
    "chat": (*_STREAMED, b'"max_completion_tokens"'),
    "complete": (*_STREAMED, b'"best_of"', b'"prompt"'),
    "embed": (b'"model"',),
    "moderate": (b'"model"',),
}
_chat = msgspec.json.Decoder(_ChatPeek)
_completion = msgspec.json.Decoder(_CompletionPeek)
_embedding = msgspec.json.Decoder(_EmbeddingPeek)
_moderation = msgspec.json.Decoder(_ModerationPeek)


def peek(operation: Operation, body: bytes) -> Peek:
    """Read the governed fields of `body`.

    Raises:
        InvalidRequest: Not JSON, not UTF-8, nested too deep, a field of a wrong type or value, an ambiguous key.
    """
    return read_body(body, _GOVERNED[operation], _READERS[operation])


def _peek_chat(body: bytes) -> Peek:
    seen = _chat.decode(body)
    old, new = seen.max_tokens or None, seen.max_completion_tokens or None
    options = seen.stream_options
    return Peek(
        body=body,
        model=seen.model,
        stream=seen.stream is True,
        cap=max(old or 0, new or 0) or None,
        choices=seen.n or 1,
        wants_usage=options is not None and options.include_usage is True,
        has_stream_options=options is not None,
        cap_field="max_tokens" if old and not new else "max_completion_tokens" if new and not old else None,
        names_cap=seen.max_tokens is not msgspec.UNSET or seen.max_completion_tokens is not msgspec.UNSET,
        is_background=seen.background is True,
    )


def _peek_completion(body: bytes) -> Peek:
    seen = _completion.decode(body)
    options = seen.stream_options
    return Peek(
        body=body,
        model=seen.model,
        stream=seen.stream is True,
        cap=seen.max_tokens,
        choices=max(seen.n or 1, seen.best_of or 1) * _count_prompts(seen.prompt),
        wants_usage=options is not None and options.include_usage is True,
        has_stream_options=options is not None,
    )


def _count_prompts(prompt: str | list[Any]) -> int:
    """A string or a list of token ids is one prompt; a list of either is as many."""
    if isinstance(prompt, str) or not prompt or all(isinstance(token, int) for token in prompt):
        return 1
    return len(prompt)


def _peek_embedding(body: bytes) -> Peek:
    return Peek(body=body, model=_embedding.decode(body).model)


def _peek_moderation(body: bytes) -> Peek:
    return Peek(body=body, model=_moderation.decode(body).model or "")


_READERS = {"chat": _peek_chat, "complete": _peek_completion, "embed": _peek_embedding, "moderate": _peek_moderation}


def outgoing(seen: Peek, *, model: str, cap_field: str | None, cap: int | None, ask_usage: bool) -> bytes:
    """The bytes for an upstream of the same dialect: model name swapped, a cap or a wish for usage put in where needed.

    Args:
        seen: The request.
        model: What the upstream calls the model.
        cap_field: Name of the field that bounds output tokens there.
        cap: Output tokens per choice to inject; None injects nothing.
        ask_usage: The upstream reports streamed usage only when asked.
    """
    body = seen.body if model == seen.model else with_model(seen.body, model)
    if cap is not None and cap_field is not None:
        body = _capped(body, seen, cap_field, cap)
    if ask_usage and seen.stream and not seen.wants_usage:
        if not seen.has_stream_options and b'"stream_options"' not in body:
            return with_member_first(body, b'"stream_options":{"include_usage":true}')
        return with_members(body, {"stream_options": _asking(body)})
    return body


def _capped(body: bytes, seen: Peek, cap_field: str, cap: int) -> bytes:
    """With the cap under the name that the provider knows, and under the other where that says more: some obey either."""
    if not seen.names_cap:
        return with_member_first(body, b'"%b":%d' % (cap_field.encode(), cap))
    other = "max_completion_tokens" if cap_field == "max_tokens" else "max_tokens"
    if seen.cap is not None and seen.cap > cap and b'"%s"' % other.encode() in body:
        return with_members(body, {cap_field: cap, other: cap})
    field = b'"%s"' % cap_field.encode()
    # It may be there as null, and a parser may keep the last of two.
    return with_members(body, {cap_field: cap}) if field in body else with_member_first(body, b"%s:%d" % (field, cap))


class _Options(msgspec.Struct):
    stream_options: dict[str, Any] | None = None


def _asking(body: bytes) -> dict[str, Any]:
    given = msgspec.json.decode(body, type=_Options).stream_options or {}
    return {**given, "include_usage": True}
