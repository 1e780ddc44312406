"""Which databases there are, by the scheme of their URLs."""

from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from aldgate.config.errors import ConfigError
from aldgate.config.settings import Settings
from aldgate.registry import Registry, UnknownName
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


def open_store(settings: Settings, incarnation: str) -> SqlStore:
    """`open_url` of the database that settings name; makes the data directory if the database is to be there.

    Raises:
        ConfigError: They name none that can be used.
    """
    data = Path(settings.data).absolute()
    url = settings.store or f"sqlite:///{data / 'aldgate.db'}"
    try:
        if not settings.store:
            data.mkdir(parents=True, exist_ok=True, mode=0o700)
        return open_url(url, incarnation, durability=settings.ledger.durability)
    except OSError as error:
        hint = "name another directory with --data or ALDGATE_DATA"
        raise ConfigError(f"`data`: {data} cannot be made: {error.strerror}", hint=hint) from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"`store`: {error.name} is not installed", hint="pip install 'aldgate[postgres]'") from None
    except (UnknownName, ValueError) as error:
        hint = "write `sqlite:////path/to/aldgate.db` or `postgresql://user:password@host/database`"
        raise ConfigError(f"`store`: {error}", hint=hint) from None
