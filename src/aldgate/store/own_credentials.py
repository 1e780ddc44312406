"""Provider credentials that users brought, sealed."""

import msgspec
from sqlalchemy import delete, select, update

from aldgate.core.users import StoredOwnCredential
from aldgate.store.database import PRINCIPALS, QueryGroup
from aldgate.store.tables import own_credentials
from aldgate.store.unbroken import unbroken


class OwnCredentials(QueryGroup):
    """Queries on users' provider credentials; each method as `ports.Store` says."""

    @unbroken
    async def save_own_credential(self, credential: StoredOwnCredential, *, again: bool = False) -> None:
        """See `Store`."""
        if again:
            renew = update(own_credentials).where(own_credentials.c.id == credential.id).values(sealed=credential.sealed)
            async with self._database.write() as connection:
                await connection.execute(renew)
            return
        values = msgspec.structs.asdict(credential)
        statement = self._database.insert(own_credentials).values(values)
        new = {name: value for name, value in values.items() if name not in ("user", "provider")}
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            await connection.execute(statement.on_conflict_do_update(index_elements=["user", "provider"], set_=new))

    async def own_credentials(self, user: str | None = None) -> list[StoredOwnCredential]:
        """See `Store`."""
        query = select(own_credentials).order_by(own_credentials.c.user, own_credentials.c.provider)
        async with self._database.read() as connection:
            rows = await connection.execute(query if user is None else query.where(own_credentials.c.user == user))
            return [StoredOwnCredential(**row) for row in rows.mappings()]

    @unbroken
    async def delete_own_credential(self, user: str, provider: str) -> bool:
        """See `Store`."""
        own = own_credentials.c
        statement = delete(own_credentials).where(own.user == user, own.provider == provider)
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            return (await connection.execute(statement)).rowcount == 1
