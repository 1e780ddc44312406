"""Kept responses: what was asked and answered, linked to what it continued."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, Delete, Row, delete, exists, func, literal, select, tuple_

from aldgate.core.errors import BodyTooLarge
from aldgate.ports import KeptResponse
from aldgate.store.database import QueryGroup
from aldgate.store.tables import responses
from aldgate.store.unbroken import unbroken

PRUNED_AT_ONCE = 20
"""Expired responses removed per new one: more than one, so that the table shrinks; few, so that no caller waits for it."""
LONGEST_CHAIN = 10_000
_COLUMNS = tuple(column for column in responses.c if column.name != "account")


class Responses(QueryGroup):
    """Queries on kept responses; each method as `ports.Store` says."""

    @unbroken
    async def keep_response(self, account: str, kept: KeptResponse) -> None:
        """See `Store`."""
        row = {column.name: getattr(kept, column.name) for column in _COLUMNS}
        fresh = self._database.insert(responses).values(account=account, **row)
        mine = {name: value for name, value in row.items() if name != "id"}
        keep = fresh.on_conflict_do_update(index_elements=["account", "id"], set_=mine)
        async with self._database.write(relaxed=True) as connection:
            await connection.execute(_prune(kept.created_at))
            await connection.execute(keep)

    async def find_response(self, account: str, response_id: str, now: float) -> KeptResponse | None:
        """See `Store`."""
        query = select(*_COLUMNS).where(*_named(account, response_id), responses.c.expires_at > now)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else _kept(row)

    async def response_chain(self, account: str, response_id: str, max_bytes: int) -> list[KeptResponse]:
        """See `Store`."""
        chain = _chain(account, response_id)
        size = select(func.sum(func.length(responses.c.input) + func.length(responses.c.body))).select_from(
            responses.join(chain, responses.c.id == chain.c.id)
        )
        query = select(*_COLUMNS).join(chain, responses.c.id == chain.c.id).order_by(chain.c.back.desc())
        mine = responses.c.account == account
        async with self._database.read() as connection:
            if (await connection.scalar(size.where(mine)) or 0) > max_bytes:
                raise BodyTooLarge(f"The conversation has come to more than {max_bytes} bytes.")
            rows: Sequence[Row[Any]] = (await connection.execute(query.where(mine))).all()
        return [_kept(row) for row in rows]

    @unbroken
    async def delete_response(self, account: str, response_id: str) -> bool:
        """See `Store`."""
        statement = delete(responses).where(*_named(account, response_id)).returning(responses.c.id)
        async with self._database.write() as connection:
            return (await connection.execute(statement)).first() is not None


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


def _prune(now: float) -> Delete:
    """Removes what has expired and nothing continues: what a younger response stands on goes after it."""
    younger = responses.alias()
    is_continued = exists().where(younger.c.account == responses.c.account, younger.c.previous_id == responses.c.id)
    old = (
        select(responses.c.account, responses.c.id)
        .where(responses.c.expires_at < now, ~is_continued)
        .limit(PRUNED_AT_ONCE)
        # Rows that another process is removing just now are its business.
        .with_for_update(skip_locked=True)
    )
    return delete(responses).where(tuple_(responses.c.account, responses.c.id).in_(old))


def _kept(row: Row[Any]) -> KeptResponse:
    return KeptResponse(*row)
