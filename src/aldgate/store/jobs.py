"""Jobs, as those who make and watch them see them. What workers do with them is in `job_work`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, delete, func, insert, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.errors import GatewayError, StoreUnavailable
from aldgate.core.generation import Preview
from aldgate.core.jobs import ENDED, Attempt, Job, JobEvent, JobFilter
from aldgate.queueing import Handover, Heard
from aldgate.store.database import QueryGroup
from aldgate.store.job_bell import JobBell
from aldgate.store.job_money import hand_over
from aldgate.store.job_rows import ATTEMPT, BRIEF, JOB, attempt_of, columns, job_of
from aldgate.store.job_tables import IS_UNFINISHED, MAY_BE_DOOMED, job_attempts, job_events, jobs
from aldgate.store.unbroken import unbroken

AT_ONCE = 100
"""New jobs per transaction: those that come while one is committed share the next."""

_EVENT = tuple(job_events.c[name] for name in JobEvent.__struct_fields__)


class _New:
    """A job on its way into the store, and who waits for it."""

    def __init__(self, job: Job, money: Sequence[Handover]) -> None:
        self.job = job
        self.money = money
        self.row = columns(job)
        self.kept: asyncio.Future[Job] = asyncio.get_running_loop().create_future()


class Jobs(QueryGroup):
    """Queries on jobs; each method as `queueing.JobStore` says."""

    @cached_property
    def _bell(self) -> JobBell:
        return JobBell(self._database, self.writes)

    @cached_property
    def _new(self) -> list[_New]:
        return []

    async def listen_to_jobs(self, heard: Heard) -> None:
        """See `JobStore`."""
        await self._bell.listen(heard)

    async def enqueue_job(self, job: Job, money: Sequence[Handover] = ()) -> Job:
        """See `JobStore`. Jobs that come together are committed together."""
        new = _New(job if job.created_at else replace(job, created_at=self._clock()), money)
        self._new.append(new)
        if len(self._new) == 1:
            await self._keep_new()
        return await asyncio.shield(new.kept)

    @unbroken
    async def _keep_new(self) -> None:
        try:
            while self._new:
                some = self._new[:AT_ONCE]
                if not await self._keep(some) and len(some) > 1:
                    for each in some:  # one of them may be what the database did not take
                        await self._keep([each])
                del self._new[: len(some)]
        finally:
            for left in self._new:  # whatever went wrong, nobody waits for ever
                _fail(left, StoreUnavailable("The job was not kept.", retry_after_s=1))
            self._new.clear()

    async def _keep(self, some: Sequence[_New]) -> bool:
        """Keep them all, or none. Where they are the last chance, whoever waits is told why not."""
        try:
            async with self._database.write() as connection:
                known = await self._insert(connection, some)
        except GatewayError as error:
            if len(some) == 1:
                _fail(some[0], error)
            return False
        for new in some:
            if not new.kept.done():
                new.kept.set_result(known.get(new.job.id, new.job))
        for new in some:
            if new.job.id not in known:
                self._bell.ring(new.job.id, new.job.engine)
        return True

    async def _insert(self, connection: AsyncConnection, some: Sequence[_New]) -> dict[str, Job]:
        """Insert those that are new. Returns, by the id of each of the others, the job that is there in its stead."""
        fresh = self._database.insert(jobs).on_conflict_do_nothing().returning(jobs.c.id)
        kept = set(await connection.scalars(fresh, [new.row for new in some]))
        known = {new.job.id: await _twin(connection, new.job) for new in some if new.job.id not in kept}
        given = [(new.job.id, new.money) for new in some if new.money and new.job.id in kept]
        await hand_over(self._database, connection, self._incarnation, given)
        if kept:
            events = [(new.job.id, new.job.version, new.job.created_at, "queued", "") for new in some if new.job.id in kept]
            names = JobEvent.__struct_fields__
            await connection.execute(insert(job_events), [dict(zip(names, event, strict=True)) for event in events])
        return known

    async def find_job(self, job_id: str, account: str | None = None, *, is_brief: bool = False) -> Job | None:
        """See `JobStore`."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(*(BRIEF if is_brief else JOB)).where(*_named(job_id, account)))).first()
        return None if row is None else job_of(row)

    async def list_jobs(
        self, wanted: JobFilter, *, after: Job | None = None, limit: int = 100, skip: int = 0, is_ascending: bool = False
    ) -> list[Job]:
        """See `JobStore`."""
        query = select(*BRIEF).where(*_chosen(wanted)).limit(limit).offset(skip)
        place = tuple_(jobs.c.created_at, jobs.c.id)
        if after is not None:
            last = tuple_(after.created_at, after.id)
            query = query.where(place > last if is_ascending else place < last)
        order = (each if is_ascending else each.desc() for each in (jobs.c.created_at, jobs.c.id))
        async with self._database.read() as connection:
            return [job_of(row) for row in await connection.execute(query.order_by(*order))]

    @unbroken
    async def delete_job(self, job_id: str, account: str) -> bool:
        """See `JobStore`."""
        ended = delete(jobs).where(*_named(job_id, account), jobs.c.state.in_(sorted(ENDED)))
        async with self._database.write() as connection:
            return (await connection.execute(ended)).rowcount > 0

    async def count_unfinished_jobs(self, account: str) -> int:
        """See `JobStore`."""
        query = select(func.count()).select_from(jobs).where(jobs.c.account == account, text(IS_UNFINISHED))
        async with self._database.read() as connection:
            return await connection.scalar(query) or 0

    async def job_attempts(self, job_id: str) -> list[Attempt]:
        """See `JobStore`."""
        query = select(*ATTEMPT).where(job_attempts.c.job == job_id).order_by(job_attempts.c.number)
        async with self._database.read() as connection:
            return [attempt_of(row) for row in await connection.execute(query)]

    async def job_events(self, job_id: str, after: int = 0) -> list[JobEvent]:
        """See `JobStore`."""
        query = select(*_EVENT).where(job_events.c.job == job_id, job_events.c.seq > after).order_by(job_events.c.seq)
        async with self._database.read() as connection:
            return [JobEvent(*row) for row in await connection.execute(query)]

    async def job_preview(self, job_id: str) -> Preview | None:
        """See `JobStore`."""
        query = select(jobs.c.preview_mime, jobs.c.preview).where(jobs.c.id == job_id, jobs.c.preview.is_not(None))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else Preview(*row)

    @unbroken
    async def ask_to_cancel(self, job_id: str, account: str | None = None) -> Job | None:
        """See `JobStore`."""
        asked = {"cancel_asked_at": self._database.now(), "version": jobs.c.version + 1}
        is_new = jobs.c.cancel_asked_at.is_(None)
        ask = update(jobs).where(*_named(job_id, account), is_new, text(IS_UNFINISHED)).values(asked).returning(jobs.c.engine)
        async with self._database.write() as connection:
            engine = await connection.scalar(ask)
        if engine is not None:
            self._bell.ring(job_id, engine, "cancel")
        return await self.find_job(job_id, account)

    async def doomed_jobs(self, limit: int) -> list[Job]:
        """See `JobStore`."""
        is_doomed = or_(jobs.c.deadline < self._database.now(), jobs.c.cancel_asked_at.is_not(None))
        query = select(*BRIEF).where(text(MAY_BE_DOOMED), is_doomed).limit(limit)
        async with self._database.read() as connection:
            return [job_of(row) for row in await connection.execute(query)]


async def _twin(connection: AsyncConnection, job: Job) -> Job:
    """The job that has the id, or for its account the idempotency key, of one that was not kept."""
    same = jobs.c.id == job.id
    if job.idempotency_key is not None:
        same |= (jobs.c.account == job.owner.account) & (jobs.c.idempotency_key == job.idempotency_key)
    return job_of((await connection.execute(select(*JOB).where(same))).one())


def _named(job_id: str, account: str | None) -> list[ColumnElement[bool]]:
    return [jobs.c.id == job_id, *([] if account is None else [jobs.c.account == account])]


def _chosen(wanted: JobFilter) -> list[ColumnElement[bool]]:
    equal: dict[str, Any] = {"account": wanted.account, "engine": wanted.engine, "parent": wanted.parent}
    within = {"state": wanted.states, "operation": wanted.operations}
    return [
        *(jobs.c[name] == value for name, value in equal.items() if value is not None),
        *(jobs.c[name].in_(sorted(values)) for name, values in within.items() if values),
    ]


def _fail(new: _New, error: GatewayError) -> None:
    if not new.kept.done():
        new.kept.set_exception(error)
        new.kept.exception()  # whoever waited may have gone
