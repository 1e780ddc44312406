"""Accounts: organisations, teams, clients and users, and who is above whom."""

from typing import Any

import msgspec
from sqlalchemy import Integer, Row, delete, insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.levels import AccountKind
from aldgate.core.policies import Policy
from aldgate.storage import StoredAccount
from aldgate.store.database import PRINCIPALS, QueryGroup
from aldgate.store.tables import accounts
from aldgate.store.unbroken import unbroken

DEEPEST = 8
"""Accounts in one chain; more are a circle."""


class Accounts(QueryGroup):
    """Queries on accounts; each method as `ports.Store` says."""

    @unbroken
    async def add_account(self, account: StoredAccount) -> None:
        """See `Store`."""
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            await connection.execute(insert(accounts).values(columns_of(account)))

    @unbroken
    async def save_account(self, account: StoredAccount) -> bool:
        """See `Store`."""
        statement = update(accounts).where(accounts.c.id == account.id).values(columns_of(account))
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            return (await connection.execute(statement)).rowcount == 1

    @unbroken
    async def delete_account(self, account_id: str) -> bool:
        """See `Store`."""
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            return (await connection.execute(delete(accounts).where(accounts.c.id == account_id))).rowcount == 1

    async def find_account(self, kind: AccountKind, name: str) -> StoredAccount | None:
        """See `Store`."""
        query = select(accounts).where(accounts.c.kind == kind, accounts.c.name == name)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else account_of(row)

    async def list_accounts(self, kind: AccountKind | None = None) -> list[StoredAccount]:
        """See `Store`."""
        query = select(accounts).order_by(accounts.c.kind, accounts.c.name)
        async with self._database.read() as connection:
            rows = await connection.execute(query if kind is None else query.where(accounts.c.kind == kind))
            return [account_of(row) for row in rows]

    async def lineage(self, account_id: str) -> tuple[StoredAccount, ...]:
        """See `Store`."""
        async with self._database.read() as connection:
            return await lineage(connection, account_id)


async def lineage(connection: AsyncConnection, account_id: str) -> tuple[StoredAccount, ...]:
    """The account behind all that are above it, the outermost first."""
    height = literal_column("0", Integer).label("height")
    chain = select(accounts, height).where(accounts.c.id == account_id).cte("chain", recursive=True)
    above = select(accounts, (chain.c.height + 1).label("height")).join(chain, accounts.c.id == chain.c.parent)
    chain = chain.union_all(above.where(chain.c.height < DEEPEST))
    rows = await connection.execute(select(chain).order_by(chain.c.height.desc()))
    return tuple(account_of(row) for row in rows)


def written(policy: Policy) -> str:
    """A policy as it is kept."""
    return msgspec.json.encode(policy, order="deterministic").decode()


def columns_of(account: StoredAccount) -> dict[str, Any]:
    """An account as its table has it."""
    return msgspec.structs.asdict(account) | {"policy": written(account.policy)}


def account_of(row: Row[*tuple[Any, ...]]) -> StoredAccount:
    """The account that a row is of."""
    return StoredAccount(
        id=row.id,
        kind=row.kind,
        name=row.name,
        policy=msgspec.json.decode(row.policy, type=Policy),
        parent=row.parent,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )
