"""From every revision there was, with rows in every table that it had, on both databases."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    func,
    insert,
    select,
)

from aldgate.store.schema import REVISION
from aldgate.store.stores import open_url
from aldgate.store.tables import METADATA
from tests.store.versions import walk, within

REVISIONS = [each.revision for each in ScriptDirectory("src/aldgate/store/migrations").walk_revisions()][::-1]
ROWS = 2
SAID: dict[str, Any] = {
    "scopes": '["chat"]',
    "limits": '{"rpm":5}',
    "budget": '{"microusd":5,"period":"day"}',
    "policy": "{}",
    "kind": "user",
}
"""What stands in columns whose text a migration reads."""


def old_tables(connection: Connection) -> list[Table]:
    """The tables there are, whoever is referred to first."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def value(column: Column[Any], number: int) -> Any:
    """Something for the column, different in each row; the same in columns that refer to one another."""
    if column.name in SAID:
        return SAID[column.name]
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, Integer | Float):
        return number
    return f"it-{number}".encode() if isinstance(column.type, LargeBinary) else f"it-{number}"


def fill(connection: Connection) -> dict[str, int]:
    """Put rows into every table; returns how many each has then."""
    tables = old_tables(connection)
    for table in tables:
        rows = [{column.name: value(column, number) for column in table.columns} for number in range(1, ROWS + 1)]
        connection.execute(insert(table), rows)
    return {table.name: ROWS for table in tables}


def counted(connection: Connection) -> dict[str, int]:
    return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in old_tables(connection)}


@pytest.fixture
def of(url: str) -> Iterator[str]:
    """An empty database, where no loop runs."""
    yield url


@pytest.mark.parametrize("revision", REVISIONS)
def test_nothing_is_lost_on_the_way_from_each(of: str, revision: str) -> None:
    def make(connection: Connection) -> dict[str, int]:
        walk(connection, revision)
        return fill(connection)

    before = within(of, make)

    async def start() -> None:
        store = open_url(of, "new")
        await store.upgrade()
        await store.aclose()

    asyncio.run(start())

    def look(connection: Connection) -> tuple[list[object], dict[str, int], list[str]]:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
        (version,) = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars()
        return differences, counted(connection), [version]

    differences, after, version = within(of, look)
    assert (differences, version) == ([], [REVISION])
    assert {name: after[name] for name in before} == before


def test_a_start_with_what_was_kept_finds_it(of: str) -> None:
    """A key of the first version still lets its holder in, with its scopes, limits and budget."""

    def make(connection: Connection) -> None:
        walk(connection, REVISIONS[0])
        fill(connection)

    within(of, make)

    async def start() -> Any:
        store = open_url(of, "new")
        await store.open()
        try:
            return await store.list_keys()
        finally:
            await store.aclose()

    one, *_ = asyncio.run(start())
    policy = one.policy
    assert policy.scopes == {"chat"} and policy.limits.rpm == 5 and policy.budgets[0].microusd == 5
