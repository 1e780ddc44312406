"""The README of the port-1301 gateway with curl: its commands as they stand there, and one for each endpoint that it lists.

Only its placeholders are filled in; curl is told in its own configuration where `localhost:1301` is.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.engines.ollama import FakeOllama
from tests.support import RunningGate, running_gate

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
MAKE_A_KEY = """curl -X POST http://localhost:1301/auth/keys \\
  -H "Content-Type: application/json" \\
  -d '{"name": "mobile-app"}'
"""
LOOK = """curl -X GET http://localhost:1301/jobs/<job_id> \\
  -H "X-API-Key: YOUR_KEY"
"""
JSON = '-H "X-API-Key: YOUR_KEY" -H "Content-Type: application/json"'
ENDPOINTS = (
    ("/generate/image", '{"prompt": "a lighthouse at dusk", "width": 64, "height": 64}', "image/png"),
    ("/generate/video", '{"prompt": "waves", "duration": 1}', "video/mp4"),
    ("/generate/audio", '{"prompt": "rain on a roof", "engine": "builtin", "duration": 1}', "audio/wav"),
    ("/generate/music", '{"prompt": "a slow waltz", "engine": "builtin", "duration": 1}', "audio/wav"),
    ("/tts", '{"text": "Hello there", "speed": 1.0}', "audio/wav"),
)


class Shell:
    """Runs commands where `localhost:1301` is the gate."""

    def __init__(self, gate: RunningGate, home: Path) -> None:
        (home / ".curlrc").write_text(f'connect-to = "localhost:1301:127.0.0.1:{gate.port}"\nsilent\n')
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(home), "CURL_HOME": str(home)}
        self.names: dict[str, str] = {}

    async def said(self, command: str) -> dict[str, Any]:
        """What a command prints, as JSON, with its placeholders filled in."""
        for name, value in self.names.items():
            command = command.replace(name, value)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("bash", "-c", command, stdout=pipe, stderr=pipe, env=self._environment)
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return json.loads(out)

    async def job(self, created: dict[str, Any]) -> dict[str, Any]:
        """The job that was created, once it has ended: looked at again and again, as the README says."""
        assert created["success"] is True and created["error"] is None and created["data"]["status"] == "pending", created
        self.names["<job_id>"] = created["data"]["job_id"]
        async with asyncio.timeout(60):
            while (job := (await self.said(LOOK))["data"]["job"])["status"] in ("pending", "running"):
                assert job["result"] is None
        return job


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with FakeOllama() as ollama:
        config = f'[engines.ollama]\nbase_url = "{ollama.url}"\n'
        async with running_gate(tmp_path / "gate", config=config) as gate:
            shell = Shell(gate, tmp_path)
            made = await shell.said(MAKE_A_KEY)
            assert made["success"] is True and made["error"] is None and made["timestamp"]
            assert made["data"]["name"] == "mobile-app" and made["data"]["created_at"]
            shell.names["YOUR_KEY"] = made["data"]["key"]
            yield shell


async def test_the_readme_is_run(shell: Shell) -> None:
    for path, body, mime in ENDPOINTS:
        job = await shell.job(await shell.said(f"curl -X POST http://localhost:1301{path} {JSON} -d '{body}'"))
        assert (job["status"], job["result"]["artifacts"][0]["mime"]) == ("completed", mime), job
    prompt = '{"prompt": "Say hello", "model": "qwen3:8b", "temperature": 0.7}'
    job = await shell.job(await shell.said(f"curl -X POST http://localhost:1301/llm/generate {JSON} -d '{prompt}'"))
    assert (job["service"], job["result"]["text"]) == ("ollama", "Echo: Say hello")
    key = '-H "X-API-Key: YOUR_KEY"'
    models = (await shell.said(f"curl http://localhost:1301/llm/models {key}"))["data"]["models"]
    assert "qwen3:8b" in {model["name"] for model in models}
    listed = (await shell.said(f"curl http://localhost:1301/jobs {key}"))["data"]["jobs"]
    assert len(listed) == len(ENDPOINTS) + 1 and listed[0]["job_id"] == job["job_id"]
    stopped = await shell.said(f"curl -X DELETE http://localhost:1301/jobs/<job_id> {key}")
    assert stopped["data"]["cancelled"] is False
    assert (await shell.said("curl http://localhost:1301/health"))["data"]["status"] == "healthy"


async def test_an_error_is_as_the_readme_shows_it(shell: Shell) -> None:
    refused = await shell.said(
        f"""curl -X POST http://localhost:1301/generate/image {JSON} -d '{{"prompt": "x", "engine": "comfyui"}}'"""
    )
    assert (refused["success"], refused["data"], refused["error"]["code"]) == (False, None, "SERVICE_UNAVAILABLE")
    without = await shell.said("curl http://localhost:1301/jobs")
    assert (without["success"], without["error"]["code"]) == (False, "INVALID_API_KEY")
