"""Embeddings on Vertex AI: by which verb, how many a request, and what becomes of many replies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.upstream import FakeUpstream, gemini
from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio

MODELS = ["text-embedding-005", "gemini-embedding-001", "gemini-embedding-2"]


@asynccontextmanager
async def house(data: Path) -> AsyncIterator[tuple[RunningGate, FakeUpstream]]:
    async with FakeUpstream() as google:
        table = {"kind": "vertex", "base_url": google.url, "project": "p", "access_token": "env:LAB_KEY", "models": MODELS}
        prices = "".join(f'[prices."lab/{model}"]\ninput = 2\noutput = 0\n' for model in MODELS)
        async with running_gate(data, providers={"lab": table}, config=prices) as gate:
            yield gate, google


async def embed(gate: RunningGate, model: str, *texts: str, **more: Any) -> Any:
    return await gate.http.post("/v1/embeddings", json={"model": f"lab/{model}", "input": list(texts), **more})


@pytest.mark.parametrize(
    ("model", "verb", "requests"),
    [("text-embedding-005", "predict", 1), ("gemini-embedding-001", "predict", 3), ("gemini-embedding-2", "embedContent", 3)],
)
async def test_each_model_is_asked_as_it_wants_and_billed_once(tmp_path: Path, model: str, verb: str, requests: int) -> None:
    async with house(tmp_path) as (gate, google):
        reply = await embed(gate, model, "a", "b", "c", dimensions=4)
        assert reply.status_code == 200, reply.text
        body = reply.json()
        assert [each["embedding"] for each in body["data"]] == [[0.0, 0.25, 0.5, 0.75]] * 3
        assert [seen.path.rpartition("/")[2] for seen in google.requests] == [f"{model}:{verb}"] * requests
        assert body["usage"]["prompt_tokens"] == 30 and (await gate.usage())[0]["cost_microusd"] == 60
        sent = [seen.json() for seen in google.requests]
        said = sent[0]["parameters"] if verb == "predict" else sent[0]
        assert (said["outputDimensionality"], said["autoTruncate"]) == (4, False)
        predicted = [each["content"] for body in sent for each in body.get("instances", ())]
        embedded = [body["content"]["parts"][0]["text"] for body in sent if "content" in body]
        assert sorted(predicted + embedded) == ["a", "b", "c"]


async def test_one_that_is_refused_is_the_answer(tmp_path: Path) -> None:
    async with house(tmp_path) as (gate, google):
        google.script(gemini.saying({}), gemini.fault(429, "RESOURCE_EXHAUSTED"))
        reply = await embed(gate, "gemini-embedding-001", *map(str, range(20)))
        assert (reply.status_code, reply.json()["error"]["code"]) == (429, "upstream_rate_limited")
        google.script(gemini.saying([]))
        reply = await embed(gate, "gemini-embedding-001", "a", "b")
        assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_invalid")
        assert gate.app.gate.under_way == 0


async def test_callers_of_geminis_own_api_reach_it_too(tmp_path: Path) -> None:
    async with house(tmp_path) as (gate, google):
        asked = {"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"}
        reply = await gate.http.post("/v1beta/models/lab/text-embedding-005:embedContent", json=asked)
        assert reply.status_code == 200 and len(reply.json()["embedding"]["values"]) > 1
        assert google.requests[0].json()["instances"] == [{"content": "a", "task_type": "RETRIEVAL_QUERY"}]
