"""Webhooks of jobs that have ended: written with the end itself, claimed with a lease, and kept with what came of them."""

from sqlalchemy import and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.jobs import Job
from aldgate.core.webhooks import Delivery, Tried, webhook_of
from aldgate.store.database import QueryGroup
from aldgate.store.job_tables import IS_PENDING, webhook_deliveries
from aldgate.store.unbroken import unbroken

_DELIVERY = tuple(webhook_deliveries.c[name] for name in Delivery.__struct_fields__)


async def note_webhook(connection: AsyncConnection, job: Job, now: float) -> None:
    """Have the webhook of a job that ends now sent, if it has one."""
    url = webhook_of(job.extras)
    if url is not None:
        about = Delivery(job=job.id, account=job.owner.account, url=url, due_at=now)
        fields = {name: getattr(about, name) for name in Delivery.__struct_fields__}
        await connection.execute(insert(webhook_deliveries).values(**fields, lease_until=0.0))


class WebhookQueries(QueryGroup):
    """Queries on deliveries; each method as `queueing.WebhookStore` says."""

    @unbroken
    async def claim_deliveries(self, lease_s: float, limit: int) -> list[Delivery]:
        """See `WebhookStore`."""
        now, of = self._database.now(), webhook_deliveries.c
        is_due = and_(IS_PENDING, of.due_at <= now, of.lease_until <= now)
        query = select(of.job).where(is_due).order_by(of.due_at).limit(limit)
        async with self._database.read() as connection:
            if (await connection.execute(query)).first() is None:
                return []
        lease = {"lease_until": now + lease_s, "token": of.token + 1}
        async with self._database.write() as connection:
            found = (await connection.scalars(query.with_for_update(skip_locked=True))).all()
            claim = update(webhook_deliveries).where(of.job.in_(found)).values(lease).returning(*_DELIVERY)
            return [Delivery(**row._mapping) for row in await connection.execute(claim)]  # pyright: ignore[reportPrivateUsage]

    @unbroken
    async def note_delivery(self, delivery: Delivery, tried: Tried) -> None:
        """See `WebhookStore`."""
        now, of = self._database.now(), webhook_deliveries.c
        told = {
            "state": tried.state,
            "attempts": of.attempts + 1,
            "due_at": now + tried.wait_s,
            "lease_until": 0.0,
            "last_status": tried.status,
            "last_error": tried.error,
            "ended_at": None if tried.state == "pending" else now,
        }
        mine = of.job == delivery.job, of.token == delivery.token, IS_PENDING
        async with self._database.write() as connection:
            await connection.execute(update(webhook_deliveries).where(*mine).values(told))

    async def find_delivery(self, job_id: str) -> Delivery | None:
        """See `WebhookStore`."""
        query = select(*_DELIVERY).where(webhook_deliveries.c.job == job_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else Delivery(**row._mapping)  # pyright: ignore[reportPrivateUsage]
