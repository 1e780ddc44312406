"""Migrations lead where the tables are declared to be, and cost nothing once they have."""

import sqlite3
import subprocess
import sys
from contextlib import closing

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from msgspec.structs import asdict, astuple, replace
from sqlalchemy import Connection, select, text

from aldgate.storage import Store
from aldgate.store.responses import ROW_BYTES
from aldgate.store.schema import REVISION, alembic_version, is_current, migrate
from aldgate.store.tables import METADATA
from tests.store.rows import NOON, ROW
from tests.store.versions import walk

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


async def test_rows_of_before_attempts_are_each_the_only_one_of_their_call(store: Store):
    async with store._database.write() as connection:
        await connection.run_sync(METADATA.drop_all)
        await connection.run_sync(alembic_version.drop)
        await connection.run_sync(walk, "0001")
        later = ("attempt", "is_final", "organisation_id", "team_id", "client_id", "user_id")
        old = {name: value for name, value in asdict(ROW).items() if name not in later}
        names = ", ".join(old)
        await connection.execute(text(f"INSERT INTO ledger ({names}) VALUES ({', '.join(f':{name}' for name in old)})"), old)
        await connection.run_sync(migrate)
        assert await connection.run_sync(differences) == []
        assert [tuple(row) for row in await connection.execute(select(METADATA.tables["ledger"]))] == [astuple(ROW)]
    await store.record([ROW, replace(ROW, attempt=2)], [])
    (sums,) = await store.usage(group_by=[], account=None, since=None, until=None)
    assert sums.calls == 2


async def test_responses_of_before_quotas_are_counted(store: Store):
    row = {"account": "key-1", "created_at": NOON, "expires_at": NOON, "status": "completed", "incarnation": "before"}
    said = {"input": b"12345", "body": b"1234567890"}
    async with store._database.write() as connection:
        await connection.run_sync(METADATA.drop_all)
        await connection.run_sync(alembic_version.drop)
        await connection.run_sync(walk, "0005")
        responses, sizes = METADATA.tables["responses"], METADATA.tables["response_sizes"]
        columns = ", ".join([*row, *said, "id"])
        places = ", ".join(f":{name}" for name in (*row, *said, "id"))
        statement = text(f"INSERT INTO responses ({columns}) VALUES ({places})")
        await connection.execute(statement, [{**row, **said, "id": name} for name in ("resp_1", "resp_2")])
        await connection.run_sync(migrate)
        assert await connection.run_sync(differences) == []
        assert [tuple(each) for each in await connection.execute(select(sizes))] == [("key-1", 2 * (15 + ROW_BYTES))]
        assert {tuple(each) for each in await connection.execute(select(responses.c.warnings, responses.c.events))} == {
            ("", None)
        }


async def test_a_call_counts_once_and_costs_what_all_its_attempts_did(store: Store):
    failed = replace(ROW, call_id="req-1", status=503, error_code="upstream_overloaded", is_final=False, cost_microusd=7)
    last = replace(ROW, call_id="req-1", attempt=2)
    lost = replace(ROW, call_id="req-2", status=429, cost_microusd=0)
    await store.record([failed, last, last, lost], [])
    (sums,) = await store.usage(group_by=[], account=None, since=None, until=None)
    assert (sums.calls, sums.errors, sums.cost_microusd) == (2, 1, 107)
    (used,) = await store.recent_use("key", "key-1", NOON - 1)
    assert (used.calls, used.tokens) == (2, 45)
