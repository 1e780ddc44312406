"""Rankings asked for in Cohere's and Jina's shapes, and answered so that callers of both read them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import InvalidRequest, ModelNotFound, UpstreamError, UpstreamInvalid
from aldgate.core.operations import Ranked, Ranking, RerankRequest
from aldgate.core.prices import FREE
from aldgate.core.routes import Deployment
from aldgate.core.usage import Usage
from aldgate.dialects.rerank.dialect import JINA, Rerank

FACE = Rerank(returns_documents=True)
DEPLOYMENT = Deployment("jina/r", "jina", "reranker-v3", FREE, "file")


def body(**said: Any) -> bytes:
    return json.dumps({"query": "q", "documents": ["a", "b"], **said}).encode()


def parsed(face: Rerank = FACE, **said: Any) -> RerankRequest:
    return face.parse("rerank", face.peek("rerank", body(**said)))


def test_both_shapes_ask_the_same() -> None:
    cohere = parsed(model="m", top_n=1, max_tokens_per_doc=9)
    assert cohere == RerankRequest("rerank", "q", ["a", "b"], 1, True, 9)
    jina = parsed(model="m", documents=[{"text": "a"}, "b"], top_k=1, return_documents=False, truncation=True)
    assert jina == RerankRequest("rerank", "q", ["a", "b"], 1, False, None, {"truncation": True})
    assert parsed(Rerank(returns_documents=False)).wants_documents is False


def test_the_model_may_be_left_to_the_gate() -> None:
    assert FACE.peek("rerank", body()).model == ""
    assert FACE.peek("rerank", body(model="m")).model == "m"


@pytest.mark.parametrize(
    "said", [{"documents": []}, {"documents": [1]}, {"documents": [{"image": "x"}]}, {"query": None}, {"top_n": 0}, {"model": 1}]
)
def test_what_is_no_request(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        FACE.peek("rerank", body(**said))


@pytest.mark.parametrize(
    "wrong", [b"{", b"\xff", b'{"query":"a","query":"b","documents":["x"]}', b'{"Query":"a","documents":["x"]}']
)
def test_what_two_parsers_could_read_differently(wrong: bytes) -> None:
    with pytest.raises(InvalidRequest):
        FACE.peek("rerank", wrong)


@given(st.lists(st.text(max_size=2_000), min_size=1, max_size=250))
def test_search_units_are_bounded_from_above(documents: list[str]) -> None:
    requests = FACE.peek("rerank", body(documents=documents)).requests
    assert requests >= -(-len(documents) // 100)
    assert requests * 100 >= sum(len(document.encode()) // 500 for document in documents)


def test_a_server_of_jinas_shape_is_asked_and_answers() -> None:
    warnings: list[str] = []
    asked = RerankRequest("rerank", "q", ["a", "b"], 1, True, 9, {"truncation": True})
    sent = json.loads(JINA.build(asked, DEPLOYMENT, stream=False, warnings=warnings))
    assert sent == {
        "truncation": True,
        "model": "reranker-v3",
        "query": "q",
        "documents": ["a", "b"],
        "return_documents": False,
        "top_n": 1,
    }
    assert warnings == ["max_tokens_per_doc"]


@pytest.mark.parametrize("name", ["results", "data"])
def test_items_are_read_under_either_name_and_put_in_order(name: str) -> None:
    items = [{"index": 0, "relevance_score": 0.1, "document": {"text": "a"}}, {"index": 1, "relevance_score": 0.9}]
    reply = json.dumps({name: items, "model": "r", "usage": {"total_tokens": 12}}).encode()
    assert JINA.read("rerank", reply) == Ranking([Ranked(1, 0.9), Ranked(0, 0.1)], Usage(12), "", "r")


@pytest.mark.parametrize(
    ("reply", "kind"), [(b"[]", UpstreamInvalid), (b"{}", UpstreamInvalid), (b'{"error":"x"}', UpstreamError)]
)
def test_replies_that_are_no_ranking(reply: bytes, kind: type[UpstreamError]) -> None:
    with pytest.raises(kind):
        JINA.read("rerank", reply)


def test_callers_of_both_shapes_find_the_items() -> None:
    peek = FACE.peek("rerank", body(model="m"))
    ranking = Ranking([Ranked(1, 0.9), Ranked(0, 0.1)], Usage(12, requests=2), "up")
    written = json.loads(FACE.write("req-1", peek, parsed(), ranking))
    assert written["results"] == written["data"]
    assert written["results"][0] == {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}
    assert (written["object"], written["model"], written["id"]) == ("list", "m", "up")
    assert written["usage"]["total_tokens"] == 12
    assert written["meta"]["billed_units"] == {"search_units": 2}
    short = json.loads(FACE.write("req-1", peek, parsed(top_n=1, return_documents=False), ranking))
    assert short["results"] == [{"index": 1, "relevance_score": 0.9}]


def test_a_document_that_nobody_sent_is_not_passed_on() -> None:
    with pytest.raises(UpstreamInvalid):
        FACE.write("req-1", FACE.peek("rerank", body()), parsed(), Ranking([Ranked(2, 0.5)]))


def test_errors_are_read_by_clients_of_both() -> None:
    status, _, said = FACE.error(ModelNotFound("no such model"), "req-1")
    assert status == 404
    assert json.loads(said)["message"] == json.loads(said)["error"]["message"] == "no such model"
    assert FACE.failed(ModelNotFound("no such model"), "req-1") == said


def test_rankings_come_whole_and_translated() -> None:
    peek = FACE.peek("rerank", body())
    for wrong in (
        lambda: FACE.encoder("r", peek, parsed()),
        lambda: FACE.relay("r", "rerank", peek),
        lambda: JINA.decoder(),
        lambda: JINA.outgoing("rerank", peek, DEPLOYMENT, cap=None, warnings=[]),
    ):
        with pytest.raises(InvalidRequest):
            wrong()
