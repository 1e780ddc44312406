"""Clients from PyPI against a running gate: the `suite.py` in each one's directory, run in an environment of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import installing, running
from tests.clients.house import house

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HERE = Path(__file__).parent


@pytest.mark.parametrize("client", ["langchain", "ollama"])
async def test_the_suite(client: str, tmp_path: Path) -> None:
    python = installing.python(HERE / client / f"{client}.lock")
    async with house(tmp_path) as opened:
        code, output = await running.run(python, str(HERE / client / "suite.py"), **await opened.environment())
    assert code == 0, output
