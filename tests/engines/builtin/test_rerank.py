import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.calls import Attempt
from aldgate.core.errors import InvalidRequest
from aldgate.core.prices import FREE
from aldgate.core.routes import Deployment
from aldgate.engines.builtin.rerank import MOST_DOCUMENTS, Rerank, RerankOptions

DEPLOYMENT = Deployment("builtin/rerank", "builtin", "rerank", FREE, "builtin")
DOCUMENTS = ["opening hours of the museum", "password reset for staff", "", "reset your password here"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def ranked(documents: list[str], query: str = "How do I reset my password?", **said: Any) -> dict[str, Any]:
    body = json.dumps({"query": query, "documents": documents, **said}).encode()
    reply = await Rerank(RerankOptions()).start(Attempt("req-1", "rerank", DEPLOYMENT, body, False))
    return json.loads(await reply.read())


@pytest.mark.anyio
async def test_documents_that_share_words_with_the_query_come_first() -> None:
    answer = await ranked(DOCUMENTS)
    assert [item["index"] for item in answer["results"]] == [3, 1, 0, 2]
    assert answer["results"][-1]["relevance_score"] == 0
    assert answer["usage"] == {"prompt_tokens": 19, "total_tokens": 19}
    assert (await ranked(DOCUMENTS, top_n=1))["results"] == answer["results"][:1]


@pytest.mark.anyio
@pytest.mark.parametrize("documents", [["x"] * 3, ["a", "b", "c"]])
async def test_equal_scores_keep_the_callers_order(documents: list[str]) -> None:
    answer = await ranked(documents, query="zzz")
    assert [item["index"] for item in answer["results"]] == [0, 1, 2]


@given(st.lists(st.text(), min_size=1, max_size=5), st.text(min_size=1))
@pytest.mark.anyio
async def test_every_score_is_between_0_and_1_and_always_the_same(documents: list[str], query: str) -> None:
    answer = await ranked(documents, query)
    assert all(0 <= item["relevance_score"] <= 1 for item in answer["results"])
    assert await ranked(documents, query) == answer


@pytest.mark.anyio
async def test_there_is_a_bound() -> None:
    with pytest.raises(InvalidRequest):
        await ranked(["x"] * (MOST_DOCUMENTS + 1))
