"""Embeddings and rankings: every face over every provider that makes them, and the builtin models behind every face."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.cases import SHAPE
from tests.contract.faces import FACES
from tests.contract.house import House
from tests.contract.neutral import Ask, Object, Turn
from tests.contract.providers import EMBED, RERANK
from tests.contract.test_chats import STREAM

pytestmark = pytest.mark.anyio

TEXTS = ["a church", "bells"]
Vectors = list[list[float]]


def _openai(model: str) -> tuple[str, Object]:
    return "/v1/embeddings", {"model": model, "input": TEXTS, "dimensions": 4}


def _gemini(model: str) -> tuple[str, Object]:
    asked = [{"model": f"models/{model}", "content": {"parts": [{"text": text}]}, "outputDimensionality": 4} for text in TEXTS]
    return f"/v1beta/models/{model}:batchEmbedContents", {"requests": asked}


def _ollama(model: str) -> tuple[str, Object]:
    return "/api/embed", {"model": model, "input": TEXTS, "dimensions": 4}


EMBEDDING: dict[str, tuple[Callable[[str], tuple[str, Object]], Callable[[Any], Vectors]]] = {
    "openai": (_openai, lambda body: [each["embedding"] for each in body["data"]]),
    "gemini": (_gemini, lambda body: [each["values"] for each in body["embeddings"]]),
    "ollama": (_ollama, lambda body: body["embeddings"]),
}
RERANKING = {"/v1/rerank": "top_n", "/rerank": "top_n", "/v2/rerank": "top_n"}


def texts_in(body: Object) -> list[str]:
    """What a provider was asked to embed, in whichever wire."""
    requests = body.get("requests") or body.get("instances") or ()
    contents = [each["content"] for each in requests]
    told = [content if isinstance(content, str) else content["parts"][0]["text"] for content in contents]
    return body.get("input") or body.get("texts") or told


@pytest.mark.parametrize("provider", EMBED)
@pytest.mark.parametrize("face", EMBEDDING)
async def test_texts_are_embedded(house: House, face: str, provider: str) -> None:
    say, read = EMBEDDING[face]
    path, body = say(f"{provider}/{EMBED[provider]}")
    reply = await house.gate.http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    sent = json.loads(house.upstream.requests[-1].body)
    assert texts_in(sent) == TEXTS
    size = "dimensions" if "dimensions" in sent else "output_dimension" if "output_dimension" in sent else "outputDimensionality"
    named = "dimensions" in reply.headers.get("x-aldgate-warnings", "")
    assert named or sent.get(size, (sent.get("requests") or [sent.get("parameters", {})])[0].get(size)) == 4, sent
    vectors = read(reply.json())
    assert len(vectors) == 2 and all(isinstance(number, float | int) for vector in vectors for number in vector)
    row = await house.row(reply.headers["x-request-id"])
    assert (row["operation"], row["status"]) == ("embed", 200) and row["input_tokens"] >= 1 and row["output_tokens"] == 0


@pytest.mark.parametrize("provider", RERANK)
@pytest.mark.parametrize("path", RERANKING)
async def test_documents_are_ranked(house: House, path: str, provider: str) -> None:
    body = {"model": f"{provider}/{RERANK[provider]}", "query": "what rings?", "documents": [*TEXTS, "a dog"], "top_n": 2}
    reply = await house.gate.http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    sent = json.loads(house.upstream.requests[-1].body)
    assert (sent["query"], sent["documents"], sent["top_n"]) == ("what rings?", [*TEXTS, "a dog"], 2)
    assert [each["index"] for each in reply.json()["results"]] == [2, 1]
    assert reply.json()["data"] == reply.json()["results"]
    assert (await house.row(reply.headers["x-request-id"]))["operation"] == "rerank"


@pytest.mark.parametrize("face", EMBEDDING)
async def test_the_builtin_model_embeds(house: House, face: str) -> None:
    say, read = EMBEDDING[face]
    path, body = say("builtin/embed")
    vectors = read((await house.gate.http.post(path, json=body)).json())
    assert [len(vector) for vector in vectors] == [4, 4]


@pytest.mark.parametrize("path", RERANKING)
async def test_the_builtin_model_ranks(house: House, path: str) -> None:
    body = {"model": "builtin/rerank", "query": "bells", "documents": TEXTS, "top_n": 1}
    reply = await house.gate.http.post(path, json=body)
    assert [each["index"] for each in reply.json()["results"]] == [1]


ECHOES: dict[str, tuple[Ask, str, str]] = {
    "text": (Ask(turns=(Turn("user", "Delft"),)), "Delft", "stop"),
    "cut": (Ask(turns=(Turn("user", "one two three"),), cap=2), "one two", "length"),
    "structured": (Ask(turns=(Turn("user", "Delft"),), schema=SHAPE), '{"city":"Delft"}', "stop"),
    "called": (Ask(turns=(Turn("user", "Delft"),), tools=("look", "listen"), must_call="any"), "", "tool_calls"),
}
"""What the echo is asked, what it says, and why it stops."""


@STREAM
@pytest.mark.parametrize(
    ("face", "case"), [(face, case) for face in FACES for case in ECHOES if (face, case) != ("ollama", "called")]
)
async def test_the_builtin_model_echoes(house: House, face: str, case: str, stream: bool) -> None:
    ask, text, finish = ECHOES[case]
    path, body = FACES[face].request(ask, "builtin/echo", stream=stream)
    reply = await house.gate.http.post(path, json=body, headers=house.HEADERS)
    assert reply.status_code == 200, reply.text
    answer = house.answer(face, reply, stream=stream)
    assert answer.text.strip().replace(" ", "") == text.replace(" ", "") and answer.ended
    assert [(call.name, call.arguments) for call in answer.calls] == ([("look", {"city": "Delft"})] if not text else [])
    assert answer.finish == finish
    row = await house.row(reply.headers["x-request-id"])
    assert (row["input_tokens"], row["output_tokens"]) == (answer.usage.input, answer.usage.output)
