"""Keys and their credentials."""

from typing import Any

import msgspec
from sqlalchemy import Row, Select, func, insert, or_, select, update

from aldgate.core.policies import Policy
from aldgate.storage import Credential, StoredKey
from aldgate.store.accounts import lineage, written
from aldgate.store.database import PRINCIPALS, QueryGroup
from aldgate.store.tables import credentials, keys
from aldgate.store.unbroken import unbroken


class Keys(QueryGroup):
    """Queries on keys; each method as `ports.Store` says."""

    @unbroken
    async def add_key(self, key: StoredKey, digest: bytes) -> None:
        """See `Store`.

        Raises:
            Conflict: The id or the digest is taken.
        """
        async with self._database.write() as connection:
            await connection.execute(insert(keys).values(_columns(key)))
            await connection.execute(insert(credentials).values(digest=digest, key_id=key.id))
            await self._announce(connection, PRINCIPALS)

    async def find_credential(self, digest: bytes) -> Credential | None:
        """See `Store`."""
        query = (
            select(keys, credentials.c.expires_at.label("credential_expires_at"))
            .join(credentials, credentials.c.key_id == keys.c.id)
            .where(credentials.c.digest == digest)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
            if row is None:
                return None
            above = () if row.owner is None else await lineage(connection, row.owner)
        return Credential(digest, _key(row), row.credential_expires_at, above)

    async def get_key(self, key_id: str) -> StoredKey | None:
        """See `Store`."""
        row = await self._first(select(keys).where(keys.c.id == key_id))
        return None if row is None else _key(row)

    async def list_keys(self, owner: str | None = None) -> list[StoredKey]:
        """See `Store`."""
        query = select(keys).order_by(keys.c.created_at.desc(), keys.c.id.desc())
        async with self._database.read() as connection:
            rows = await connection.execute(query if owner is None else query.where(keys.c.owner == owner))
            return [_key(row) for row in rows]

    @unbroken
    async def change_key(self, key: StoredKey) -> bool:
        """See `Store`."""
        changes = {"name": key.name, "policy": written(key.policy), "expires_at": key.expires_at}
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            return (await connection.execute(update(keys).where(keys.c.id == key.id).values(changes))).rowcount == 1

    @unbroken
    async def revoke_key(self, key_id: str, at: float) -> bool:
        """See `Store`."""
        statement = update(keys).where(keys.c.id == key_id).values(revoked_at=func.coalesce(keys.c.revoked_at, at))
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            return (await connection.execute(statement)).rowcount == 1

    @unbroken
    async def rotate_key(self, key_id: str, digest: bytes, prefix: str, old_expire_at: float) -> bool:
        """See `Store`. A credential that ends sooner anyway keeps its end.

        Raises:
            Conflict: The digest is taken.
        """
        outlives = or_(credentials.c.expires_at.is_(None), credentials.c.expires_at > old_expire_at)
        retire = update(credentials).where(credentials.c.key_id == key_id, outlives).values(expires_at=old_expire_at)
        async with self._database.write() as connection:
            if not (await connection.execute(update(keys).where(keys.c.id == key_id).values(prefix=prefix))).rowcount:
                return False
            await connection.execute(retire)
            await self._announce(connection, PRINCIPALS)
            await connection.execute(insert(credentials).values(digest=digest, key_id=key_id))
        return True

    async def _first(self, query: Select[*tuple[Any, ...]]) -> Row[*tuple[Any, ...]] | None:
        async with self._database.read() as connection:
            return (await connection.execute(query)).first()


def _columns(key: StoredKey) -> dict[str, Any]:
    return msgspec.structs.asdict(key) | {"policy": written(key.policy)}


def _key(row: Row[*tuple[Any, ...]]) -> StoredKey:
    return StoredKey(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        policy=msgspec.json.decode(row.policy, type=Policy),
        created_at=row.created_at,
        owner=row.owner,
        made_by=row.made_by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
