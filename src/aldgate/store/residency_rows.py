"""Devices, and who holds their memory, as rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.jobs import Waiting
from aldgate.core.placement import Candidate, Device, Needs, Residency
from aldgate.store.device_tables import engine_memory, residencies
from aldgate.store.job_queue import count_under_way

WORDS = msgspec.json.Decoder(tuple[str, ...])


def new_residency(device: str, engine: str, needs: Needs, memory_mb: int, token: int, now: float) -> dict[str, Any]:
    """The row of an engine that is being loaded."""
    return {
        "device": device,
        "engine": engine,
        "state": "loading",
        "memory_mb": memory_mb,
        "exclusive": needs.exclusive,
        "places": needs.places,
        "idle_s": needs.idle_s,
        "since": now,
        "used_at": now,
        "token": token,
        "lease_until": 0.0,
        "reason": "",
        "is_fixed": False,
    }


def device_of(device: Device, row: Row[*tuple[Any, ...]]) -> Device:
    """A device as it was last seen."""
    return msgspec.structs.replace(
        device,
        total_mb=device.total_mb or row.total_mb,
        foreign_mb=row.foreign_mb,
        foreign=WORDS.decode(row.foreign_processes),
    )


async def residencies_on(connection: AsyncConnection, device: str) -> list[Residency]:
    """Who holds memory of a device, and how many jobs each works on."""
    rows = (await connection.execute(select(residencies).where(residencies.c.device == device))).all()
    running = await count_under_way(connection, [row.engine for row in rows]) if rows else {}
    return [
        Residency(
            engine=row.engine,
            state=row.state,
            memory_mb=row.memory_mb,
            exclusive=row.exclusive,
            places=row.places,
            running=running.get(row.engine, 0),
            since=row.since,
            used_at=row.used_at,
            idle_s=row.idle_s,
            is_fixed=row.is_fixed,
        )
        for row in rows
    ]


async def candidates_of(
    connection: AsyncConnection, device: str, waiting: Mapping[str, Sequence[Waiting]], engines: Mapping[str, Needs]
) -> list[Candidate]:
    """Those who wait, over all engines in the order of their jobs."""
    rows = await connection.execute(select(engine_memory).where(engine_memory.c.device == device))
    known = {row.engine: row for row in rows}
    found: list[Candidate] = []
    for each in sorted(
        (each for some in waiting.values() for each in some), key=lambda job: (-job.priority, job.created_at, job.id)
    ):
        needs, seen = engines[each.engine], known.get(each.engine)
        memory_mb = max(needs.memory_mb, seen.peak_mb if seen else 0)
        found.append(
            Candidate(
                job=each.id,
                engine=each.engine,
                memory_mb=max(1, memory_mb - (seen.rest_mb if seen else 0)) if memory_mb else 0,
                exclusive=needs.exclusive,
                places=needs.places,
                since=max(each.created_at, each.due_at, seen.worked_at if seen else 0.0),
            )
        )
    return found


async def note_work(connection: AsyncConnection, device: str, here: Mapping[str, Residency], now: float) -> None:
    """Whoever works now was used now; whoever was loaded and works on nothing has been."""
    working = [each.engine for each in here.values() if each.running]
    mine = residencies.c.device == device
    await connection.execute(update(residencies).where(mine, residencies.c.engine.in_(working)).values(used_at=now))
    loaded = residencies.c.state == "loading", residencies.c.engine.not_in(working)
    await connection.execute(update(residencies).where(mine, *loaded).values(state="ready"))
