"""The store: every query group over one database, and its life from opening to closing."""

import asyncio

from sqlalchemy import select

from aldgate.store.accounts import Accounts
from aldgate.store.artifacts import ArtifactQueries
from aldgate.store.audit import AuditLog
from aldgate.store.batches import Batches
from aldgate.store.budgets import Budgets
from aldgate.store.clients import Clients
from aldgate.store.files import Files
from aldgate.store.idempotency import Idempotency
from aldgate.store.job_past import JobPast
from aldgate.store.keys import Keys
from aldgate.store.ledger import Ledger
from aldgate.store.own_credentials import OwnCredentials
from aldgate.store.processes import Processes
from aldgate.store.reports import Reports
from aldgate.store.residencies import Residencies
from aldgate.store.responses import Responses
from aldgate.store.schema import Shape, bring_up_to_date, shape_of, stored_revision
from aldgate.store.standings import Standings
from aldgate.store.tables import secrets
from aldgate.store.unbroken import unbroken
from aldgate.store.users import Users
from aldgate.store.webhooks import WebhookQueries


class SqlStore(
    Accounts,
    Clients,
    Users,
    OwnCredentials,
    Keys,
    Ledger,
    Reports,
    Budgets,
    Standings,
    Idempotency,
    Responses,
    Files,
    ArtifactQueries,
    Batches,
    JobPast,
    Residencies,
    WebhookQueries,
    Processes,
    AuditLog,
):
    """A `ports.Store` in an SQL database."""

    async def open(self) -> None:
        """See `Store`. On a shared database other processes are taken for alive: what they hold stays counted as held.

        Raises:
            StoreUnavailable: No connection could be made, or a newer version of this program has changed the tables.
        """
        await self._database.open()
        await bring_up_to_date(self._database)
        if self._database.is_embedded:
            await self._presume_spent()
            await self._end_leases()
            await self._end_job_leases()
            await self._give_up_responses()

    async def shape(self) -> Shape:
        """How the tables stand, for a store that is not open. Changes nothing.

        Raises:
            StoreUnavailable: No connection could be made.
        """
        return await shape_of(self._database)

    async def upgrade(self) -> None:
        """Bring the tables up to date without opening the store: whoever uses it now goes on.

        Raises:
            StoreUnavailable: As `open`.
        """
        await self._database.open()
        await bring_up_to_date(self._database)

    async def aclose(self) -> None:
        """See `Store`. Writes under way end first."""
        await asyncio.gather(*self.writes, return_exceptions=True)
        await self._database.aclose()

    async def ping(self) -> None:
        """See `Store`."""
        async with self._database.read() as connection:
            await stored_revision(connection)

    @unbroken
    async def secret(self, name: str, fresh: bytes) -> tuple[bytes, bool]:
        """See `Store`. Of several processes that come with fresh ones, one keeps its own and all get that."""
        keep = self._database.insert(secrets).values(name=name, value=fresh).on_conflict_do_nothing()
        async with self._database.write() as connection:
            is_kept = (await connection.execute(keep.returning(secrets.c.name))).first() is not None
            value = await connection.scalar(select(secrets.c.value).where(secrets.c.name == name))
        assert value is not None
        return value, is_kept
