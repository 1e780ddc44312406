"""Fixtures the whole suite shares."""

from collections.abc import Iterator
from functools import cache

import pytest
from argon2 import PasswordHasher

from aldgate.gate.principals import passwords
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


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hashes of passwords are argon2id still, but cheap: what they cost is tested where they are made, and waited for nowhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", cache(lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)))
        yield
