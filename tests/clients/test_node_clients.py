"""Clients from npm against a running gate, each suite of `node/` in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import installing, running
from tests.clients.house import house

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HERE = Path(__file__).parent / "node"


@pytest.mark.parametrize("suite", ["ai", "anthropic", "google", "responses"])
async def test_the_suite(suite: str, tmp_path: Path) -> None:
    installing.node_modules(HERE)
    async with house(tmp_path) as opened:
        command = [installing.node(), "--test-reporter=spec", str(HERE / f"{suite}.mjs")]
        code, output = await running.run(*command, **await opened.environment())
    assert code == 0, output
