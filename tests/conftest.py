"""Fixtures the whole suite shares."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.limiter.valkey.server import Server, binary, running
from tests.servers import NewUrl, postgres_server

pytest_plugins = ["tests.skips", "tests.databases"]


@pytest.fixture(scope="session")
def new_postgres() -> Iterator[NewUrl]:
    """Gives URLs of empty databases on one PostgreSQL server."""
    yield from postgres_server()


@pytest.fixture
def valkey() -> Iterator[Server]:
    """An empty Valkey or Redis server."""
    if binary() is None:
        pytest.skip("Valkey is not installed: neither `valkey-server` nor `redis-server` is on the path")
    with TemporaryDirectory(prefix="aldgate-valkey-") as home, running(Path(home)) as server:
        yield server


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the gate does."""
    return "asyncio"
