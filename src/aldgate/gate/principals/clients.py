"""Clients: applications that come with an id and a secret, out of the database or out of files."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from aldgate.core.clients import FILE_ID_PREFIX, ClientSecret, StoredClient
from aldgate.core.errors import ExpiredKey, GatewayError, InvalidConfiguration, RevokedKey, UnknownKey
from aldgate.core.principals import Principal
from aldgate.gate.principals.client_files import FileClient, Loaded, load
from aldgate.gate.principals.secret_checks import SecretChecks
from aldgate.ports import Standing
from aldgate.storage import Store, StoredAccount

log = logging.getLogger("aldgate")

ID_IN_STORE = "client-"
"""Ids of clients that are kept in the database begin so."""


class Clients:
    """Implements `ports.Resolver` for clients. A client in a file goes before one in the database with the same id.

    Args:
        store: Where the others are kept.
        checks: Checks secrets.
        directory: Where files are; None: there are none.
        now: Unix seconds.

    Attributes:
        files: What the files say, as it was read last.
    """

    carrier = b"client"

    def __init__(self, store: Store, checks: SecretChecks, directory: Path | None, now: Callable[[], float] = time.time) -> None:
        self.files = Loaded()
        self._store = store
        self._checks = checks
        self._directory = directory
        self._now = now
        self._one_at_a_time = asyncio.Lock()
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Have `run` reload soon: another process was told to."""
        self._asked.set()

    async def run(self, forget: Callable[[], None]) -> None:
        """Reload when asked to, and then `forget` who was known, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self.reload()
            except InvalidConfiguration as error:
                log.error("clients stay as they were: %s", error.message)
            forget()

    async def reload(self) -> Loaded:
        """Read the files again. Until all are read, everybody sees what there was before.

        Raises:
            InvalidConfiguration: The directory cannot be read; nothing has changed.
        """
        async with self._one_at_a_time:
            if self._directory is not None:
                try:
                    self.files = await asyncio.to_thread(load, self._directory, self.files)
                except OSError as error:
                    reason = f"`auth.client_config_dir`: {self._directory} cannot be read: {error.strerror}"
                    raise InvalidConfiguration(reason) from None
            for file, reason in self.files.failed.items():
                log.warning("the client in %s stays as it was: %s", file, reason)
            return self.files

    async def look_up(self, secret: bytes) -> Standing | None:
        """See `ports.Resolver`: the id, NUL, and the secret.

        Raises:
            Shedding: Too many secrets are being checked.
        """
        name, _, given = secret.partition(b"\0")
        above, client = await self._find(name.decode("utf-8", "replace"))
        live = self._live(client)
        hashed = await self._checks.match(client.account, given, list(live)) if live else None
        if hashed is None:
            return Standing(error=UnknownKey("Invalid client credentials"))
        principal = msgspec.structs.replace(_principal(above), credential=hashed.encode())
        return Standing(principal, _end(live[hashed], principal), _closed(above))

    async def look_at(self, principal_id: str, credential: bytes = b"") -> tuple[Principal, GatewayError | None] | None:
        """See `ports.Resolver`."""
        above = await self._lineage(principal_id)
        if not above:
            return None
        principal = _principal(above)
        if credential and credential.decode() not in self._live(await self._client(above)):
            return principal, RevokedKey(f"The secret of the client `{principal.name}` that this was begun with works no longer.")
        if principal.expires_at is not None and self._now() >= principal.expires_at:
            return principal, ExpiredKey(f"The client `{principal.name}` has expired.")
        return principal, _closed(above)

    async def named(self, name: str) -> tuple[StoredAccount, ...]:
        """The client of this name behind all that is above it; empty if there is none."""
        file = self.files.clients.get(name)
        if file is not None:
            return (file.account,)
        account = await self._store.find_account("client", name)
        return () if account is None else await self._store.lineage(account.id)

    async def defaults(self, account_id: str) -> tuple[str, str]:
        """Provider and model of a client's prompts that name none; empty where nobody said."""
        file = self._file(account_id)
        client = file.client if file is not None else await self._store.find_client(account_id)
        return (client.default_provider, client.default_model) if client is not None else ("", "")

    def _live(self, client: StoredClient) -> dict[str, ClientSecret]:
        """Its secrets that work, by their hashes."""
        return {each.hash: each for each in client.secrets if each.expires_at is None or each.expires_at > self._now()}

    async def _client(self, above: tuple[StoredAccount, ...]) -> StoredClient:
        account_id = above[-1].id
        file = self._file(account_id)
        client = file.client if file is not None else await self._store.find_client(account_id)
        return client or StoredClient(account_id)

    def _file(self, account_id: str) -> FileClient | None:
        is_in_file = account_id.startswith(FILE_ID_PREFIX)
        return self.files.clients.get(account_id.removeprefix(FILE_ID_PREFIX)) if is_in_file else None

    async def _find(self, name: str) -> tuple[tuple[StoredAccount, ...], StoredClient]:
        """The client with this id (or, in the database, this name), behind all that is above it."""
        above = await self.named(name) or await self._lineage(name)
        return above, await self._client(above) if above else StoredClient(name)

    async def _lineage(self, account_id: str) -> tuple[StoredAccount, ...]:
        if account_id.startswith(FILE_ID_PREFIX):
            file = self.files.clients.get(account_id.removeprefix(FILE_ID_PREFIX))
            return () if file is None else (file.account,)
        return await self._store.lineage(account_id) if account_id.startswith(ID_IN_STORE) else ()


def _principal(above: tuple[StoredAccount, ...]) -> Principal:
    return Principal.of("client", above[-1].level, tuple(account.level for account in above[:-1]))


def _closed(above: tuple[StoredAccount, ...]) -> GatewayError | None:
    disabled = next((account for account in above if account.disabled_at is not None), None)
    return disabled and RevokedKey(f"The {disabled.kind} `{disabled.name}` is disabled.")


def _end(secret: ClientSecret, principal: Principal) -> float:
    return min((at for at in (secret.expires_at, principal.expires_at) if at is not None), default=float("inf"))
