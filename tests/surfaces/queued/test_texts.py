"""Prompts that an engine answers, and the list of what may be asked."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from aldgate.testing.engines.ollama import FakeOllama
from aldgate.testing.upstream import FakeUpstream
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def ollama() -> AsyncIterator[FakeOllama]:
    async with FakeOllama() as fake:
        yield fake


@pytest.fixture(scope="module")
async def gate(
    ollama: FakeOllama, upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGate]:
    config = f'[engines.ollama]\nbase_url = "{ollama.url}"\nplaces = 4\n'
    data = tmp_path_factory.mktemp("texts")
    async with running_gate(data, providers={"lab": lab(upstream.url)}, config=config) as gate:
        yield gate


async def write(gate: RunningGate, key: str, **asked: Any) -> httpx2.Response:
    return await gate.http.post("/llm/generate", json={"prompt": "Hi", **asked}, headers={"authorization": f"Bearer {key}"})


async def ended(gate: RunningGate, reply: httpx2.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    job_id = reply.json()["job_id"]
    await gate.http.get(f"/v1/jobs/{job_id}", params={"wait": 30})
    return (await gate.http.get(f"/jobs/{job_id}")).json()["data"]["job"]


@pytest.mark.parametrize(
    ("asked", "service"),
    [
        ({}, "ollama"),
        ({"engine": "ollama"}, "ollama"),
        ({"model": "qwen3:8b"}, "ollama"),
        ({"model": "ollama/qwen3:8b"}, "ollama"),
        ({"engine": "ollama", "model": "ollama/qwen3:8b"}, "ollama"),
        ({"model": "lab/gpt-4.1"}, "lab"),
        ({"model": "gpt-4.1"}, "lab"),
        ({"engine": "lab"}, "lab"),
        ({"engine": "lab", "model": "gpt-4.1"}, "lab"),
        ({"engine": "lab", "model": "lab/gpt-4.1"}, "lab"),
        ({"model": "builtin/echo"}, "builtin"),
        ({"engine": "builtin"}, "builtin"),
    ],
)
async def test_an_engine_goes_first_and_a_providers_model_is_named(
    gate: RunningGate, asked: dict[str, Any], service: str
) -> None:
    key = await gate.key()
    job = await ended(gate, await write(gate, key, **asked))
    said = {"ollama": "Echo: Hi", "lab": "Hello from the fake upstream.", "builtin": "Hi"}
    assert (job["service"], job["status"], job["result"]["text"]) == (service, "completed", said[service])
    (row,) = await gate.usage(key)
    assert (row["calls"], row["errors"]) == (1, 0)


async def test_all_that_is_said_reaches_the_engine(gate: RunningGate, ollama: FakeOllama) -> None:
    await ended(gate, await write(gate, await gate.key(), system="Be brief.", temperature=0.25, max_tokens=7))
    sent = ollama.body("/api/generate")
    assert (sent["prompt"], sent["system"]) == ("Hi", "Be brief.")
    assert (sent["options"]["temperature"], sent["options"]["num_predict"]) == (0.25, 7)


async def test_models_are_listed_installed_and_loaded(gate: RunningGate, ollama: FakeOllama) -> None:
    ollama.loaded = ["qwen3:8b"]
    headers = {"authorization": f"Bearer {await gate.key()}"}
    listed = (await gate.http.get("/llm/models", headers=headers)).json()["data"]
    (qwen,) = [each for each in listed["models"] if each["service"] == "ollama"]  # the other one only embeds
    assert (qwen["name"], qwen["id"], qwen["size"], qwen["loaded"]) == ("qwen3:8b", "ollama/qwen3:8b", "6144 MB", True)
    assert "lab/gpt-4.1" in {each["id"] for each in listed["models"]} and listed["unavailable"] == []


async def test_an_engine_that_is_away_is_said_to_be(gate: RunningGate, ollama: FakeOllama) -> None:
    key = await gate.key()
    ollama.fault = "error_500"
    try:
        listed = (await gate.http.get("/llm/models")).json()["data"]
        assert listed["unavailable"] == ["ollama"] and "builtin/echo" in {each["id"] for each in listed["models"]}
        for asked in ({"engine": "ollama"}, {"model": "qwen3:8b"}, {"model": "ollama/qwen3:8b"}):
            refused = await write(gate, key, **asked)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert "ollama" in refused.json()["error"]["message"]
    finally:
        ollama.fault = ""


async def test_a_job_that_fails_because_its_engine_left_says_so(gate: RunningGate, ollama: FakeOllama) -> None:
    ollama.fault = "stops_half_way"
    try:
        job = await ended(gate, await write(gate, await gate.key(), engine="ollama"))
    finally:
        ollama.fault = ""
    assert (job["status"], job["state"], job["error_code"]) == ("failed", "failed", "SERVICE_UNAVAILABLE")
