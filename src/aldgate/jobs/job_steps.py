"""One attempt at a job, as its engine sees it: a `making.Run`. Each step outward is one only while the job is still ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Mapping
from typing import Any

from aldgate.core.generation import NO_OPTIONS, Preview, Progress
from aldgate.core.jobs import Claim, Made, further
from aldgate.core.leases import LeaseLost
from aldgate.jobs.job_shop import JobShop


class JobSteps:
    """The steps of an attempt.

    Args:
        claim: The job and the attempt.
        shop: See `JobShop`.
        nudge: Set when there is something to tell.
        claimed_at: Monotonic seconds, from before the claim was asked for.

    Attributes:
        handle: What the engine knows the attempt by; empty before it was asked.
        began_at: Monotonic seconds when the engine was asked; None: it was not yet.
        has_told: The engine has said how far it is.
        safe_until: Monotonic seconds: until then nobody else can have the job.
    """

    def __init__(self, claim: Claim, shop: JobShop, nudge: asyncio.Event, claimed_at: float) -> None:
        self._claim = claim
        self._shop = shop
        self._nudge = nudge
        self.reference = claim.attempt.reference
        self.handle = claim.attempt.handle
        began_at = claimed_at + claim.until_s - claim.job.timeout_s
        self.began_at: float | None = began_at if claim.attempt.phase == "submitted" else None
        self.made: list[Made] = []
        self.has_told = False
        self.is_lost = False
        self._told = claim.job.progress
        self._preview: Preview | None = None
        self._is_dirty = False
        self._tell_at = 0.0
        self.renewed(claimed_at)

    def renewed(self, asked_at: float) -> None:
        """The lease was renewed by a question that was asked then: for two thirds of it nothing need be feared of any clock."""
        self.safe_until = asked_at + self._shop.lease_s * 2 / 3

    def check(self) -> None:
        """See that the job is still ours.

        Raises:
            LeaseLost: It may be somebody else's.
        """
        if self.is_lost or self._shop.clock() >= self.safe_until:
            self.is_lost = True
            raise LeaseLost(self._claim.job.id)

    async def submitting(self, handle: str) -> None:
        """See `Run`."""
        self.check()
        await self._shop.store.submit_job(self._claim.job.lease, handle)
        self.handle, self.began_at = handle, self._shop.clock()
        self.check()

    def progress(self, progress: Progress) -> None:
        """See `Run`."""
        self.has_told = self._is_dirty = True
        self._told = further(self._told, progress)
        self._preview = progress.preview or self._preview
        if self._shop.clock() >= self._tell_at:
            self._nudge.set()

    async def save(
        self, data: bytes | AsyncIterable[bytes], *, mime: str, name: str = "", facts: Mapping[str, Any] = NO_OPTIONS
    ) -> None:
        """See `Run`."""
        self.check()
        self.made.append(await self._shop.save(self._claim.job, data, mime=mime, name=name, facts=facts))

    def tell_in_s(self) -> float | None:
        """Seconds until the progress is to be kept; None: there is nothing new."""
        return max(0.0, self._tell_at - self._shop.clock()) if self._is_dirty else None

    async def tell(self) -> None:
        """Keep the progress if it is time to.

        Raises:
            LeaseLost: The job is somebody else's.
            StoreUnavailable: It was not kept; the next report is.
        """
        if self.tell_in_s() != 0.0:
            return
        preview, self._preview, self._is_dirty = self._preview, None, False
        self._tell_at = self._shop.clock() + self._shop.tell_s
        await self._shop.store.note_progress(self._claim.job.lease, self._told, preview)

    def seconds(self) -> int:
        """Whole seconds, rounded up, since the engine was asked."""
        return 0 if self.began_at is None else -int(-(self._shop.clock() - self.began_at) // 1)
