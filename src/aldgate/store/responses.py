"""Kept responses: what was asked and answered, linked to what it continued."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import CTE, ColumnElement, Row, Select, and_, delete, exists, func, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.errors import BodyTooLarge
from aldgate.core.kept import KeptResponse
from aldgate.store.database import QueryGroup
from aldgate.store.tables import response_sizes, responses
from aldgate.store.unbroken import unbroken

PRUNED_AT_ONCE = 20
"""Expired responses removed per new one: more than one, so that the table shrinks; few, so that no caller waits for it."""
LONGEST_CHAIN = 10_000
ROW_BYTES = 1_024
"""Bytes that a response counts for beside what it says: rows and their places in indexes have a bound, too."""
_COLUMNS = tuple(responses.c[name] for name in KeptResponse.__struct_fields__ if name != "lease_s")
_NAME = (responses.c.account, responses.c.id)
_SIZE = (
    func.length(responses.c.input) + func.length(responses.c.body) + func.coalesce(func.length(responses.c.events), 0) + ROW_BYTES
)
_IS_UNDER_WAY = responses.c.lease_until.is_not(None)
_YOUNGER = responses.alias()
_IS_CONTINUED = exists().where(_YOUNGER.c.account == responses.c.account, _YOUNGER.c.previous_id == responses.c.id)


class Responses(QueryGroup):
    """Queries on kept responses; each method as `ports.Store` says."""

    @unbroken
    async def keep_response(self, account: str, kept: KeptResponse, events: bytes | None, quota_bytes: int) -> None:
        """See `Store`."""
        row = {**self._row(kept), "events": events}
        fresh = self._database.insert(responses).values(account=account, **row)
        mine = {name: value for name, value in row.items() if name != "id"}
        keep = fresh.on_conflict_do_update(index_elements=["account", "id"], set_=mine)
        async with self._database.write(relaxed=True) as connection:
            changes = await _remove(connection, _expired(kept.created_at))
            before = await connection.scalar(select(_SIZE).where(*_named(account, kept.id))) or 0
            await connection.execute(keep)
            changes[account] += _size(kept, events) - before
            await self._charge(connection, changes)
            await self._make_room(connection, account, kept.id, quota_bytes)

    @unbroken
    async def end_response(self, account: str, kept: KeptResponse, events: bytes | None, quota_bytes: int) -> bool:
        """See `Store`."""
        mine = _named(account, kept.id)
        end = update(responses).where(*mine, _IS_UNDER_WAY).values(**self._row(kept), events=events)
        async with self._database.write() as connection:
            before = await connection.scalar(select(_SIZE).where(*mine)) or 0
            if (await connection.execute(end)).rowcount == 0:
                return False
            await self._charge(connection, Counter({account: _size(kept, events) - before}))
            await self._make_room(connection, account, kept.id, quota_bytes)
            return True

    @unbroken
    async def hold_responses(self, names: Collection[tuple[str, str]], lease_s: float) -> set[tuple[str, str]]:
        """See `Store`."""
        mine = tuple_(*_NAME)
        until = self._database.now() + lease_s
        hold = update(responses).where(mine.in_(list(names)), _IS_UNDER_WAY).values(lease_until=until).returning(*_NAME)
        async with self._database.write(relaxed=True) as connection:
            return {(row.account, row.id) for row in await connection.execute(hold)}

    async def _give_up_responses(self) -> None:
        """Nobody carries on what other incarnations had under way: they are gone."""
        lost = update(responses).where(_IS_UNDER_WAY, responses.c.incarnation != self._incarnation).values(lease_until=0.0)
        async with self._database.write() as connection:
            await connection.execute(lost)

    async def find_response(self, account: str, response_id: str, now: float) -> KeptResponse | None:
        """See `Store`."""
        query = select(*_COLUMNS, self._left).where(*_named(account, response_id), responses.c.expires_at > now)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else _kept(row)

    async def response_events(self, account: str, response_id: str) -> bytes | None:
        """See `Store`."""
        async with self._database.read() as connection:
            return await connection.scalar(select(responses.c.events).where(*_named(account, response_id)))

    async def response_chain(self, account: str, response_id: str, max_bytes: int) -> list[KeptResponse]:
        """See `Store`."""
        chain = _chain(account, response_id)
        size = select(func.sum(func.length(responses.c.input) + func.length(responses.c.body))).select_from(
            responses.join(chain, responses.c.id == chain.c.id)
        )
        query = select(*_COLUMNS, self._left).join(chain, responses.c.id == chain.c.id).order_by(chain.c.back.desc())
        mine = responses.c.account == account
        async with self._database.read() as connection:
            if (await connection.scalar(size.where(mine)) or 0) > max_bytes:
                raise BodyTooLarge(f"The conversation has come to more than {max_bytes} bytes.")
            rows: Sequence[Row[Any]] = (await connection.execute(query.where(mine))).all()
        return [_kept(row) for row in rows]

    @unbroken
    async def delete_response(self, account: str, response_id: str) -> bool:
        """See `Store`."""
        async with self._database.write() as connection:
            gone = await _remove(connection, select(*_NAME).where(*_named(account, response_id)))
            await self._charge(connection, gone)
            return bool(gone)

    @property
    def _left(self) -> ColumnElement[float | None]:
        """`lease_s`, by the clock that all processes share."""
        return responses.c.lease_until - self._database.now()

    def _row(self, kept: KeptResponse) -> dict[str, Any]:
        until = None if kept.lease_s is None else self._database.now() + kept.lease_s
        return {column.name: getattr(kept, column.name) for column in _COLUMNS} | {"lease_until": until}

    async def _charge(self, connection: AsyncConnection, changes: Counter[str]) -> None:
        """Count what came and went, always in the same order of accounts: two processes must not wait for each other."""
        for account in sorted(changes):
            add = self._database.insert(response_sizes).values(account=account, bytes=changes[account])
            total = response_sizes.c.bytes + add.excluded.bytes
            await connection.execute(add.on_conflict_do_update(index_elements=["account"], set_={"bytes": total}))

    async def _make_room(self, connection: AsyncConnection, account: str, newest: str, quota_bytes: int) -> None:
        """Remove the oldest responses that nothing continues until the account has no more than it may."""
        total = select(response_sizes.c.bytes).where(response_sizes.c.account == account)
        while (over := (await connection.scalar(total) or 0) - quota_bytes) > 0:
            ends = (
                select(responses.c.id, _SIZE.label("size"))
                .where(responses.c.account == account, responses.c.id != newest, ~_IS_UNDER_WAY, ~_IS_CONTINUED)
                .order_by(responses.c.created_at)
                .limit(PRUNED_AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            names = list(_enough((await connection.execute(ends)).all(), over))
            if not names:
                return
            named = and_(responses.c.account == account, responses.c.id.in_(names))
            await self._charge(connection, await _remove(connection, select(*_NAME).where(named)))


def _named(account: str, response_id: str) -> tuple[Any, ...]:
    return responses.c.account == account, responses.c.id == response_id


def _chain(account: str, response_id: str) -> CTE:
    """Ids of a response and all that it continued; `back` counts how far back each lies."""
    links = (
        select(responses.c.id, responses.c.previous_id, literal(0).label("back"))
        .where(*_named(account, response_id))
        .cte("links", recursive=True)
    )
    older = select(responses.c.id, responses.c.previous_id, links.c.back + 1).where(
        responses.c.account == account, responses.c.id == links.c.previous_id, links.c.back < LONGEST_CHAIN
    )
    return links.union_all(older)


def _expired(now: float) -> Select[Any, Any]:
    """What has expired and nothing continues: what a younger response stands on goes after it."""
    return (
        select(*_NAME)
        .where(responses.c.expires_at < now, ~_IS_CONTINUED)
        .limit(PRUNED_AT_ONCE)
        # Rows that another process is removing just now are its business.
        .with_for_update(skip_locked=True)
    )


async def _remove(connection: AsyncConnection, chosen: Select[Any, Any]) -> Counter[str]:
    """Remove responses, and return by how much each account has less."""
    statement = delete(responses).where(tuple_(*_NAME).in_(chosen))
    changes: Counter[str] = Counter()
    for row in await connection.execute(statement.returning(responses.c.account, _SIZE.label("size"))):
        changes[row.account] -= row.size
    return changes


def _enough(rows: Iterable[Row[Any, Any]], over: int) -> Iterable[str]:
    """Ids of as many as come to `over` bytes."""
    for row in rows:
        if over <= 0:
            return
        over -= row.size
        yield row.id


def _size(kept: KeptResponse, events: bytes | None) -> int:
    return len(kept.input) + len(kept.body) + len(events or b"") + ROW_BYTES


def _kept(row: Row[Any]) -> KeptResponse:
    return KeptResponse(*row)
