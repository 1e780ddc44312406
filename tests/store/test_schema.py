"""Migrations lead where the tables are declared to be, and cost nothing once they have."""

import sqlite3
import subprocess
import sys
from contextlib import closing

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from aldgate.ports import Store
from aldgate.store.schema import REVISION, alembic_version, is_current, migrate
from aldgate.store.tables import METADATA

UP_TO_DATE = """
import asyncio, sys
from aldgate.store.stores import open_url

async def main():
    store = open_url(sys.argv[1], "one")
    await store.open()
    await store.aclose()

asyncio.run(main())
print("alembic" in sys.modules)
"""


def differences(connection: Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(connection), METADATA)


def test_the_revision_is_the_newest_there_is():
    config = Config()
    config.set_main_option("script_location", "aldgate.store:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


async def test_a_new_store_has_the_declared_tables(store: Store):
    async with store._database.read() as connection:
        assert await connection.run_sync(differences) == []
    assert await is_current(store._database)


async def test_migrations_from_nothing_make_the_same_tables(store: Store):
    async with store._database.write() as connection:
        await connection.run_sync(METADATA.drop_all)
        await connection.run_sync(alembic_version.drop)
        await connection.run_sync(migrate)
        assert await connection.run_sync(differences) == []
    assert await is_current(store._database)


def test_only_a_database_of_an_older_version_loads_alembic(sqlite_url: str):
    def loads() -> bool:
        done = subprocess.run([sys.executable, "-c", UP_TO_DATE, sqlite_url], capture_output=True, text=True, check=True)
        return done.stdout.strip() == "True"

    assert [loads(), loads()] == [False, False]
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        for table in ("alembic_version", *METADATA.tables):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("CREATE TABLE of_somebody (id)")
        connection.commit()
    assert [loads(), loads()] == [True, False]
