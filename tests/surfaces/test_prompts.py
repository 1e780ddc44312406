"""Clients with an id and a secret: out of files, out of the database, and what they may do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.testing.upstream import FakeUpstream
from tests.support import RunningGate, lab, running_gate

FILE: dict[str, Any] = {
    "client_id": "test_client",
    "name": "Test Client",
    "client_secret_hash": sha256(b"password").hexdigest(),
    "allowed_providers": ["builtin", "lab", "nowhere"],
    "default_provider": "builtin",
    "default_model": "echo",
    "max_tokens_limit": 2000,
    "rate_limit": {"requests_per_minute": 60, "tokens_per_day": 100000},
    "allowed_endpoints": ["generate", "clients/reload"],
    "created_at": "2025-03-16T20:00:00-04:00",
    "updated_at": "2025-03-16T20:00:00-04:00",
}
MINE = {"client_id": "test_client", "client_secret": "password"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


def write(files: Path, name: str, **changes: Any) -> None:
    (files / name).write_text(json.dumps({**FILE, **changes}), encoding="utf-8")


@pytest.fixture(scope="module")
async def gate(upstream: FakeUpstream, data: Path, files: Path) -> AsyncIterator[RunningGate]:
    write(files, "test_client.json")
    providers = {"lab": lab(upstream.url, models=["gpt-4.1"]), "other": lab(upstream.url, models=["gpt-4.1"])}
    async with running_gate(data, providers=providers, flags={"auth.client_config_dir": str(files)}) as gate:
        yield gate


@pytest.fixture(autouse=True)
async def fresh(gate: RunningGate, files: Path) -> None:
    """Only the one file, read, and nobody's limits touched by other tests' calls."""
    for path in files.iterdir():
        path.unlink()
    write(files, "test_client.json")
    assert (await gate.http.post("/api/v1/clients/reload")).status_code == 200


async def ask(gate: RunningGate, headers: dict[str, str] = MINE, **body: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=gate.url, trust_env=False, headers=headers) as http:
        return await http.post("/api/v1/generate", json={"prompt": "Hello, world!", **body})


async def reload(gate: RunningGate, headers: dict[str, str] = MINE, method: str = "GET") -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=gate.url, trust_env=False, headers=headers) as http:
        return await http.request(method, "/api/v1/clients/reload")


@pytest.mark.anyio
async def test_a_prompt_is_answered_as_documented(gate: RunningGate) -> None:
    reply = await ask(gate, temperature=0.7, max_tokens=150, provider="builtin", model="echo")
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert answer["text"] == "Hello, world!" and answer["model"] == "echo"
    used = answer["usage"]
    assert used["total_tokens"] == used["prompt_tokens"] + used["completion_tokens"] > 0
    assert list(answer) == ["text", "model", "usage"]


@pytest.mark.anyio
async def test_headers_are_read_with_hyphens_too(gate: RunningGate) -> None:
    reply = await ask(gate, {"client-id": "test_client", "client-secret": "password"})
    assert reply.status_code == 200
