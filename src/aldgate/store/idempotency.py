"""Idempotency keys: who claimed one, and the reply once there is one."""

from typing import Any

import msgspec
from sqlalchemy import Delete, Row, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.kept import IdempotencyRecord, SavedReply
from aldgate.store.database import QueryGroup
from aldgate.store.tables import idempotency
from aldgate.store.unbroken import unbroken

LIFETIME_S = 86_400
PRUNED_AT_ONCE = 100
"""Old records removed per claim: more than one, so that the table shrinks; few, so that no caller waits for it."""

Headers = tuple[tuple[bytes, bytes], ...]


class Idempotency(QueryGroup):
    """Queries on idempotency keys; each method as `ports.Store` says."""

    @unbroken
    async def begin_idempotent(
        self, principal: str, key: str, fingerprint: bytes, incarnation: str, now: float
    ) -> IdempotencyRecord | None:
        """See `Store`. Of several that begin at once, one is told None."""
        fresh = {
            "fingerprint": fingerprint,
            "incarnation": incarnation,
            "began_at": now,
            "status": None,
            "headers": None,
            "body": None,
        }
        claim = (
            self._database.insert(idempotency)
            .values(principal=principal, key=key, **fresh)
            .on_conflict_do_update(
                index_elements=["principal", "key"], set_=fresh, where=idempotency.c.began_at < now - LIFETIME_S
            )
            .returning(idempotency.c.key)
        )
        async with self._database.write(relaxed=True) as connection:
            await connection.execute(_prune(now))
            if (await connection.execute(claim)).first() is not None:
                return None
            return await _find(connection, principal, key)

    @unbroken
    async def finish_idempotent(self, principal: str, key: str, reply: SavedReply | None) -> None:
        """See `Store`."""
        mine = (idempotency.c.principal == principal, idempotency.c.key == key)
        if reply is None:
            statement = delete(idempotency).where(*mine)
        else:
            headers = msgspec.msgpack.encode(reply.headers)
            statement = update(idempotency).where(*mine).values(status=reply.status, headers=headers, body=reply.body)
        async with self._database.write(relaxed=True) as connection:
            await connection.execute(statement)


def _prune(now: float) -> Delete:
    name = tuple_(idempotency.c.principal, idempotency.c.key)
    old = (
        select(idempotency.c.principal, idempotency.c.key)
        .where(idempotency.c.began_at < now - LIFETIME_S)
        .limit(PRUNED_AT_ONCE)
        # Rows that another process is removing just now are its business.
        .with_for_update(skip_locked=True)
    )
    return delete(idempotency).where(name.in_(old))


async def _find(connection: AsyncConnection, principal: str, key: str) -> IdempotencyRecord:
    # The claim that found the record in its way has locked it: it cannot be gone.
    query = select(idempotency).where(idempotency.c.principal == principal, idempotency.c.key == key)
    row = (await connection.execute(query)).one()
    return IdempotencyRecord(row.fingerprint, _reply(row), row.incarnation)


def _reply(row: Row[*tuple[Any, ...]]) -> SavedReply | None:
    if row.status is None:
        return None
    return SavedReply(row.status, msgspec.msgpack.decode(row.headers, type=Headers), row.body)
