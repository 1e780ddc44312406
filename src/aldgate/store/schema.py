"""Whether a database has the shape the queries expect, and bringing it there."""

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.errors import StoreUnavailable
from aldgate.store.database import Database
from aldgate.store.device_tables import METADATA

if TYPE_CHECKING:
    from alembic.config import Config

REVISION = "0016"
"""The newest file in `migrations/versions`."""

# Alembic's own table; it is not ours to create, so it has its own MetaData.
alembic_version = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


async def stored_revision(connection: AsyncConnection) -> str | None:
    """The revision a database is at, None if it has none."""
    return await connection.scalar(select(alembic_version.c.version_num))


class Step(NamedTuple):
    """A migration: its revision, and in a sentence what it makes."""

    revision: str
    what: str


class Shape(NamedTuple):
    """How the tables of a database stand.

    Attributes:
        revision: Which they are at; None: there are none, or none of ours.
        missing: What the next start would do, in this order.
        is_newer: A newer version of this program has changed them, and this one cannot use them.
    """

    revision: str | None
    missing: tuple[Step, ...] = ()
    is_newer: bool = False


async def shape_of(database: Database) -> Shape:
    """How its tables stand. Changes nothing, and makes no file.

    Raises:
        StoreUnavailable: No connection could be made.
    """
    stored = await _revision_of(database) if database.is_there() else None
    if stored == REVISION:
        return Shape(stored)
    steps = _history()
    known = [step.revision for step in steps]
    if stored is not None and stored not in known:
        return Shape(stored, is_newer=True)
    return Shape(stored, steps[known.index(stored) + 1 :] if stored is not None else steps)


async def _revision_of(database: Database) -> str | None:
    async with database.read() as connection:
        try:
            return await stored_revision(connection)
        except DBAPIError:
            # No such table, most likely. If it is anything worse, the migration that follows runs into it too.
            return None


def _history() -> tuple[Step, ...]:
    """All migrations, the oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return tuple(Step(each.revision, each.doc) for each in scripts)[::-1]


def _config() -> "Config":
    # Alembic is 11 MB that neither a new nor an up-to-date database needs.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "aldgate.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


async def is_current(database: Database) -> bool:
    """Whether the database is at `REVISION`. One SELECT.

    Raises:
        StoreUnavailable: No connection could be made.
    """
    return await _revision_of(database) == REVISION


async def bring_up_to_date(database: Database) -> None:
    """Create or migrate the tables unless they are as they should be. Processes that start together take turns.

    Raises:
        StoreUnavailable: The database did not answer, or a newer version of this program has changed it.
    """
    if await is_current(database):
        return
    async with database.write() as connection:
        await database.lock_schema(connection)
        is_empty = await connection.run_sync(lambda connection: not inspect(connection).get_table_names())
        await connection.run_sync(create if is_empty else migrate)


def create(connection: Connection) -> None:
    """Make all tables at once: a first start need not walk through history."""
    METADATA.create_all(connection)
    alembic_version.create(connection)
    connection.execute(alembic_version.insert().values(version_num=REVISION))


def migrate(connection: Connection) -> None:
    """Run the migrations that a database has not had, all of them if it is empty.

    Raises:
        StoreUnavailable: It has had one that this program does not know.
    """
    from alembic import command
    from alembic.util import CommandError

    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, REVISION)
    except CommandError as error:
        raise StoreUnavailable("The database is of a newer version than this program; upgrade the program.") from error
