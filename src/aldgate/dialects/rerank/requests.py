"""Reads rerank requests in Cohere's and Jina's shapes, which differ in names alone, and makes them for servers of Jina's.

Wires: https://docs.cohere.com/reference/rerank and https://api.jina.ai/redoc#tag/rerank; vLLM, llama.cpp and Together answer
to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.operations import RerankRequest
from aldgate.dialects.reading import read_body

ORIGIN = "rerank"
DOCUMENTS_PER_UNIT = 100
CHUNK_BYTES = 100
"""Cohere cuts documents that are over 500 tokens together with the query, and counts each chunk as a document
(https://docs.cohere.com/docs/rerank-overview). No query leaves less than this much of a chunk for the document, and text has no
more tokens than bytes."""
CHUNK_TOKENS = 500

_GOVERNED = (b'"model"', b'"query"', b'"documents"')


class _Document(msgspec.Struct):
    text: str


class RerankBody(msgspec.Struct):
    """Body of a rerank request, in either shape."""

    query: str
    documents: Annotated[list[str | _Document], msgspec.Meta(min_length=1)]
    model: str | None = None
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Voyage's name for `top_n`."""
    return_documents: bool | None = None
    max_tokens_per_doc: Annotated[int, msgspec.Meta(ge=1)] | None = None


_asked = msgspec.json.Decoder(RerankBody)


def peek(body: bytes) -> Peek:
    """Read the governed fields of `body`. `requests` is the most search units that it may be billed as.

    Raises:
        InvalidRequest: Not JSON, not UTF-8, nested too deep, a field of a wrong type or value, an ambiguous key.
    """
    body, asked = read_body(body, _GOVERNED, lambda body: (body, _asked.decode(body)))
    return Peek(body=body, model=asked.model or "", requests=_search_units(asked.query, _texts(asked.documents)))


def parse(body: bytes, *, returns_documents: bool) -> RerankRequest:
    """The whole request. `returns_documents`: whether results repeat their texts when the caller does not say."""
    asked = _asked.decode(body)
    wants = returns_documents if asked.return_documents is None else asked.return_documents
    most = asked.top_n or asked.top_k
    given: dict[str, Any] = msgspec.json.decode(body)
    others = {name: value for name, value in given.items() if value is not None and name not in RerankBody.__struct_fields__}
    return RerankRequest(ORIGIN, asked.query, _texts(asked.documents), most, wants, asked.max_tokens_per_doc, others)


def build(asked: RerankRequest, model: str, warnings: list[str]) -> dict[str, Any]:
    """Body of `POST /v1/rerank` at a server of Jina's shape. Texts are never sent back: the gate has them.

    Fields that only some such server knows go on as they came.
    """
    if asked.max_tokens_per_doc is not None:
        warnings.append("max_tokens_per_doc")
    body = {**asked.others, "model": model, "query": asked.query, "documents": asked.documents, "return_documents": False}
    return body if asked.most is None else {**body, "top_n": asked.most}


def _texts(documents: Sequence[str | _Document]) -> list[str]:
    return [each if isinstance(each, str) else each.text for each in documents]


def _search_units(query: str, documents: Sequence[str]) -> int:
    room = max(CHUNK_BYTES, CHUNK_TOKENS - len(query.encode()))
    chunks = sum(1 + len(text.encode()) // room for text in documents)
    return -(-chunks // DOCUMENTS_PER_UNIT)
