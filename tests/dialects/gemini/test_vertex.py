"""Embeddings in Vertex AI's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aldgate.core.calls import Peek
from aldgate.core.conversation import Conversation
from aldgate.core.errors import InvalidRequest, UpstreamError, UpstreamInvalid
from aldgate.core.operations import EmbedRequest
from aldgate.core.routes import Deployment
from aldgate.dialects.gemini.vertex import VERTEX_EMBEDDINGS, is_predicted, reads_one

DEPLOYMENT = Deployment("v/text-embedding-005", "v", "text-embedding-005", None, "file")


def build(model: str, **fields: Any) -> tuple[Any, list[str]]:
    warnings: list[str] = []
    deployment = Deployment(f"v/{model}", "v", model, None, "file")
    asked = EmbedRequest("openai", **{"inputs": ["a"], **fields})
    return json.loads(VERTEX_EMBEDDINGS.build(asked, deployment, stream=False, warnings=warnings)), warnings


def test_what_it_cannot_be_told_is_named_or_refused() -> None:
    body, warnings = build("gemini-embedding-2", user="u", task="document")
    assert warnings == ["user"] and body["requests"][0]["taskType"] == "RETRIEVAL_DOCUMENT"
    with pytest.raises(InvalidRequest, match="token ids"):
        build("text-embedding-005", inputs=[[1, 2]])
    with pytest.raises(InvalidRequest):
        VERTEX_EMBEDDINGS.build(Conversation("openai", []), DEPLOYMENT, stream=False, warnings=[])


def test_nobody_calls_in_it_and_nothing_is_streamed() -> None:
    with pytest.raises(InvalidRequest):
        VERTEX_EMBEDDINGS.outgoing("embed", Peek(b"{}", "m"), DEPLOYMENT, cap=None, warnings=[])
    with pytest.raises(InvalidRequest):
        VERTEX_EMBEDDINGS.decoder()


@pytest.mark.parametrize("body", [b"[]", b'{"predictions":[{}]}', b"\xff", b"{}"])
def test_what_is_no_reply_is_said_so(body: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        VERTEX_EMBEDDINGS.read("embed", body)


def test_an_error_in_the_dress_of_a_reply_is_one() -> None:
    with pytest.raises(UpstreamError, match="limit"):
        VERTEX_EMBEDDINGS.read("embed", b'{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"the limit"}}')


@pytest.mark.parametrize(
    ("model", "predicted", "one"),
    [("text-embedding-005", True, False), ("gemini-embedding-001", True, True), ("gemini-embedding-2", False, True)],
)
def test_which_models_are_asked_how(model: str, predicted: bool, one: bool) -> None:
    assert (is_predicted(model), reads_one(model)) == (predicted, one)
