"""Google's own library against a running gate: `google/suite.py` in a process and an environment of its own."""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from aldgate.testing.upstream import FakeUpstream, faults, gemini
from tests.clients import installing
from tests.support import lab, running_gate

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent / "google"


@pytest.fixture(scope="module")
def python() -> str:
    """The interpreter of an environment with what the lock names; it would not go with the other clients."""
    return installing.python(HERE / "google.lock")


async def test_the_suite(python: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        steps = {
            "google": None,
            "down": gemini.fault(503, "UNAVAILABLE"),
            "breaking": faults.truncated_stream(after=2),
        }
        upstreams = {name: await stack.enter_async_context(FakeUpstream(default=step)) for name, step in steps.items()}
        tables = {
            name: {"kind": "gemini", "base_url": upstream.url.replace("/v1", "/v1beta"), "api_key": "env:LAB_KEY"}
            for name, upstream in upstreams.items()
        }
        tables |= {name: {**tables[name], "models": ["g"]} for name in ("down", "breaking")}
        openai = await stack.enter_async_context(FakeUpstream())
        gate = await stack.enter_async_context(running_gate(tmp_path, providers={**tables, "lab": lab(openai.url)}))
        process = await asyncio.create_subprocess_exec(
            python,
            str(HERE / "suite.py"),
            env={"PATH": os.environ.get("PATH", ""), "GATE_URL": gate.url, "GATE_KEY": await gate.key()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        assert output.decode().count("passed check_") == 20, output.decode()
