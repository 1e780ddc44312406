"""What is known of files; their contents are artifacts."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, case, delete, func, insert, or_, select, tuple_

from aldgate.core.batches import UNFINISHED
from aldgate.core.errors import StorageFull
from aldgate.core.files import StoredFile
from aldgate.store.database import QueryGroup
from aldgate.store.tables import artifacts, batches, files
from aldgate.store.unbroken import unbroken

EXPIRED_AT_ONCE = 500
LEAST_CHARGED = 4_096
"""Bytes that an empty file counts for: rows and directory entries have a bound, too."""

_FILE = tuple(files.c[name] for name in StoredFile.__struct_fields__)


class Files(QueryGroup):
    """Queries on files; each method as `ports.Store` says."""

    @unbroken
    async def add_file(self, file: StoredFile, quota_bytes: int) -> None:
        """See `Store`.

        Raises:
            StorageFull: The account's files would come to more than `quota_bytes`.
        """
        charged = case((files.c.bytes < LEAST_CHARGED, LEAST_CHARGED), else_=files.c.bytes)
        used = select(func.coalesce(func.sum(charged), 0)).where(files.c.account == file.account)
        async with self._database.write() as connection:
            if int(await connection.scalar(used) or 0) + max(file.bytes, LEAST_CHARGED) > quota_bytes:
                raise StorageFull(f"Your files come to more than {quota_bytes} bytes with this one; delete some.")
            await connection.execute(insert(files).values(msgspec.structs.asdict(file)))

    async def get_file(self, account: str, file_id: str, now: float) -> StoredFile | None:
        """See `Store`."""
        query = select(*_FILE).where(files.c.id == file_id, files.c.account == account, _lives(now))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else StoredFile(*row)

    async def list_files(
        self, account: str, now: float, *, purpose: str | None, after: StoredFile | None, limit: int, is_ascending: bool
    ) -> list[StoredFile]:
        """See `Store`."""
        place = tuple_(files.c.created_at, files.c.id)
        query = select(*_FILE).where(files.c.account == account, _lives(now)).limit(limit)
        if purpose is not None:
            query = query.where(files.c.purpose == purpose)
        if after is not None:
            last = tuple_(after.created_at, after.id)
            query = query.where(place > last if is_ascending else place < last)
        columns = (files.c.created_at, files.c.id)
        query = query.order_by(*(column if is_ascending else column.desc() for column in columns))
        async with self._database.read() as connection:
            return [StoredFile(*row) for row in await connection.execute(query)]

    @unbroken
    async def delete_file(self, account: str, file_id: str) -> bool:
        """See `Store`."""
        statement = delete(files).where(files.c.id == file_id, files.c.account == account)
        async with self._database.write() as connection:
            return (await connection.execute(statement)).rowcount == 1

    @unbroken
    async def delete_expired_files(self, now: float) -> list[str]:
        """See `Store`."""
        old = select(files.c.id).where(files.c.expires_at <= now).limit(EXPIRED_AT_ONCE)
        async with self._database.write() as connection:
            statement = delete(files).where(files.c.id.in_(old)).returning(files.c.sha256)
            return sorted(set(await connection.scalars(statement)))

    async def unused_contents(self, names: Sequence[str]) -> set[str]:
        """See `Store`."""
        async with self._database.read() as connection:
            kept = set(await connection.scalars(select(files.c.sha256).where(files.c.sha256.in_(names))))
            made = set(await connection.scalars(select(artifacts.c.sha256).where(artifacts.c.sha256.in_(names))))
            running = select(batches.c.input_sha256).where(
                batches.c.input_sha256.in_(names), batches.c.status.in_(sorted(UNFINISHED))
            )
            return set(names) - kept - made - set(await connection.scalars(running))


def _lives(now: float) -> ColumnElement[bool]:
    return or_(files.c.expires_at.is_(None), files.c.expires_at > now)
