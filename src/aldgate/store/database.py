"""What differs between databases: connections and how a write begins, upserts, rounding, the ledger's bulk insert."""

import asyncio
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Literal, Protocol

from sqlalchemy import URL, ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.calls import LedgerRow
from aldgate.core.errors import Conflict, StoreUnavailable
from aldgate.store.tables import revisions

Durability = Literal["batched", "strict"]
"""Whether a loss of power may take the ledger's last moments with it. Keys and money are always on the disk once committed."""


PRINCIPALS = "principals"
"""Keys, accounts and whatever else decides who somebody is: to be announced whenever it is changed."""


class Database(Protocol):
    """One kind of database. The queries are the same for all.

    Args:
        url: Where it is, as the operator wrote it.
        durability: See `Durability`.
    """

    def __init__(self, url: URL, durability: Durability) -> None: ...

    is_embedded: bool
    """No other machine can be using it, so whoever used it before has gone."""

    def is_there(self) -> bool:
        """Whether there is something to connect to, as far as that can be known without connecting."""
        ...

    async def open(self) -> None:
        """Connect once, so that what is wrong shows now.

        Raises:
            StoreUnavailable: No connection could be made.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for single statements that change nothing. Errors leave it as `StoreUnavailable`."""
        ...

    def write(self, *, relaxed: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction, committed at the end of the block.

        Args:
            relaxed: Under `batched` durability a loss of power may undo it. A crash of the process never does.

        Raises:
            StoreUnavailable: The database did not answer; nothing was changed, unless the commit's answer was what got lost.
            Conflict: A row contradicts one that is there.
        """
        ...

    async def lock_schema(self, connection: AsyncConnection) -> None:
        """Keep other processes from changing the schema until the transaction ends."""
        ...

    async def lock(self, connection: AsyncConnection, what: str) -> None:
        """Have others who lock the same wait until the transaction ends."""
        ...

    @staticmethod
    def insert(table: Table) -> "sqlite.Insert | postgresql.Insert":
        """An insert with `on_conflict_do_nothing` and `on_conflict_do_update`."""
        ...

    def floor(self, value: ColumnElement[Any]) -> ColumnElement[int]:
        """A positive number rounded down to a whole one."""
        ...

    def month(self, at: ColumnElement[Any]) -> ColumnElement[str]:
        """The month (UTC) that Unix seconds fall in, as `2026-11`."""
        ...

    def now(self) -> ColumnElement[float]:
        """Unix seconds by the database's clock, which all its processes share."""
        ...

    async def tell(self, connection: AsyncConnection, message: str) -> None:
        """Send `message` to all processes once the transaction is committed."""
        ...

    async def listen(self, heard: Callable[[str], None]) -> None:
        """Hand what is told to `heard` until cancelled.

        Raises:
            StoreUnavailable: The connection was lost; what was told meanwhile is not heard.
        """
        ...

    async def append(self, connection: AsyncConnection, rows: Sequence[LedgerRow]) -> None:
        """Insert ledger rows, leaving those alone that are there."""
        ...


class QueryGroup:
    """Queries on one subject, over any database.

    Args:
        database: Where they run.
        incarnation: Random id of this process, new at each start.
        clock: Gives Unix seconds.
    """

    def __init__(self, database: Database, incarnation: str, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._incarnation = incarnation
        self._clock = clock
        self.writes: set[asyncio.Task[Any]] = set()

    async def _announce(self, connection: AsyncConnection, what: str) -> None:
        """Within the transaction that changes it: what other processes have cached of `what` holds no longer."""
        if self._database.is_embedded:
            return
        bump = self._database.insert(revisions).values(name=what, value=1)
        more = {"value": revisions.c.value + 1}
        bumped = bump.on_conflict_do_update(index_elements=["name"], set_=more).returning(revisions.c.value)
        value = await connection.scalar(bumped)
        await self._database.tell(connection, f'["changed","{what}",{value}]')


@contextmanager
def store_errors(*driver_errors: type[Exception]) -> Generator[None]:
    """Raise what goes wrong with a database as the gate's own errors, with the cause chained.

    Args:
        driver_errors: What the driver raises outside SQLAlchemy's hands.

    Raises:
        Conflict: A uniqueness or reference rule was broken.
        StoreUnavailable: Anything else.
    """
    try:
        yield
    except IntegrityError as error:
        raise Conflict("This contradicts what is already stored.") from error
    # OverflowError and UnicodeError: drivers raise them for numbers over 64 bits and for lone surrogates.
    except (SQLAlchemyError, OSError, OverflowError, UnicodeError, *driver_errors) as error:
        raise StoreUnavailable("The database did not answer.", retry_after_s=1) from error
