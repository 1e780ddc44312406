"""What a client has beyond its account."""

import msgspec

FILE_ID_PREFIX = "client-file:"
"""Ids of clients that are kept in files begin so, and end with their names."""


class ClientSecret(msgspec.Struct, frozen=True):
    """The hash of one secret of a client (see `core.hashes`), and when it stops working. Times in Unix seconds."""

    hash: str
    created_at: float
    expires_at: float | None = None


class StoredClient(msgspec.Struct, frozen=True):
    """What a client has beyond its account: where prompts go that name no model, and its secrets, the newest first."""

    account: str
    default_provider: str = ""
    default_model: str = ""
    secrets: tuple[ClientSecret, ...] = ()
