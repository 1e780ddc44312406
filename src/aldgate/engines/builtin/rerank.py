"""`builtin/rerank`: documents in the order of the words they share with the query, in Jina's wire format."""

import asyncio
import math
from typing import Annotated, Any

from msgspec import Meta, Struct

from aldgate.core.calls import Attempt
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.rerank.requests import parse
from aldgate.engines.builtin.embed import lexical_vector
from aldgate.engines.builtin.frames import encoder
from aldgate.engines.builtin.lexical import WIDTH
from aldgate.engines.builtin.pause import Later, Pause, call_later
from aldgate.engines.builtin.reply import JSON, Reply
from aldgate.engines.builtin.words import count_words

MOST_DOCUMENTS = 10_000


class RerankOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast reranking is, so that it can stand in for a model in a load test. Milliseconds; 0 is at once."""

    first_byte_ms: Annotated[float, Meta(ge=0)] = 0
    """Until the reply."""


class Rerank:
    """The reranker.

    Args:
        options: Its pace.
        later: Where waiting comes from.
    """

    def __init__(self, options: RerankOptions, *, later: Later = call_later) -> None:
        self._first_byte_s = options.first_byte_ms / 1000
        self._later = later

    async def start(self, attempt: Attempt) -> Reply:
        """Rank documents.

        Raises:
            InvalidRequest: There are too many.
        """
        asked = parse(attempt.body, returns_documents=False)
        if len(asked.documents) > MOST_DOCUMENTS:
            raise InvalidRequest(f"There may be {MOST_DOCUMENTS} documents at most.", param="documents")
        if self._first_byte_s:
            await Pause(self._later).wait(self._first_byte_s)
        query = await lexical_vector(asked.query, WIDTH)
        scores: list[float] = []
        for document in asked.documents:
            scores.append(_score(query, await lexical_vector(document, WIDTH)) if document.strip() else 0.0)
            await asyncio.sleep(0)
        order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
        used = sum(map(count_words, (asked.query, *asked.documents)))
        body: dict[str, Any] = {
            "object": "list",
            "model": attempt.deployment.id,
            "results": [{"index": index, "relevance_score": scores[index]} for index in order[: asked.most]],
            "usage": {"prompt_tokens": used, "total_tokens": used},
        }
        return Reply(iter(((0, encoder.encode(body)),)), JSON)


def _score(query: list[float], document: list[float]) -> float:
    """The cosine of two vectors of length 1, from 0 up; rounded, so that every platform says the same."""
    return round(max(0.0, math.fsum(a * b for a, b in zip(query, document, strict=True))), 6)
