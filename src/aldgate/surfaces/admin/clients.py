"""`/admin/clients`: accounts that authenticate with an id and a secret of their own."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from aldgate.core.clients import FILE_ID_PREFIX, ClientSecret, StoredClient
from aldgate.core.errors import Conflict, NotFound
from aldgate.core.hashes import hash_secret
from aldgate.core.principals import Principal
from aldgate.gate.principals.client_files import FileClient
from aldgate.gate.principals.clients import Clients
from aldgate.storage import StoredAccount
from aldgate.surfaces.admin.accounts import AccountAdmin, AccountPatch, AccountRequest, describe
from aldgate.surfaces.admin.acts import Administration, plain
from aldgate.surfaces.admin.keys import RotateRequest
from aldgate.surfaces.admin.policies import iso, read_duration
from aldgate.surfaces.http.bodies import decoded

SECRET_PREFIX = "ags-"
MOST_SECRETS = 4
"""Secrets of one client that work at the same time: a wrong one is checked against each."""


class ClientRequest(AccountRequest, forbid_unknown_fields=True, omit_defaults=True):
    """A client to make. Its name is the `client_id` that it sends."""

    default_provider: str = ""
    default_model: str = ""


class ClientPatch(AccountPatch, forbid_unknown_fields=True, omit_defaults=True):
    """What to change, as for other accounts."""

    default_provider: str | UnsetType = UNSET
    default_model: str | UnsetType = UNSET


class ClientAdmin(AccountAdmin):
    """What the paths under `/admin/clients` do.

    Args:
        clients: Knows the clients in files: they are shown here, and changed there.
    """

    def __init__(self, administration: Administration, clients: Clients) -> None:
        super().__init__("client", administration)
        self._clients = clients

    async def list(self) -> dict[str, Any]:
        """All clients by name, those in files last."""
        kept = await super().list()
        return {"data": [*kept["data"], *map(_of_file, self._clients.files.clients.values())]}

    async def create(self, who: Principal, body: bytes) -> dict[str, Any]:
        """Make one; its secret is in this answer and nowhere else.

        Raises:
            InvalidRequest: A field is not what a client has.
            Conflict: The name is taken.
        """
        wanted = decoded(body, ClientRequest)
        account = await self._new(who, wanted)
        fresh, secret = await _fresh_secret()
        client = StoredClient(account.id, wanted.default_provider, wanted.default_model, (secret,))
        await self._store.add_client(account, client)
        await self._did(who, "create", account, plain(wanted))
        return {"client_id": account.name, "client_secret": fresh, **await self._shown(account)}

    async def change(self, who: Principal, name: str, body: bytes) -> dict[str, Any]:
        """As for other accounts, and the defaults."""
        wanted = decoded(body, ClientPatch)
        async with self._administration.one_at_a_time:
            account = await self._changed(who, await self._find(name), wanted)
            client = await self._client(account)
            for field in ("default_provider", "default_model"):
                value = getattr(wanted, field)
                client = client if value is UNSET else msgspec.structs.replace(client, **{field: value})
            await self._store.save_client(account, client)
        await self._did(who, "edit", account, plain(wanted))
        return await self._shown(account)

    async def rotate(self, who: Principal, name: str, body: bytes) -> dict[str, Any]:
        """Give a client a new secret; the old one works on for the overlap.

        Raises:
            NotFound: There is no such client.
            Conflict: It has too many secrets that still work.
            PolicyDenied: It is more than who asks.
        """
        wanted = decoded(body or b"{}", RotateRequest)
        now = time.time()
        old_expire_at = now + (0 if wanted.overlap in ("0", "0s") else read_duration(wanted.overlap, "overlap"))
        async with self._administration.one_at_a_time:
            account = await self._find(name)
            await self._check_gift(who, account)
            client = await self._client(account)
            live = [each for each in client.secrets if each.expires_at is None or each.expires_at > now]
            if old_expire_at > now and len(live) >= MOST_SECRETS:
                raise Conflict(f"{len(live)} secrets of this client still work; rotate with `overlap` `0` to end them.")
            fresh, secret = await _fresh_secret()
            if not await self._store.rotate_client_secret(account.id, secret, old_expire_at):
                raise NotFound(f"There is no client `{name[:100]}`.")
        await self._did(who, "rotate", account, plain(wanted))
        ends = {"old_expires_at": iso(old_expire_at)}
        return {"client_id": account.name, "client_secret": fresh, **await self._shown(account), **ends}

    async def get(self, name: str) -> dict[str, Any]:
        """One client, in a file or not."""
        file = self._file(name)
        return await super().get(name) if file is None else _of_file(file)

    async def _find(self, name: str) -> StoredAccount:
        file = self._file(name)
        if file is not None:
            raise Conflict(f"The client `{name[:100]}` is kept in the file {file.file}; change it there, and reload.")
        return await super()._find(name)

    def _file(self, name: str) -> FileClient | None:
        return self._clients.files.clients.get(name.removeprefix(FILE_ID_PREFIX))

    async def _check_free(self, name: str) -> None:
        file = self._clients.files.clients.get(name)
        if file is not None:
            raise Conflict(f"There is a client `{name[:100]}` in the file {file.file} already.")
        await super()._check_free(name)

    async def _client(self, account: StoredAccount) -> StoredClient:
        return await self._store.find_client(account.id) or StoredClient(account.id)

    async def _shown(self, account: StoredAccount) -> dict[str, Any]:
        return {**await super()._shown(account), **_own(await self._client(account))}


async def _fresh_secret() -> tuple[str, ClientSecret]:
    fresh = SECRET_PREFIX + secrets.token_urlsafe(32)
    return fresh, ClientSecret(await asyncio.to_thread(hash_secret, fresh.encode()), time.time())


def _of_file(found: FileClient) -> dict[str, Any]:
    return {**describe(found.account, None), **_own(found.client), "file": found.file}


def _own(client: StoredClient) -> dict[str, Any]:
    now = time.time()
    live = sum(each.expires_at is None or each.expires_at > now for each in client.secrets)
    defaults = {"default_provider": client.default_provider, "default_model": client.default_model}
    return {**defaults, "secrets": live}
