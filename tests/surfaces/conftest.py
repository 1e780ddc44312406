"""One gate per module: a start costs half a second, and no test here minds what the others left behind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aldgate.testing.upstream import FakeUpstream
from tests.support import RunningGate, lab, running_gate


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def upstream(anyio_backend: str) -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gate's data directory."""
    return tmp_path_factory.mktemp("gate")


@pytest.fixture(scope="module")
async def gate(upstream: FakeUpstream, data: Path) -> AsyncIterator[RunningGate]:
    """A gate with the fake upstream as `lab`, and everything on its way through real sockets."""
    providers = {"lab": lab(upstream.url, models=["gpt-4.1", "org/model:free"])}
    async with running_gate(data, providers=providers, config='[aliases]\nfast = "gpt-4.1"\n') as gate:
        yield gate
