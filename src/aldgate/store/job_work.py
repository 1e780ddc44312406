"""Jobs, as workers see them: claimed with a lease, kept, reported on, ended.

A worker writes only with the token of its claim, and each such write is one on the job's row first: of two workers who think a
job theirs, the later one alone is heard. What waits, what is under way and what is doomed have indexes of their own, which do
not grow with what has ended.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.calls import LedgerRow
from aldgate.core.generation import Preview, Progress
from aldgate.core.jobs import Attempt, AttemptEnd, Claim, End, Job, JobError, Lease, Queue, Renewal, State
from aldgate.core.leases import LeaseLost
from aldgate.queueing import Choose
from aldgate.store.job_artifacts import hold_made
from aldgate.store.job_money import settle
from aldgate.store.job_queue import count_under_way, waiting_jobs
from aldgate.store.job_rows import ATTEMPT, BRIEF, JOB, attempt_columns, attempt_of, job_of
from aldgate.store.job_rows import text as written
from aldgate.store.job_tables import IS_UNDER_WAY, IS_UNFINISHED, IS_WAITING, job_attempts, job_events, jobs
from aldgate.store.jobs import Jobs
from aldgate.store.unbroken import unbroken
from aldgate.store.webhooks import note_webhook

_MORE = jobs.c.version + 1


class JobWork(Jobs):
    """What workers do with jobs; each method as `queueing.JobStore` says."""

    @unbroken
    async def claim_jobs(self, engines: Collection[str], choose: Choose, lease_s: float) -> list[Claim]:
        """See `JobStore`. Only one worker at a time chooses for an engine."""
        busy = await self._engines_with_waiting(engines)
        if not busy:
            return []
        claims: list[Claim] = []
        async with self._database.write() as connection:
            for engine in busy:
                await self._database.lock(connection, f"engine:{engine}")
            now = await self._now(connection)
            queue = Queue(await waiting_jobs(connection, busy, now), await count_under_way(connection, busy), now)
            choice = choose(queue)
            for job_id, reason in choice.reasons.items():
                await connection.execute(update(jobs).where(jobs.c.id == job_id).values(reason=reason, version=_MORE))
            for job_id in choice.begin:
                claims += await self._begin(connection, job_id, now, lease_s)
        self._ring(claims)
        return claims

    async def _engines_with_waiting(self, engines: Collection[str]) -> list[str]:
        due = jobs.c.due_at <= self._database.now()
        query = select(jobs.c.engine).where(text(IS_WAITING), jobs.c.engine.in_(sorted(engines)), due).distinct()
        async with self._database.read() as connection:
            return sorted(await connection.scalars(query)) if engines else []

    async def _now(self, connection: AsyncConnection) -> float:
        now = await connection.scalar(select(self._database.now()))
        assert now is not None
        return now

    def _ring(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self._bell.ring(claim.job.id, claim.job.engine)

    async def _begin(self, connection: AsyncConnection, job_id: str, now: float, lease_s: float) -> list[Claim]:
        """Begin an attempt at a job that waits; nothing if it was cancelled just now."""
        values = {
            **self._lease(now, lease_s),
            "state": "scheduled",
            "attempts": jobs.c.attempts + 1,
            "reason": "",
            "version": _MORE,
        }
        begin = update(jobs).where(jobs.c.id == job_id, text(IS_WAITING), jobs.c.cancel_asked_at.is_(None))
        row = (await connection.execute(begin.values(values).returning(*JOB))).first()
        if row is None:
            return []
        job = job_of(row)
        attempt = await self._new_attempt(connection, job, now)
        await _note_event(connection, job, now)
        return [_claim(job, attempt, now)]

    def _lease(self, now: float, lease_s: float) -> dict[str, Any]:
        return {"worker": self._incarnation, "lease_until": now + lease_s, "token": jobs.c.token + 1}

    async def _new_attempt(self, connection: AsyncConnection, job: Job, now: float) -> Attempt:
        attempt = Attempt(
            job=job.id,
            number=job.attempts,
            engine=job.engine,
            worker=self._incarnation,
            reference=str(uuid4()),
            began_at=now,
            until=now + job.timeout_s,
        )
        await connection.execute(insert(job_attempts).values(attempt_columns(attempt)))
        return attempt

    @unbroken
    async def take_over_jobs(self, engines: Collection[str], lease_s: float, limit: int) -> list[Claim]:
        """See `JobStore`."""
        lapsed = and_(text(IS_UNDER_WAY), jobs.c.engine.in_(sorted(engines)), jobs.c.lease_until < self._database.now())
        query = select(jobs.c.id).where(lapsed).order_by(jobs.c.created_at).limit(limit)
        async with self._database.read() as connection:
            if not engines or (await connection.execute(query)).first() is None:
                return []
        claims: list[Claim] = []
        async with self._database.write() as connection:
            now = await self._now(connection)
            for job_id in (await connection.scalars(query.with_for_update(skip_locked=True))).all():
                taken = update(jobs).where(jobs.c.id == job_id).values(self._lease(now, lease_s)).returning(*JOB)
                job = job_of((await connection.execute(taken)).one())
                claims.append(_claim(job, await _last_attempt(connection, job), now, is_taken_over=True))
        return claims

    @unbroken
    async def renew_jobs(self, leases: Collection[Lease], lease_s: float) -> dict[Lease, Renewal]:
        """See `JobStore`."""
        mine = or_(*(and_(jobs.c.id == lease.job, jobs.c.token == lease.token) for lease in leases))
        columns = jobs.c.id, jobs.c.token, jobs.c.cancel_asked_at, jobs.c.deadline
        found: dict[Lease, Renewal] = {}
        async with self._database.write(relaxed=True) as connection:
            now = await self._now(connection)
            for row in await connection.execute(update(jobs).where(mine).values(lease_until=now + lease_s).returning(*columns)):
                left_s = None if row.deadline is None else row.deadline - now
                found[Lease(row.id, row.token)] = Renewal(row.cancel_asked_at is not None, left_s)
        return found

    @unbroken
    async def submit_job(self, lease: Lease, handle: str) -> None:
        """See `JobStore`."""
        async with self._database.write() as connection:
            now = await self._now(connection)
            started = func.coalesce(jobs.c.started_at, now)
            job = await _fenced(connection, lease, {"state": "running", "started_at": started, "version": _MORE})
            await _change_attempt(connection, job, phase="submitted", handle=handle)
            await _note_event(connection, job, now)
        self._bell.ring(job.id, job.engine)

    @unbroken
    async def note_progress(self, lease: Lease, progress: Progress, preview: Preview | None) -> None:
        """See `JobStore`."""
        told: dict[str, Any] = {"progress": written("progress", progress), "version": _MORE}
        if preview is not None:
            told |= {"preview_mime": preview.mime, "preview": preview.data}
        async with self._database.write(relaxed=True) as connection:
            job = await _fenced(connection, lease, told)
        self._bell.ring(job.id, job.engine, "progress")

    @unbroken
    async def requeue_job(self, lease: Lease, end: AttemptEnd, error: JobError | None, wait_s: float, reason: str) -> Job:
        """See `JobStore`."""
        async with self._database.write() as connection:
            now = await self._now(connection)
            back = {"state": "queued", "due_at": now + wait_s, "reason": reason, "version": _MORE, **_failed(end)}
            job = await _fenced(connection, lease, {**_let_go(), **back})
            await _end_attempt(connection, lease.job, now, end, error)
            await _note_event(connection, job, now, error.message if error else reason)
        self._bell.ring(job.id, job.engine)
        return job

    @unbroken
    async def leave_job(self, lease: Lease, wait_s: float, reason: str) -> None:
        """See `JobStore`."""
        async with self._database.write() as connection:
            until = await self._now(connection) + wait_s
            left = {**_let_go(), "lease_until": until, "reason": reason, "version": _MORE}
            job = await _fenced(connection, lease, left)
        self._bell.ring(job.id, job.engine)

    @unbroken
    async def note_attempt(self, lease: Lease, note: str) -> None:
        """See `JobStore`."""
        async with self._database.write() as connection:
            await _change_attempt(connection, await _fenced(connection, lease, {"token": jobs.c.token}), note=note)

    @unbroken
    async def finish_job(self, lease: Lease, end: End, row: LedgerRow | None) -> Job:
        """See `JobStore`."""
        said = {name: written(name, getattr(end, name)) for name in ("error", "result", "made", "done")}
        ended = {"state": end.state, "cost_microusd": end.cost_microusd, "reason": "", "version": _MORE, **said}
        async with self._database.write() as connection:
            now = await self._now(connection)
            gone = {"preview": None, "preview_mime": None, "ended_at": now}
            job = await _fenced(connection, lease, {**_let_go(), **ended, **gone})
            if end.attempt is not None:
                await _end_attempt(connection, job.id, now, end.attempt, end.error)
            await _note_event(connection, job, now, end.error.message if end.error else "")
            if row is not None:
                await self._database.append(connection, [row])
            await settle(self._database, connection, job.id, job.hold, end.cost_microusd)
            await hold_made(self._database, connection, job)
            await note_webhook(connection, job, now)
        self._bell.ring(job.id, job.engine)
        return job

    async def _end_job_leases(self) -> None:
        """Let go of what other incarnations had: they are gone."""
        lost = update(jobs).where(text(IS_UNDER_WAY), jobs.c.worker != self._incarnation).values(lease_until=0.0)
        async with self._database.write() as connection:
            await connection.execute(lost)


async def _fenced(
    connection: AsyncConnection, lease: Lease, values: Mapping[str, Any], columns: Sequence[ColumnElement[Any]] = BRIEF
) -> Job:
    """Write to the job's row, and return it.

    Raises:
        LeaseLost: Somebody else has claimed the job, or it has ended.
    """
    mine = update(jobs).where(jobs.c.id == lease.job, jobs.c.token == lease.token, text(IS_UNFINISHED))
    row = (await connection.execute(mine.values(dict(values)).returning(*columns))).first()
    if row is None:
        raise LeaseLost(lease.job)
    return job_of(row)


def _let_go() -> dict[str, Any]:
    """Whoever had it cannot write any more."""
    return {"worker": None, "lease_until": 0.0, "token": jobs.c.token + 1}


def _failed(end: AttemptEnd) -> dict[str, Any]:
    return {"failures": jobs.c.failures + 1} if end in ("failed", "lost") else {}


async def _last_attempt(connection: AsyncConnection, job: Job) -> Attempt:
    last = job_attempts.c.job == job.id, job_attempts.c.number == job.attempts
    return attempt_of((await connection.execute(select(*ATTEMPT).where(*last))).one())


async def _change_attempt(connection: AsyncConnection, job: Job, **values: Any) -> None:
    mine = job_attempts.c.job == job.id, job_attempts.c.number == job.attempts
    await connection.execute(update(job_attempts).where(*mine).values(values))


async def _end_attempt(connection: AsyncConnection, job_id: str, now: float, end: AttemptEnd, error: JobError | None) -> None:
    ended = {"phase": "ended", "ended_at": now, "end": end, "error": written("error", error)}
    is_open = job_attempts.c.job == job_id, job_attempts.c.ended_at.is_(None)
    await connection.execute(update(job_attempts).where(*is_open).values(ended))


async def _note_event(connection: AsyncConnection, job: Job, at: float, message: str = "") -> None:
    state: State = job.state
    await connection.execute(insert(job_events).values(job=job.id, seq=job.version, at=at, state=state, message=message))


def _claim(job: Job, attempt: Attempt, now: float, *, is_taken_over: bool = False) -> Claim:
    left_s = None if job.deadline is None else job.deadline - now
    return Claim(job, attempt, left_s, attempt.until - now, is_taken_over)
