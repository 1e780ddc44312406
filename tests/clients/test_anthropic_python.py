"""Anthropic's Python SDK, newest and old, against a running gate: `anthropic_python/suite.py` in environments of their own.

They cannot stand beside each other, nor beside what the gate itself is tested with: each is installed once from its hashed lock.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from aldgate.testing.upstream import FakeUpstream, Reply, Step, anthropic, faults
from tests.clients import installing, running
from tests.support import lab, running_gate

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent / "anthropic_python"
CLAUDE = Reply(models=("claude-opus-5",))


@pytest.fixture(scope="module", params=["new", "old"])
def python(request: pytest.FixtureRequest) -> str:
    """The interpreter of an environment with the SDK as its lock says."""
    return installing.python(HERE / f"{request.param}.lock")


async def test_the_sdk_runs_unmodified(python: str, tmp_path: Path) -> None:
    overload = Step("overload", lambda asked: iter([anthropic.refusal(529, "overloaded_error", "Overloaded")]))
    async with (
        FakeUpstream(reply=CLAUDE) as claude,
        FakeUpstream() as gpt,
        FakeUpstream(reply=CLAUDE, default=faults.die_mid_stream(after=4)) as broken,
        FakeUpstream(default=faults.die_mid_stream(after=3)) as broken_gpt,
        FakeUpstream(reply=CLAUDE) as stumbling,
    ):
        stumbling.script(overload)
        named = {"kind": "anthropic", "models": ["claude-opus-5"], "api_key": "env:LAB_KEY"}
        tables = {
            "claude": {**named, "base_url": claude.url},
            "lab": lab(gpt.url),
            "broken": {**named, "base_url": broken.url},
            "broken-gpt": lab(broken_gpt.url),
            "stumbling": {**named, "base_url": stumbling.url},
        }
        async with running_gate(tmp_path, providers=tables) as gate:
            suite = [python, str(HERE / "suite.py"), gate.url, await gate.key()]
            code, output = await running.run(*suite)
    assert code == 0, output
