"""One gate and one fake upstream for all of these tests: what they ask leaves nothing behind but rows in the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from aldgate.testing.upstream import FakeUpstream
from tests.contract.house import House
from tests.contract.providers import PROVIDERS
from tests.support import running_gate

CONFIG = """
[ledger]
window_s = 0.01
[providers.azure.deployments]
"gpt-4.1" = "gpt-4.1"
[providers.azure-v1.deployments]
"gpt-4.1" = "gpt-4.1"
"""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The gate lives as long as the session, and so must its loop."""
    return "asyncio"


@pytest.fixture(scope="session")
async def open_house(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[House]:
    data = tmp_path_factory.mktemp("contract")
    async with FakeUpstream() as upstream:
        tables = {name: provider.configured(upstream) for name, provider in PROVIDERS.items()}
        async with running_gate(data, providers=tables, config=CONFIG) as gate:
            yield House(gate, upstream, data / "aldgate.db")


@pytest.fixture
def house(open_house: House) -> Iterator[House]:
    open_house.upstream.forget()
    yield open_house
    open_house.upstream.forget()
