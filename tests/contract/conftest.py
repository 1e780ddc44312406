"""One gate and one fake upstream for all of these tests: what they ask leaves nothing behind but rows in the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from aldgate.testing.upstream import FakeUpstream
from tests.contract.house import House, opened


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The gate lives as long as the session, and so must its loop."""
    return "asyncio"


@pytest.fixture(scope="session")
async def open_house(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[House]:
    async with FakeUpstream() as upstream, opened(tmp_path_factory.mktemp("contract"), upstream) as house:
        yield house


@pytest.fixture
def house(open_house: House) -> Iterator[House]:
    open_house.upstream.forget()
    yield open_house
    open_house.upstream.forget()
