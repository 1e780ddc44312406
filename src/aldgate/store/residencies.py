"""Who holds the memory of which device. Every decision locks the device's row first, so that there is one at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.jobs import Claim, Waiting
from aldgate.core.placement import Device, Needs, Plan, Residency, plan
from aldgate.residing import Eviction, KeptDevice, KeptResidency, Placed, Seen
from aldgate.store.device_tables import devices, engine_memory, residencies
from aldgate.store.job_queue import count_under_way, waiting_jobs
from aldgate.store.job_tables import jobs
from aldgate.store.job_work import JobWork
from aldgate.store.residency_rows import WORDS, candidates_of, device_of, new_residency, note_work, residencies_on
from aldgate.store.unbroken import unbroken

LEAST_MB = 1_024
"""What engines keep after they have unloaded, at the most: an engine that holds less is not taken for resident."""

_KEPT = tuple(residencies.c[name] for name in KeptResidency.__struct_fields__ if name != "running")


class Residencies(JobWork):
    """Queries on devices and residencies; each method as `residing.ResidencyStore` says."""

    @unbroken
    async def place_jobs(self, device: Device, engines: Mapping[str, Needs], lease_s: float) -> Placed:
        """See `ResidencyStore`."""
        busy = await self._engines_with_waiting(engines)
        if not busy and not await self._has_overdue(device.name):
            return Placed()
        claims: list[Claim] = []
        async with self._database.write() as connection:
            row = await self._lock_device(connection, device.name)
            for engine in sorted(engines):
                await self._database.lock(connection, f"engine:{engine}")
            now = await self._now(connection)
            seen = device_of(device, row)
            here = await residencies_on(connection, device.name)
            waiting = await waiting_jobs(connection, busy, now)
            made = plan(seen, here, await candidates_of(connection, device.name, waiting, engines), now)
            await self._tell_why(connection, waiting, made)
            evictions = await self._carry_out(connection, device.name, made, here, engines, row.token, now, lease_s)
            for job_id in made.begin:
                claims += await self._begin(connection, job_id, now, lease_s)
        self._ring(claims)
        return Placed(tuple(claims), evictions, made.waits)

    async def list_residencies(self) -> list[KeptResidency]:
        """See `ResidencyStore`."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(*_KEPT).order_by(residencies.c.device, residencies.c.engine))).all()
            running = await count_under_way(connection, [row.engine for row in rows]) if rows else {}
        return [KeptResidency(**row._mapping, running=running.get(row.engine, 0)) for row in rows]  # pyright: ignore[reportPrivateUsage]

    async def list_devices(self) -> list[KeptDevice]:
        """See `ResidencyStore`."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(devices).order_by(devices.c.name))
            return [
                KeptDevice(
                    name=row.name,
                    total_mb=row.total_mb,
                    foreign_mb=row.foreign_mb,
                    foreign=WORDS.decode(row.foreign_processes),
                    seen_at=row.seen_at,
                )
                for row in rows
            ]

    @unbroken
    async def note_device(self, device: str, seen: Seen, engines: Mapping[str, Needs]) -> None:
        """See `ResidencyStore`."""
        async with self._database.write(relaxed=True) as connection:
            row = await self._lock_device(connection, device)
            now = await self._now(connection)
            here = {each.engine: each for each in await residencies_on(connection, device)}
            rest = sum(held for engine, held in seen.engines.items() if engine not in here and held < LEAST_MB)
            facts: dict[str, Any] = {"total_mb": seen.total_mb, "foreign_mb": seen.foreign_mb + rest, "seen_at": now}
            facts["foreign_processes"] = msgspec.json.encode(seen.foreign).decode()
            await connection.execute(update(devices).where(devices.c.name == device).values(facts))
            for engine, held in seen.engines.items():
                await self._note_engine(connection, device, engine, held, here.get(engine), engines, row.token, now)
            await note_work(connection, device, here, now)

    @unbroken
    async def evict(self, device: str, engine: str, lease_s: float) -> Eviction | None:
        """See `ResidencyStore`."""
        async with self._database.write() as connection:
            row = await self._lock_device(connection, device)
            await self._database.lock(connection, f"engine:{engine}")
            here = {each.engine: each for each in await residencies_on(connection, device)}
            if engine not in here or not here[engine].is_live or here[engine].running:
                return None
            return await self._begin_eviction(connection, device, engine, row.token + 1, lease_s)

    @unbroken
    async def take_evictions(self, devices: Sequence[str], lease_s: float) -> list[Eviction]:
        """See `ResidencyStore`."""
        lapsed = and_(residencies.c.state.in_(("evicting", "unknown")), residencies.c.lease_until < self._database.now())
        query = select(residencies.c.device, residencies.c.engine).where(lapsed, residencies.c.device.in_(sorted(devices)))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        taken: list[Eviction] = []
        for row in rows:
            async with self._database.write() as connection:
                token = (await self._lock_device(connection, row.device)).token + 1
                still = query.where(residencies.c.device == row.device, residencies.c.engine == row.engine)
                if (await connection.execute(still)).first() is not None:
                    taken.append(await self._begin_eviction(connection, row.device, row.engine, token, lease_s))
        return taken

    @unbroken
    async def end_eviction(self, eviction: Eviction, reason: str = "", *, stays: bool = False) -> bool:
        """See `ResidencyStore`."""
        mine = (
            residencies.c.device == eviction.device,
            residencies.c.engine == eviction.engine,
            residencies.c.token == eviction.token,
            residencies.c.state == "evicting",
        )
        async with self._database.write() as connection:
            await self._lock_device(connection, eviction.device)
            if reason:
                values = {"state": "ready" if stays else "unknown", "reason": reason, "lease_until": 0.0, "is_fixed": stays}
                return (await connection.execute(update(residencies).where(*mine).values(values))).rowcount > 0
            gone = (await connection.execute(delete(residencies).where(*mine).returning(residencies.c.used_at))).first()
            if gone is not None:
                await self._note_memory(connection, eviction.device, eviction.engine, worked_at=gone.used_at)
            return gone is not None

    async def _has_overdue(self, device: str) -> bool:
        """Whether somebody was without work for so long that it is to leave though nobody waits."""
        is_over = residencies.c.used_at + residencies.c.idle_s <= self._database.now()
        query = select(residencies.c.engine).where(residencies.c.device == device, is_over)
        async with self._database.read() as connection:
            return await connection.scalar(query.limit(1)) is not None

    async def _lock_device(self, connection: AsyncConnection, device: str) -> Row[*tuple[Any, ...]]:
        fresh = {"name": device, "total_mb": 0, "foreign_mb": 0, "foreign_processes": "[]", "seen_at": 0.0, "token": 0}
        await connection.execute(self._database.insert(devices).values(fresh).on_conflict_do_nothing())
        return (await connection.execute(select(devices).where(devices.c.name == device).with_for_update())).one()

    async def _tell_why(self, connection: AsyncConnection, waiting: Mapping[str, Sequence[Waiting]], made: Plan) -> None:
        known = {each.id: each.reason for some in waiting.values() for each in some}
        for job_id, wait in made.waits.items():
            if known[job_id] != wait.reason:
                told = {"reason": wait.reason, "version": jobs.c.version + 1}
                await connection.execute(update(jobs).where(jobs.c.id == job_id).values(told))

    async def _carry_out(
        self,
        connection: AsyncConnection,
        device: str,
        made: Plan,
        here: Sequence[Residency],
        engines: Mapping[str, Needs],
        token: int,
        now: float,
        lease_s: float,
    ) -> tuple[Eviction, ...]:
        """Carry out what was decided: who is loaded, who was used, who is to leave."""
        if not made.begin and not made.evict:
            return ()
        for engine, memory_mb in made.load.items():
            token += 1
            await connection.execute(
                insert(residencies).values(new_residency(device, engine, engines[engine], memory_mb, token, now))
            )
            await self._note_memory(connection, device, engine, worked_at=now)
        begun = select(jobs.c.engine).where(jobs.c.id.in_(made.begin)).scalar_subquery()
        await connection.execute(
            update(residencies).where(residencies.c.device == device, residencies.c.engine.in_(begun)).values(used_at=now)
        )
        leaving: list[Eviction] = []
        for engine in made.evict:
            token += 1
            leaving.append(await self._begin_eviction(connection, device, engine, token, lease_s))
        await connection.execute(update(devices).where(devices.c.name == device).values(token=token))
        return tuple(leaving)

    async def _begin_eviction(
        self, connection: AsyncConnection, device: str, engine: str, token: int, lease_s: float
    ) -> Eviction:
        until = await self._now(connection) + lease_s
        mine = update(residencies).where(residencies.c.device == device, residencies.c.engine == engine)
        values = {"state": "evicting", "token": token, "lease_until": until, "reason": ""}
        memory_mb = await connection.scalar(mine.values(values).returning(residencies.c.memory_mb))
        await connection.execute(update(devices).where(devices.c.name == device).values(token=token))
        assert memory_mb is not None
        return Eviction(device, engine, token, memory_mb)

    async def _note_engine(
        self,
        connection: AsyncConnection,
        device: str,
        engine: str,
        held: int,
        mine: Residency | None,
        engines: Mapping[str, Needs],
        token: int,
        now: float,
    ) -> None:
        if mine is None and held < LEAST_MB:
            return await self._note_memory(connection, device, engine, rest_mb=held)
        await self._note_memory(connection, device, engine, peak_mb=held)
        if mine is None:
            needs = engines.get(engine, Needs())
            found = new_residency(device, engine, needs, max(held, needs.memory_mb), token, now) | {"state": "ready"}
            await connection.execute(insert(residencies).values(found))
        elif mine.state == "loading" and held >= LEAST_MB or held > mine.memory_mb:
            state = "ready" if mine.state == "loading" else mine.state
            more = {"memory_mb": max(held, mine.memory_mb), "state": state}
            here = residencies.c.device == device, residencies.c.engine == engine
            await connection.execute(update(residencies).where(*here).values(more))

    async def _note_memory(self, connection: AsyncConnection, device: str, engine: str, **known: float) -> None:
        """Keep what is known of an engine; its peak only grows."""
        fresh = {"device": device, "engine": engine, "peak_mb": 0, "rest_mb": 0, "worked_at": 0.0} | known
        is_more = engine_memory.c.peak_mb < known["peak_mb"] if "peak_mb" in known else None
        keep = self._database.insert(engine_memory).values(fresh)
        await connection.execute(keep.on_conflict_do_update(index_elements=["device", "engine"], set_=known, where=is_more))
