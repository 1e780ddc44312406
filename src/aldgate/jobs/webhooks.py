"""Sends the webhooks of jobs that have ended: each at least once, and until its receiver has taken it or it is given up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from aldgate.core.errors import GatewayError, StoreUnavailable
from aldgate.core.webhooks import Delivery, Tried, after_attempt, key_of, message, signed, webhook_id
from aldgate.queueing import JobStore, WebhookStore

log = logging.getLogger("aldgate.webhooks")

POLL_S = 1.0
AT_ONCE = 32
LEASE_S = 120.0
"""Longer than an attempt takes: whoever claims a delivery later finds it abandoned."""

Wait = Callable[[asyncio.Event, float], Awaitable[None]]
"""Returns when the event is set, or after so many seconds."""


class Reply(Protocol):
    """What a receiver answered."""

    @property
    def status(self) -> int:
        """As HTTP has it."""
        ...

    @property
    def retry_after_s(self) -> float | None:
        """How long it wants to be left alone."""
        ...


Post = Callable[[str, Mapping[str, str], bytes], Awaitable[Reply]]
"""Posts a body to a URL. Raises `UpstreamError`."""


class DeliveryShop(msgspec.Struct, frozen=True, kw_only=True):
    """What every delivery needs.

    Attributes:
        deliveries: Where they are kept.
        jobs: Where the jobs are that they are about.
        post: Sends one.
        master: Makes the accounts' keys.
        most: Attempts, after which one is given up.
        now: Unix seconds.
        random: A number from 0 up to 1.
    """

    deliveries: WebhookStore
    jobs: JobStore
    post: Post
    master: bytes
    most: int
    now: Callable[[], float]
    random: Callable[[], float]
    wait: Wait


class Deliveries:
    """Sends what is due, a few at a time. Several processes may: each claims what it sends."""

    def __init__(self, shop: DeliveryShop) -> None:
        self._shop = shop
        self._sending: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Send, until cancelled. What is under way then is sent again by whoever finds its lease lapsed."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._freed.clear()
                for delivery in await self._claimed():
                    task = group.create_task(self._carry(delivery))
                    self._sending.add(task)
                    task.add_done_callback(self._ended)
                await self._shop.wait(self._freed if len(self._sending) >= AT_ONCE else asyncio.Event(), POLL_S)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._freed.set()

    async def _claimed(self) -> list[Delivery]:
        free = AT_ONCE - len(self._sending)
        if free <= 0:
            return []
        try:
            return await self._shop.deliveries.claim_deliveries(LEASE_S, free)
        except StoreUnavailable as error:
            log.warning("webhooks wait until the database answers", exc_info=error)
            return []

    async def _carry(self, delivery: Delivery) -> None:
        try:
            await self._shop.deliveries.note_delivery(delivery, await self.send(delivery))
        except GatewayError as error:
            log.warning("a webhook is sent again later", extra={"job": delivery.job}, exc_info=error)
        except Exception:  # a border: one delivery's fault must not end the others
            log.exception("a webhook failed, and is sent again later", extra={"job": delivery.job})

    async def send(self, delivery: Delivery) -> Tried:
        """One attempt.

        Raises:
            StoreUnavailable: The database did not say what it is about.
        """
        shop, attempts = self._shop, delivery.attempts + 1
        job = await shop.jobs.find_job(delivery.job)
        if job is None:
            return Tried(state="failed", error="The job is gone.")
        body = message(job)
        headers = signed(key_of(shop.master, delivery.account), webhook_id(job.id), int(shop.now()), body)
        about = {"content-type": "application/json", "user-agent": "Aldgate", **headers}
        try:
            reply = await shop.post(delivery.url, about, body)
        except GatewayError as error:
            tried = after_attempt(None, error.message, attempts, shop.most, shop.random())
        else:
            tried = after_attempt(reply.status, "", attempts, shop.most, shop.random(), reply.retry_after_s)
        if tried.state == "failed":
            log.warning("a webhook was given up", extra={"job": job.id, "attempts": attempts, "status": tried.status})
        return tried
