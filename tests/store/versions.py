"""Databases as older versions of this program left them."""

import asyncio
from collections.abc import Callable
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


def walk(connection: Connection, revision: str) -> None:
    """Walk to a revision, as an older program would have."""
    config = Config()
    config.set_main_option("script_location", "aldgate.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def within(url: str, work: Callable[[Connection], Any]) -> Any:
    """Do this in a transaction of the database; not for where a loop runs."""

    async def run() -> Any:
        parsed = make_url(url)
        engine = create_async_engine(parsed.set(drivername=DRIVERS[parsed.get_backend_name()]))
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def make(url: str, revision: str) -> None:
    """Make the tables of that revision in an empty database."""
    within(url, lambda connection: walk(connection, revision))


def move(url: str, revision: str) -> None:
    """Say that the database is at another revision than it is."""
    within(url, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision}))
