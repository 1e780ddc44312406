"""Fixtures the whole suite shares."""

from collections.abc import Iterator

import pytest

from tests.servers import NewUrl, postgres_server

pytest_plugins = ["tests.skips"]


@pytest.fixture(scope="session")
def new_postgres() -> Iterator[NewUrl]:
    """Gives URLs of empty databases on one PostgreSQL server."""
    yield from postgres_server()


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the gate does."""
    return "asyncio"
