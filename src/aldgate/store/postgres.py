"""PostgreSQL through asyncpg."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from msgspec.structs import asdict
from sqlalchemy import URL, BigInteger, ColumnElement, Double, Table, cast, func, literal_column, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from aldgate.core.calls import LedgerRow
from aldgate.core.errors import StoreUnavailable
from aldgate.store import tables
from aldgate.store.database import Durability, store_errors

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 10
CHANNEL = "aldgate"
SCHEMA_LOCK = 0x616C6467617465
"""Any number will do, as long as every process takes the same."""

APPEND = postgresql.insert(tables.ledger).on_conflict_do_nothing(index_elements=["call_id", "attempt"])
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError)


class Postgres:
    """A database on a PostgreSQL server, shared by any number of processes.

    Args:
        url: `postgresql://user:password@host:port/database`.
        durability: See `Durability`; the server's own `synchronous_commit` decides, so both are the same here.
    """

    is_embedded = False

    def __init__(self, url: URL, durability: Durability) -> None:
        self._engine = create_async_engine(
            url.set(drivername="postgresql+asyncpg"),
            pool_size=5,
            max_overflow=5,
            pool_timeout=STATEMENT_TIMEOUT_S,
            # A connection the server closed while it lay idle is replaced before it is used.
            pool_pre_ping=True,
            hide_parameters=True,
            skip_autocommit_rollback=True,
            connect_args={"timeout": CONNECT_TIMEOUT_S, "command_timeout": STATEMENT_TIMEOUT_S},
        )
        self._readers = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    def is_there(self) -> bool:
        """See `Database`."""
        return True

    async def open(self) -> None:
        """See `Database`."""
        async with self.read():
            pass

    async def aclose(self) -> None:
        """See `Database`."""
        await self._engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """See `Database`."""
        with store_errors(*DRIVER_ERRORS):
            async with self._readers.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, relaxed: bool = False) -> AsyncGenerator[AsyncConnection]:
        """See `Database`."""
        with store_errors(*DRIVER_ERRORS):
            async with self._engine.begin() as connection:
                yield connection

    async def lock_schema(self, connection: AsyncConnection) -> None:
        """See `Database`."""
        await connection.execute(select(func.pg_advisory_xact_lock(SCHEMA_LOCK)))

    async def lock(self, connection: AsyncConnection, what: str) -> None:
        """See `Database`. Two names may share a number: then they wait for each other, and no harm is done."""
        await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(what, 0))))

    @staticmethod
    def insert(table: Table) -> postgresql.Insert:
        """See `Database`."""
        return postgresql.insert(table)

    def floor(self, value: ColumnElement[Any]) -> ColumnElement[int]:
        """See `Database`. A cast alone rounds to the nearest here."""
        return cast(func.floor(value), BigInteger)

    def month(self, at: ColumnElement[Any]) -> ColumnElement[str]:
        """See `Database`."""
        utc = func.timezone(literal_column("'UTC'"), func.to_timestamp(at))
        return func.to_char(utc, literal_column("'YYYY-MM'"))

    def now(self) -> ColumnElement[float]:
        """See `Database`."""
        return cast(func.extract("epoch", func.clock_timestamp()), Double)

    async def tell(self, connection: AsyncConnection, message: str) -> None:
        """See `Database`."""
        await connection.execute(select(func.pg_notify(CHANNEL, message)))

    async def listen(self, heard: Callable[[str], None]) -> None:
        """See `Database`."""
        lost = asyncio.Event()

        def pass_on(connection: object, process: int, channel: str, message: object) -> None:
            heard(str(message))

        async with self.read() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            driver.add_termination_listener(lambda connection: lost.set())  # pyright: ignore[reportUnknownLambdaType]
            await driver.add_listener(CHANNEL, pass_on)
            try:
                await lost.wait()
            finally:
                if not driver.is_closed():
                    await driver.remove_listener(CHANNEL, pass_on)
        raise StoreUnavailable("The database closed the connection that told of changes.", retry_after_s=1)

    async def append(self, connection: AsyncConnection, rows: Sequence[LedgerRow]) -> None:
        """See `Database`."""
        await connection.execute(APPEND, [asdict(row) for row in rows])
