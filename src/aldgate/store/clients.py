"""Clients: what they have beyond their account, and the hashes of their secrets."""

from sqlalchemy import delete, insert, or_, select, update

from aldgate.core.clients import ClientSecret, StoredClient
from aldgate.storage import StoredAccount
from aldgate.store.accounts import columns_of
from aldgate.store.database import PRINCIPALS, QueryGroup
from aldgate.store.tables import accounts, client_secrets, clients
from aldgate.store.unbroken import unbroken


class Clients(QueryGroup):
    """Queries on clients; each method as `ports.ClientStore` says."""

    @unbroken
    async def add_client(self, account: StoredAccount, client: StoredClient) -> None:
        """See `ClientStore`."""
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            await connection.execute(insert(accounts).values(columns_of(account)))
            defaults = {"default_provider": client.default_provider, "default_model": client.default_model}
            await connection.execute(insert(clients).values(account=account.id, **defaults))
            for secret in client.secrets:
                await connection.execute(insert(client_secrets).values(account=account.id, **_columns(secret)))

    async def find_client(self, account_id: str) -> StoredClient | None:
        """See `ClientStore`."""
        secrets = select(client_secrets).where(client_secrets.c.account == account_id)
        async with self._database.read() as connection:
            row = (await connection.execute(select(clients).where(clients.c.account == account_id))).first()
            if row is None:
                return None
            kept = await connection.execute(secrets.order_by(client_secrets.c.created_at.desc(), client_secrets.c.hash))
            found = tuple(ClientSecret(each.hash, each.created_at, each.expires_at) for each in kept)
        return StoredClient(row.account, row.default_provider, row.default_model, found)

    @unbroken
    async def save_client(self, account: StoredAccount, client: StoredClient) -> bool:
        """See `ClientStore`."""
        defaults = {"default_provider": client.default_provider, "default_model": client.default_model}
        keep = self._database.insert(clients).values(account=account.id, **defaults)
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            saved = await connection.execute(update(accounts).where(accounts.c.id == account.id).values(columns_of(account)))
            if saved.rowcount:
                await connection.execute(keep.on_conflict_do_update(index_elements=["account"], set_=defaults))
            return saved.rowcount == 1

    @unbroken
    async def rotate_client_secret(self, account_id: str, secret: ClientSecret, old_expire_at: float) -> bool:
        """See `ClientStore`. A secret that ends sooner anyway keeps its end; those that have ended are forgotten."""
        mine = client_secrets.c.account == account_id
        outlives = or_(client_secrets.c.expires_at.is_(None), client_secrets.c.expires_at > old_expire_at)
        keep = self._database.insert(clients).values(account=account_id, default_provider="", default_model="")
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            is_there = select(accounts.c.id).where(accounts.c.id == account_id).with_for_update()
            if (await connection.execute(is_there)).first() is None:
                return False
            await connection.execute(keep.on_conflict_do_nothing())
            await connection.execute(delete(client_secrets).where(mine, client_secrets.c.expires_at <= secret.created_at))
            await connection.execute(update(client_secrets).where(mine, outlives).values(expires_at=old_expire_at))
            await connection.execute(insert(client_secrets).values(account=account_id, **_columns(secret)))
        return True


def _columns(secret: ClientSecret) -> dict[str, str | float | None]:
    return {"hash": secret.hash, "created_at": secret.created_at, "expires_at": secret.expires_at}
