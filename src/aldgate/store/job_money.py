"""The money of jobs: what a process gives to one, and what is settled of it.

A job has slices of its own, as a process has, granted in whole when it is made. So what it may cost counts against its budgets
wherever it runs and whoever is gone meanwhile, and what it did cost is settled in the transaction that ends it.
"""

from collections.abc import Sequence

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.jobs import Hold
from aldgate.queueing import Handover
from aldgate.storage import SliceRequest
from aldgate.store.budgets import lock_slices, save_slices
from aldgate.store.database import Database
from aldgate.store.tables import slices

Given = tuple[str, Sequence[Handover]]
"""A job's id, and what it is given."""


async def hand_over(database: Database, connection: AsyncConnection, process: str, given: Sequence[Given]) -> None:
    """Move what jobs hold from the process's slices to slices of their own."""
    requests = [
        SliceRequest(part.account, part.period, part.limit, part.reported, part.microusd, 0, 0)
        for _, parts in given
        for part in parts
    ]
    if not requests:
        return
    held = await lock_slices(database, connection, process, requests)
    for request in requests:
        held[request.account, request.period].report(request.limit, request.reported)
        held[request.account, request.period].take_back(request.give_back)
    await save_slices(database, connection, process, held)
    rows = [
        {"account": part.account, "period": part.period, "process": _name(job), "granted": part.microusd, "reported": 0}
        for job, parts in given
        for part in parts
    ]
    await connection.execute(insert(slices), rows)


async def settle(database: Database, connection: AsyncConnection, job: str, hold: Hold, cost_microusd: int) -> None:
    """Turn what a job holds into what it cost; more than it held is a visible overdraft."""
    if not hold.parts:
        return
    requests = [SliceRequest(part.account, part.period, 0, 0, 0, 0, 0) for part in hold.parts]
    held = await lock_slices(database, connection, _name(job), requests)
    for part in held.values():
        part.report(part.limit, cost_microusd)
    await save_slices(database, connection, _name(job), held)
    await connection.execute(delete(slices).where(slices.c.process == _name(job), slices.c.account.in_([*_accounts(hold)])))


def _accounts(hold: Hold) -> set[str]:
    return {part.account for part in hold.parts}


def _name(job: str) -> str:
    return f"job:{job}"
