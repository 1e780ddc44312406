"""LangChain's chat models against a running gate: `langchain/suite.py` in an environment of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import installing, running
from tests.clients.house import house

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HERE = Path(__file__).parent / "langchain"


async def test_the_suite(tmp_path: Path) -> None:
    python = installing.python(HERE / "langchain.lock")
    async with house(tmp_path) as opened:
        code, output = await running.run(python, str(HERE / "suite.py"), **await opened.environment())
    assert code == 0, output
