"""One gate per module with a fake provider behind it; no test here minds what the others left behind."""

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
    """A gate at which nobody makes keys without one."""
    flags = {"auth.open_registration": "never"}
    async with running_gate(data, providers={"lab": lab(upstream.url)}, flags=flags) as gate:
        yield gate
