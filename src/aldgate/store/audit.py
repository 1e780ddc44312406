"""The audit log: adding to its chain, one process at a time, and reading it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import ColumnElement, insert, select, update

from aldgate.core.audit import NOTHING_BEFORE, Anchor, AuditEntry, AuditRow, place
from aldgate.store.database import QueryGroup
from aldgate.store.tables import audit, audit_head
from aldgate.store.unbroken import unbroken

_HEAD = select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1)
_COLUMNS = [audit.c[name] for name in AuditRow.__struct_fields__]


class AuditLog(QueryGroup):
    """Queries on the audit log; each method as `ports.AuditStore` says."""

    @unbroken
    async def add_audit(self, entry: AuditEntry) -> AuditRow:
        """See `AuditStore`. The head is locked until the commit, so that no two rows follow the same one."""
        begin = self._database.insert(audit_head).values(id=1, seq=0, hash=NOTHING_BEFORE).on_conflict_do_nothing()
        async with self._database.write() as connection:
            await connection.execute(begin)
            head = (await connection.execute(_HEAD.with_for_update())).one()
            row = place(entry, Anchor(head.seq, head.hash))
            await connection.execute(insert(audit).values(msgspec.structs.asdict(row)))
            await connection.execute(update(audit_head).where(audit_head.c.id == 1).values(seq=row.seq, hash=row.hash))
        return row

    async def audit_rows(
        self,
        *,
        where: Mapping[str, Sequence[str]],
        since_us: int | None = None,
        until_us: int | None = None,
        before: int | None = None,
        after: int | None = None,
        limit: int,
    ) -> list[AuditRow]:
        """See `AuditStore`."""
        conditions: list[ColumnElement[bool]] = [audit.c[name].in_(values) for name, values in where.items()]
        if since_us is not None:
            conditions.append(audit.c.at_us >= since_us)
        if until_us is not None:
            conditions.append(audit.c.at_us < until_us)
        if before is not None:
            conditions.append(audit.c.seq < before)
        if after is not None:
            conditions.append(audit.c.seq > after)
        order = audit.c.seq if after is not None else audit.c.seq.desc()
        query = select(*_COLUMNS).where(*conditions).order_by(order).limit(limit)
        async with self._database.read() as connection:
            return [AuditRow(**row) for row in (await connection.execute(query)).mappings()]

    async def audit_head(self) -> Anchor | None:
        """See `AuditStore`."""
        async with self._database.read() as connection:
            head = (await connection.execute(_HEAD)).first()
        return None if head is None else Anchor(head.seq, head.hash)
