"""The keys of what is sealed in the database."""

from __future__ import annotations

import secrets

from aldgate.config.secret import Secret
from aldgate.gate.principals.vault import Vault
from aldgate.store.store import SqlStore


async def open_vault(store: SqlStore, preset: Secret | None) -> Vault:
    """The keys that are configured come first; what the store's own sealed before opens all the same."""
    kept, _ = await store.secret("vault", secrets.token_bytes(32))
    configured = [] if preset is None else [part.encode() for part in preset.reveal().split()]
    return Vault([*configured, kept])
