"""Whole replies of Cohere's v2 chat, embed and rerank."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from aldgate.core.conversation import Answer, Part, Reasoning, Text, ToolCall
from aldgate.core.operations import Embeddings, Ranked, Ranking
from aldgate.dialects.cohere.decoder import finish_of
from aldgate.dialects.cohere.errors import no_reply
from aldgate.dialects.cohere.usage import UsageBody

T = TypeVar("T")


class _Function(msgspec.Struct):
    name: str
    arguments: str = ""


class _Call(msgspec.Struct):
    id: str
    function: _Function


class _Content(msgspec.Struct):
    text: str | None = None
    thinking: str | None = None


class _Message(msgspec.Struct):
    content: list[_Content] | None = None
    tool_plan: str | None = None
    tool_calls: list[_Call] | None = None


class _Chat(msgspec.Struct):
    message: _Message
    id: str = ""
    finish_reason: str | None = None
    usage: UsageBody | None = None


class _Vectors(msgspec.Struct):
    floats: list[list[float]] = msgspec.field(name="float")


class _Embedded(msgspec.Struct):
    embeddings: _Vectors
    meta: UsageBody | None = None


class _Ranked(msgspec.Struct):
    index: int
    relevance_score: float


class _Reranked(msgspec.Struct):
    results: list[_Ranked]
    id: str = ""
    meta: UsageBody | None = None


def read_chat(body: bytes) -> Answer:
    """A reply of `/v2/chat`.

    Raises:
        UpstreamError: It is not one, or says that the model failed.
    """
    reply = _decode(body, _Chat)
    said = reply.message
    parts: list[Part] = [Reasoning(said.tool_plan)] if said.tool_plan else []
    for content in said.content or ():
        if content.thinking:
            parts.append(Reasoning(content.thinking))
        if content.text:
            parts.append(Text(content.text))
    calls = [ToolCall(call.id, call.function.name, call.function.arguments) for call in said.tool_calls or ()]
    finish = finish_of(reply.finish_reason, has_calls=bool(calls))
    return Answer([*parts, *calls], finish, reply.usage.canonical() if reply.usage else None, reply.id)


def read_embeddings(body: bytes) -> Embeddings:
    """A reply of `/v2/embed`."""
    reply = _decode(body, _Embedded)
    return Embeddings(reply.embeddings.floats, reply.meta.canonical() if reply.meta else None)


def read_ranking(body: bytes) -> Ranking:
    """A reply of `/v2/rerank`."""
    reply = _decode(body, _Reranked)
    results = [Ranked(each.index, each.relevance_score) for each in reply.results]
    return Ranking(results, reply.meta.canonical() if reply.meta else None, reply.id)


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise no_reply() from None
