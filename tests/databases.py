"""Which kind of database the gates under test keep their data in.

SQLite; with ALDGATE_TEST_DATABASE=postgresql, an empty database of a PostgreSQL server for each data directory.
"""

import asyncio
import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.servers import NewUrl, postgres_server

KIND = os.environ.get("ALDGATE_TEST_DATABASE", "sqlite")
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

on_sqlite = pytest.mark.skipif(KIND != "sqlite", reason="is about SQLite's file")
"""For tests of what no other database has."""


class _Server:
    """The PostgreSQL server of this run, started when it is first needed."""

    def __init__(self) -> None:
        self._running: Iterator[NewUrl] | None = None
        self._new_url: NewUrl

    def new_url(self) -> str:
        if self._running is None:
            self._running = postgres_server()
            self._new_url = next(self._running)
        return self._new_url()

    def stop(self) -> None:
        if isinstance(self._running, Generator):
            self._running.close()
        self._running = None


_server = _Server()


def pytest_configure() -> None:
    if KIND not in DRIVERS:
        raise pytest.UsageError(f"ALDGATE_TEST_DATABASE={KIND}: there are {', '.join(DRIVERS)}")


def pytest_unconfigure() -> None:
    _server.stop()


@cache
def url_of(data: Path) -> str:
    """The database of the gates with this data directory; empty until one has run."""
    return f"sqlite:///{data}/aldgate.db" if KIND == "sqlite" else _server.new_url()


def environment_of(data: Path) -> dict[str, str]:
    """What tells a gate of it; nothing for the one that it takes by itself."""
    return {} if KIND == "sqlite" else {"ALDGATE_STORE": url_of(data)}


def ask(data: Path, statement: str, **parameters: object) -> list[dict[str, Any]]:
    """Run one statement behind a gate's back; `:name` stands for a parameter."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, _asked(url_of(data), statement, parameters)).result()


def let_leases_lapse(data: Path) -> None:
    """As if a killed gate had been away for long. With SQLite the next one knows that it is alone; others wait for clocks."""
    if KIND == "sqlite":
        return
    ask(data, "UPDATE processes SET seen_at = 0")
    for table in ("batches", "jobs", "responses"):
        ask(data, f"UPDATE {table} SET lease_until = 0 WHERE lease_until IS NOT NULL")


async def _asked(url: str, statement: str, parameters: dict[str, object]) -> list[dict[str, Any]]:
    engine = create_async_engine(make_url(url).set(drivername=DRIVERS[KIND]))
    try:
        async with engine.begin() as connection:
            result = await connection.execute(text(statement), parameters)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []
    finally:
        await engine.dispose()
