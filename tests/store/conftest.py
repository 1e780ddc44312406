"""A store of every kind in the registry; PostgreSQL runs from its own binaries in a temporary directory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aldgate.store.stores import STORES, open_url
from tests.servers import NewUrl, postgres_server, sqlite_files

SERVERS = {"sqlite": sqlite_files, "postgresql": postgres_server}


@pytest.fixture(scope="session", params=STORES.names())
def new_url(request: pytest.FixtureRequest) -> Iterator[NewUrl]:
    """Gives URLs of empty databases of one kind."""
    yield from SERVERS[request.param]()


@pytest.fixture
def url(new_url: NewUrl) -> str:
    """An empty database."""
    return new_url()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An empty SQLite database."""
    return f"sqlite:///{tmp_path}/aldgate.db"


@pytest.fixture
async def store(url: str):
    """An open store on an empty database."""
    store = open_url(url, "this-process")
    await store.open()
    yield store
    await store.aclose()
