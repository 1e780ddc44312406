"""Rankings, read from servers of Jina's shape and written for callers of either."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.errors import GatewayError, UpstreamInvalid
from aldgate.core.operations import Ranked, Ranking, RerankRequest
from aldgate.core.usage import Usage
from aldgate.dialects.openai.errors import ErrorBody, error_in_reply, render

Object = dict[str, Any]


class _Ranked(msgspec.Struct):
    index: int
    relevance_score: float


class _Usage(msgspec.Struct):
    total_tokens: int | float | None = None
    prompt_tokens: int | float | None = None


class _Reply(msgspec.Struct):
    results: list[_Ranked] | None = None
    data: list[_Ranked] | None = None
    """Voyage's name for `results`."""
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    error: ErrorBody | str | None = None


_reply = msgspec.json.Decoder(_Reply)


def read(body: bytes) -> Ranking:
    """A reply of `/v1/rerank`.

    Raises:
        UpstreamError: It is not one, or an error in the dress of one.
    """
    try:
        reply = _reply.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid("The provider's reply is no ranking.") from None
    if reply.error is not None:
        raise error_in_reply(reply.error)
    ranked = reply.results if reply.results is not None else reply.data
    if ranked is None:
        raise UpstreamInvalid("The provider's reply is no ranking.")
    results = sorted((Ranked(each.index, each.relevance_score) for each in ranked), key=lambda each: -each.score)
    return Ranking(results, _usage(reply.usage), reply.id or "", reply.model or "")


def _usage(usage: _Usage | None) -> Usage | None:
    total = usage and (usage.total_tokens or usage.prompt_tokens)
    return Usage(int(total)) if total else None


def write(call_id: str, model: str, asked: RerankRequest, ranking: Ranking) -> bytes:
    """The ranking with its items under both names: `results` as Cohere's and Jina's callers read it, `data` as others do.

    Raises:
        UpstreamInvalid: The provider ranked a document that nobody sent.
    """
    items = [_item(asked, each) for each in ranking.results[: asked.most]]
    usage = ranking.usage or Usage()
    body: Object = {
        "id": ranking.id or call_id,
        "object": "list",
        "model": model,
        "results": items,
        "data": items,
        "usage": {"prompt_tokens": usage.input_tokens, "total_tokens": usage.total_tokens},
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": usage.requests}},
    }
    return msgspec.json.encode(body)


def _item(asked: RerankRequest, ranked: Ranked) -> Object:
    if not 0 <= ranked.index < len(asked.documents):
        raise UpstreamInvalid("The provider ranked a document that nobody sent.")
    item: Object = {"index": ranked.index, "relevance_score": ranked.score}
    return {**item, "document": {"text": asked.documents[ranked.index]}} if asked.wants_documents else item


def write_error(error: GatewayError) -> bytes:
    """The error in OpenAI's shape, with its text under `message` too, where Cohere's clients look."""
    return b'{"message":%b,%b' % (msgspec.json.encode(error.message), render(error)[1:])
