"""Fixtures the whole suite shares."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from argon2 import PasswordHasher

from aldgate.gate.principals import passwords
from tests.limiter.valkey.server import Server, binary, running
from tests.servers import NewUrl, postgres_server

pytest_plugins = ["tests.skips", "tests.databases"]
SLOWEST = ("jobs/test_kills.py", "jobs/test_three_hosts.py", "test_growth.py", "faults/", "clients/", "processes/")
"""Of files and folders: begun first, so that no process is left with one of them when the others have nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(here).as_posix()
        return next((number for number, slow in enumerate(SLOWEST) if path.startswith(slow)), len(SLOWEST))

    items.sort(key=place)


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


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hashes of passwords are argon2id still, but cheap: what they cost is tested where they are made, and waited for nowhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", cache(lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)))
        yield
