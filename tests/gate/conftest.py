"""An open store on an empty SQLite file, and a clock to turn by hand."""

import asyncio
import shutil
from pathlib import Path

import pytest

from aldgate.storage import Store
from aldgate.store.stores import open_url


class Clock:
    """Unix seconds, by hand."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock(1_790_000_000.0)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the tables in it, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "aldgate.db"

    async def make() -> None:
        store = open_url(f"sqlite:///{path}", "first")
        await store.open()
        await store.aclose()

    asyncio.run(make())
    return path


@pytest.fixture
async def store(migrated: Path, tmp_path: Path):
    shutil.copy(migrated, tmp_path / "aldgate.db")
    store: Store = open_url(f"sqlite:///{tmp_path}/aldgate.db", "this-process")
    await store.open()
    yield store
    await store.aclose()
