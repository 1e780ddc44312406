"""The database, and the keys of what is sealed in it."""

from __future__ import annotations

import secrets
from pathlib import Path

from aldgate.config.errors import ConfigError
from aldgate.config.secret import Secret
from aldgate.config.settings import Settings
from aldgate.gate.principals.vault import Vault
from aldgate.registry import UnknownName
from aldgate.store.store import SqlStore
from aldgate.store.stores import open_url


def open_store(settings: Settings, incarnation: str) -> SqlStore:
    """The database that is configured, or a file in the data directory. Not connected yet.

    Raises:
        ConfigError: The URL cannot be used, or the directory cannot be made.
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


async def open_vault(store: SqlStore, preset: Secret | None) -> Vault:
    """The keys that are configured come first; what the store's own sealed before opens all the same."""
    kept, _ = await store.secret("vault", secrets.token_bytes(32))
    configured = [] if preset is None else [part.encode() for part in preset.reveal().split()]
    return Vault([*configured, kept])
