"""SQLite in one file: one writer that takes the lock as it begins, two readers, a write-ahead log."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import astuple
from sqlalchemy import URL, BigInteger, ColumnElement, Connection, Table, cast, event, func, literal, literal_column
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from aldgate.core.calls import LedgerRow
from aldgate.store import tables
from aldgate.store.database import Durability, store_errors

BUSY_TIMEOUT_S = 5
SWITCH_PAUSE_S = 0.005

APPEND = str(
    sqlite.insert(tables.ledger).on_conflict_do_nothing(index_elements=["call_id", "attempt"]).compile(dialect=sqlite.dialect())
)


class Sqlite:
    """A database in one file, created with mode 0600 if it is not there.

    Args:
        url: `sqlite:///relative.db` or `sqlite:////absolute.db`.
        durability: See `Durability`.

    Raises:
        ValueError: The URL names no file; a database in memory would be another one for each connection.
    """

    is_embedded = True

    def __init__(self, url: URL, durability: Durability) -> None:
        if not url.database or url.database == ":memory:":
            raise ValueError(f"`{url}` names no file; write `sqlite:////path/to/aldgate.db`")
        self._path = url.database
        url = url.set(drivername="sqlite+aiosqlite")
        self._writer = _engine(url, pool_size=1)
        event.listen(self._writer.sync_engine, "connect", _prepare_writer)
        event.listen(self._writer.sync_engine, "begin", _begin)
        self._relaxed_writer = self._writer.execution_options(aldgate_relaxed=durability == "batched")
        self._readers = _engine(url, pool_size=2, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True)
        event.listen(self._readers.sync_engine, "connect", _prepare_reader)

    def is_there(self) -> bool:
        """See `Database`. To connect would make the file."""
        return os.path.exists(self._path)

    async def open(self) -> None:
        """See `Database`."""
        with store_errors(sqlite3.Error):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            async with self._writer.connect() as connection:
                await _write_ahead((await connection.get_raw_connection()).driver_connection)

    async def aclose(self) -> None:
        """See `Database`."""
        await self._readers.dispose()
        await self._writer.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """See `Database`."""
        with store_errors(sqlite3.Error):
            async with self._readers.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, relaxed: bool = False) -> AsyncGenerator[AsyncConnection]:
        """See `Database`."""
        engine = self._relaxed_writer if relaxed else self._writer
        with store_errors(sqlite3.Error):
            async with engine.begin() as connection:
                yield connection

    async def lock_schema(self, connection: AsyncConnection) -> None:
        """Nothing to do: a write has the whole file to itself."""

    async def lock(self, connection: AsyncConnection, what: str) -> None:
        """Nothing to do: a write has the whole file to itself."""

    @staticmethod
    def insert(table: Table) -> sqlite.Insert:
        """See `Database`."""
        return sqlite.insert(table)

    def floor(self, value: ColumnElement[Any]) -> ColumnElement[int]:
        """See `Database`. A cast cuts off here; `floor()` is not in every build of SQLite."""
        return cast(value, BigInteger)

    def month(self, at: ColumnElement[Any]) -> ColumnElement[str]:
        """See `Database`."""
        return func.strftime(literal_column("'%Y-%m'"), at, literal_column("'unixepoch'"))

    def now(self) -> ColumnElement[float]:
        """See `Database`."""
        return literal(time.time())

    async def tell(self, connection: AsyncConnection, message: str) -> None:
        """There is nobody else."""

    async def listen(self, heard: Callable[[str], None]) -> None:
        """Nobody tells anything."""
        await asyncio.Event().wait()

    async def append(self, connection: AsyncConnection, rows: Sequence[LedgerRow]) -> None:
        """See `Database`. The driver's own bulk insert of tuples takes half the time of SQLAlchemy's."""
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        async with driver.executemany(APPEND, map(astuple, rows)):
            pass


def _engine(url: URL, pool_size: int, **options: Any) -> AsyncEngine:
    # A pool without overflow is the lock: whoever finds no connection waits in line, and not for ever.
    return create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=2 * BUSY_TIMEOUT_S,
        hide_parameters=True,
        # The driver must not begin transactions by itself; `_begin` does.
        connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None},
        **options,
    )


async def _write_ahead(driver_connection: Any) -> None:
    """Switch the file to a write-ahead log, which it then keeps.

    Beside another connection that writes or switches, SQLite refuses at once whatever its timeout: each might wait for the other
    (https://sqlite.org/c3ref/busy_handler.html). So the patience is ours.
    """
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            async with driver_connection.execute("PRAGMA journal_mode=WAL"):
                return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        await asyncio.sleep(SWITCH_PAUSE_S)


def _prepare_writer(driver_connection: Any, _record: object) -> None:
    cursor = driver_connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _prepare_reader(driver_connection: Any, _record: object) -> None:
    cursor = driver_connection.cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("aldgate_relaxed"):
        connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
    else:
        connection.exec_driver_sql("PRAGMA synchronous=FULL")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
