"""Which databases there are, by the scheme of their URLs."""

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from aldgate.registry import Registry
from aldgate.store.database import Database, Durability
from aldgate.store.store import SqlStore

STORES: Registry[type[Database]] = Registry(
    "database",
    {"postgresql": "aldgate.store.postgres:Postgres", "sqlite": "aldgate.store.sqlite:Sqlite"},
)


def open_url(url: str, incarnation: str, *, durability: Durability = "batched") -> SqlStore:
    """Build the store that `url` names; nothing is connected before its `open`.

    Args:
        url: `sqlite:////path/to/aldgate.db` or `postgresql://user:password@host:port/database`. A driver in the scheme
            (`postgresql+asyncpg`) is passed over, and `postgres` is `postgresql`, as other programs write it.
        incarnation: Random id of this process, new at each start.
        durability: See `Durability`.

    Raises:
        UnknownName: No such kind of database.
        ValueError: The URL is incomplete.
        ModuleNotFoundError: The driver of this database is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("this is no database URL") from None
    kind = parsed.get_backend_name()
    database: type[Database] = STORES.load("postgresql" if kind == "postgres" else kind)
    return SqlStore(database(parsed, durability), incarnation)
