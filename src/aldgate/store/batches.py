"""Batches, and their lines while they are unfinished.

A worker writes only with the token it was given when it took the batch; each such write locks the batch's row first, so that of
two workers who think it theirs the later one alone is heard.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, and_, delete, exists, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.batches import UNFINISHED, BatchLine, LineError, LineResult, Status, StoredBatch
from aldgate.core.files import StoredFile
from aldgate.core.leases import LeaseLost
from aldgate.store.database import QueryGroup
from aldgate.store.tables import batch_lines, batches, files, ledger
from aldgate.store.unbroken import unbroken

WAITING, CALLED, DONE = "waiting", "called", "done"

_BATCH = tuple(batches.c[name] for name in StoredBatch.__struct_fields__)
_LINE = tuple(batch_lines.c[name] for name in BatchLine.__struct_fields__)
_UNFINISHED = batches.c.status.in_(sorted(UNFINISHED))


class Batches(QueryGroup):
    """Queries on batches; each method as `ports.Store` says."""

    @unbroken
    async def add_batch(self, batch: StoredBatch) -> None:
        """See `Store`."""
        async with self._database.write() as connection:
            await connection.execute(insert(batches).values(_columns(batch) | {"worker": None, "lease_until": 0.0}))

    async def get_batch(self, account: str, batch_id: str) -> StoredBatch | None:
        """See `Store`."""
        async with self._database.read() as connection:
            query = select(*_BATCH).where(batches.c.id == batch_id, batches.c.account == account)
            row = (await connection.execute(query)).first()
        return None if row is None else _batch(row)

    async def list_batches(self, account: str, *, after: StoredBatch | None, limit: int) -> list[StoredBatch]:
        """See `Store`."""
        query = select(*_BATCH).where(batches.c.account == account).limit(limit)
        if after is not None:
            query = query.where(tuple_(batches.c.created_at, batches.c.id) < tuple_(after.created_at, after.id))
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(batches.c.created_at.desc(), batches.c.id.desc()))
            return [_batch(row) for row in rows]

    async def count_unfinished_batches(self, account: str) -> int:
        """See `Store`."""
        async with self._database.read() as connection:
            query = select(func.count()).select_from(batches).where(batches.c.account == account, _UNFINISHED)
            return await connection.scalar(query) or 0

    @unbroken
    async def cancel_batch(self, account: str, batch_id: str, at: float) -> StoredBatch | None:
        """See `Store`."""
        cancel = (
            update(batches)
            .where(batches.c.id == batch_id, batches.c.account == account, batches.c.status.in_(("validating", "in_progress")))
            .values(status="cancelling", cancelling_at=at)
        )
        async with self._database.write() as connection:
            await connection.execute(cancel)
        return await self.get_batch(account, batch_id)

    @unbroken
    async def take_batch(self, lease_s: float) -> StoredBatch | None:
        """See `Store`."""
        free = (
            select(batches.c.id)
            .where(_UNFINISHED, batches.c.lease_until < self._database.now())
            .order_by(batches.c.created_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        lease = {"worker": self._incarnation, "lease_until": self._database.now() + lease_s, "token": batches.c.token + 1}
        async with self._database.write() as connection:
            batch_id = await connection.scalar(free)
            if batch_id is None:
                return None
            taken = update(batches).where(batches.c.id == batch_id).values(lease).returning(*_BATCH)
            row = (await connection.execute(taken)).one()
            await _mend_lines(connection, batch_id)
        return _batch(row)

    @unbroken
    async def hold_batch(self, batch: StoredBatch, lease_s: float) -> Status:
        """See `Store`."""
        async with self._database.write(relaxed=True) as connection:
            return await _fenced(connection, batch, lease_until=self._database.now() + lease_s if lease_s else 0.0)

    @unbroken
    async def add_lines(self, batch: StoredBatch, lines: Sequence[BatchLine]) -> None:
        """See `Store`."""
        rows = [
            {
                "batch_id": batch.id,
                "line": line.line,
                "custom_id": line.custom_id,
                "offset": line.offset,
                "length": line.length,
                "state": WAITING,
                "cuts": 0,
            }
            for line in lines
        ]
        async with self._database.write(relaxed=True) as connection:
            await _fenced(connection, batch, token=batch.token)
            # A worker that was cut off while it did this has left some of the same.
            await connection.execute(self._database.insert(batch_lines).on_conflict_do_nothing(), rows)

    @unbroken
    async def start_batch(self, batch: StoredBatch, at: float, total: int, model: str | None) -> Status:
        """See `Store`."""
        async with self._database.write() as connection:
            status = await _fenced(connection, batch, in_progress_at=at, total=total, model=model)
            return await _fenced(connection, batch, status="in_progress") if status == "validating" else status

    async def waiting_lines(self, batch_id: str, after: int, limit: int) -> list[BatchLine]:
        """See `Store`."""
        mine = batch_lines.c.batch_id == batch_id, batch_lines.c.line > after, batch_lines.c.state == WAITING
        async with self._database.read() as connection:
            rows = await connection.execute(select(*_LINE).where(*mine).order_by(batch_lines.c.line).limit(limit))
            return [BatchLine(*row) for row in rows]

    @unbroken
    async def call_line(self, batch: StoredBatch, line: int, call_id: str) -> Status:
        """See `Store`."""
        return await self._set_line(batch, line, state=CALLED, call_id=call_id)

    @unbroken
    async def put_line_back(self, batch: StoredBatch, line: int) -> Status:
        """See `Store`."""
        return await self._set_line(batch, line, state=WAITING, call_id=None)

    async def _set_line(self, batch: StoredBatch, line: int, **values: Any) -> Status:
        async with self._database.write(relaxed=True) as connection:
            status = await _fenced(connection, batch, token=batch.token)
            mine = batch_lines.c.batch_id == batch.id, batch_lines.c.line == line
            await connection.execute(update(batch_lines).where(*mine).values(values))
        return status

    @unbroken
    async def finish_line(self, batch: StoredBatch, result: LineResult) -> Status:
        """See `Store`."""
        usage = result.usage
        sums = {
            "completed": batches.c.completed + int(result.is_good),
            "failed": batches.c.failed + int(not result.is_good),
            "input_tokens": batches.c.input_tokens + usage.input_tokens,
            "cached_tokens": batches.c.cached_tokens + usage.cached_tokens,
            "output_tokens": batches.c.output_tokens + usage.output_tokens,
            "reasoning_tokens": batches.c.reasoning_tokens + usage.reasoning_tokens,
        }
        mine = batch_lines.c.batch_id == batch.id, batch_lines.c.line == result.line
        done = {"state": DONE, "is_good": result.is_good, "result": result.text}
        async with self._database.write(relaxed=True) as connection:
            status = await _fenced(connection, batch, **sums)
            await connection.execute(update(batch_lines).where(*mine).values(done))
        return status

    async def line_results(self, batch_id: str, after: int, limit: int) -> list[LineResult]:
        """See `Store`."""
        columns = batch_lines.c.line, batch_lines.c.result, batch_lines.c.is_good
        mine = batch_lines.c.batch_id == batch_id, batch_lines.c.line > after, batch_lines.c.state == DONE
        async with self._database.read() as connection:
            rows = await connection.execute(select(*columns).where(*mine).order_by(batch_lines.c.line).limit(limit))
            return [LineResult(*row) for row in rows]

    @unbroken
    async def finalize_batch(self, batch: StoredBatch, at: float) -> Status:
        """See `Store`."""
        async with self._database.write() as connection:
            status = await _fenced(connection, batch, token=batch.token)
            if status != "in_progress":
                return status
            return await _fenced(connection, batch, status="finalizing", finalizing_at=at)

    @unbroken
    async def finish_batch(
        self,
        batch: StoredBatch,
        status: Status,
        at: float,
        results: Sequence[StoredFile] = (),
        errors: Sequence[LineError] = (),
        failed: int = 0,
    ) -> None:
        """See `Store`."""
        values: dict[str, Any] = {f"{status}_at": at, "status": status, "failed": batches.c.failed + failed, "worker": None}
        if errors:
            values["errors"] = msgspec.json.encode(errors).decode()
        for name, file in zip(("output_file_id", "error_file_id"), results, strict=False):
            values[name] = file.id if file.bytes else None
        async with self._database.write() as connection:
            await _fenced(connection, batch, **values)
            kept = [msgspec.structs.asdict(file) for file in results if file.bytes]
            if kept:
                await connection.execute(insert(files), kept)
            await connection.execute(delete(batch_lines).where(batch_lines.c.batch_id == batch.id))

    async def _end_leases(self) -> None:
        """Let go of what other incarnations held: they are gone."""
        lost = update(batches).where(_UNFINISHED, batches.c.worker != self._incarnation).values(lease_until=0.0)
        async with self._database.write() as connection:
            await connection.execute(lost)


async def _fenced(connection: AsyncConnection, batch: StoredBatch, **values: Any) -> Status:
    """Write to the batch's row, and return its status.

    Raises:
        LeaseLost: Another worker has taken the batch.
    """
    mine = and_(batches.c.id == batch.id, batches.c.token == batch.token)
    status = await connection.scalar(update(batches).where(mine).values(values).returning(batches.c.status))
    if status is None:
        raise LeaseLost(batch.id)
    return status


async def _mend_lines(connection: AsyncConnection, batch_id: str) -> None:
    """Lines whose calls were cut off wait again; those that are in the ledger all the same keep their calls' ids."""
    cut = batch_lines.c.batch_id == batch_id, batch_lines.c.state == CALLED
    billed = exists().where(ledger.c.call_id == batch_lines.c.call_id, ledger.c.status < 400)
    await connection.execute(update(batch_lines).where(*cut, ~billed).values(call_id=None))
    await connection.execute(update(batch_lines).where(*cut).values(state=WAITING, cuts=batch_lines.c.cuts + 1))


def _columns(batch: StoredBatch) -> dict[str, Any]:
    return msgspec.structs.asdict(batch) | {
        "metadata": None if batch.metadata is None else msgspec.json.encode(batch.metadata).decode(),
        "errors": msgspec.json.encode(batch.errors).decode(),
    }


def _batch(row: Row[*tuple[Any, ...]]) -> StoredBatch:
    fields = dict(zip(StoredBatch.__struct_fields__, row, strict=True))
    fields["metadata"] = fields["metadata"] and msgspec.json.decode(fields["metadata"], type=dict[str, str])
    fields["errors"] = msgspec.json.decode(fields["errors"], type=list[LineError])
    return StoredBatch(**fields)
