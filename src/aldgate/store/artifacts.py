"""What is known of artifacts, and what holds them."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, and_, case, delete, exists, func, insert, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.artifacts import Provenance, StoredArtifact
from aldgate.core.errors import Conflict, StorageFull
from aldgate.store.database import QueryGroup
from aldgate.store.files import LEAST_CHARGED
from aldgate.store.job_artifacts import is_over
from aldgate.store.tables import artifact_holds, artifacts
from aldgate.store.unbroken import unbroken

EXPIRED_AT_ONCE = 500

_PLAIN = tuple(name for name in StoredArtifact.__struct_fields__ if name not in ("provenance", "facts"))
_ORIGIN = tuple(name for name in Provenance.__struct_fields__ if name != "parents")
_COLUMNS = tuple(artifacts.c[name] for name in (*_PLAIN, *_ORIGIN, "parents", "facts"))
_HELD = exists().where(artifact_holds.c.artifact_id == artifacts.c.id)


class ArtifactQueries(QueryGroup):
    """Queries on artifacts; each method as `storage.ArtifactRecords` says."""

    @unbroken
    async def add_artifact(self, artifact: StoredArtifact, quota_bytes: int | None) -> None:
        """See `ArtifactRecords`."""
        async with self._database.write() as connection:
            await keep_artifact(connection, artifact, quota_bytes)

    @unbroken
    async def keep_made(self, artifact: StoredArtifact) -> StoredArtifact:
        """See `ArtifactRecords`."""
        origin = artifacts.c.job_id == artifact.provenance.job_id, artifacts.c.sha256 == artifact.sha256
        async with self._database.write() as connection:
            await self._database.lock(connection, f"made by {artifact.provenance.job_id}")
            query = select(*_COLUMNS).where(*origin, artifacts.c.account == artifact.account)
            known = (await connection.execute(query.limit(1))).first()
            if known is not None:
                return _artifact(known)
            await keep_artifact(connection, artifact, None)
        return artifact

    async def check_artifact_room(self, account: str, quota_bytes: int) -> None:
        """See `ArtifactRecords`."""
        async with self._database.read() as connection:
            if await _used(connection, account) >= quota_bytes:
                raise _full(quota_bytes)

    async def get_artifact(self, artifact_id: str, now: float) -> StoredArtifact | None:
        """See `ArtifactRecords`."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(*_COLUMNS).where(artifacts.c.id == artifact_id, _lives(now)))).first()
        return None if row is None else _artifact(row)

    async def list_artifacts(self, account: str, now: float, *, after: StoredArtifact | None, limit: int) -> list[StoredArtifact]:
        """See `ArtifactRecords`."""
        query = select(*_COLUMNS).where(artifacts.c.account == account, _lives(now)).limit(limit)
        if after is not None:
            query = query.where(tuple_(artifacts.c.created_at, artifacts.c.id) < tuple_(after.created_at, after.id))
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(artifacts.c.created_at.desc(), artifacts.c.id.desc()))
            return [_artifact(row) for row in rows]

    @unbroken
    async def delete_artifact(self, account: str, artifact_id: str) -> bool:
        """See `ArtifactRecords`."""
        mine = and_(artifacts.c.id == artifact_id, artifacts.c.account == account)
        is_mine = artifact_holds.c.artifact_id.in_(select(artifacts.c.id).where(mine))
        async with self._database.write() as connection:
            await connection.execute(delete(artifact_holds).where(is_mine, is_over()))
            if (await connection.execute(delete(artifacts).where(mine, ~_HELD))).rowcount == 1:
                return True
            if await connection.scalar(select(artifacts.c.id).where(mine)) is not None:
                raise Conflict(f"A job that is not over needs the artifact `{artifact_id}`; cancel it first, or wait.")
        return False

    @unbroken
    async def delete_expired_artifacts(self, now: float) -> int:
        """See `ArtifactRecords`."""
        old = select(artifacts.c.id).where(artifacts.c.expires_at <= now, ~_HELD).limit(EXPIRED_AT_ONCE)
        async with self._database.write() as connection:
            return (await connection.execute(delete(artifacts).where(artifacts.c.id.in_(old)))).rowcount

    @unbroken
    async def hold_artifacts(self, holder: str, artifact_ids: Collection[str]) -> set[str]:
        """See `ArtifactRecords`."""
        async with self._database.write() as connection:
            query = select(artifacts.c.id).where(artifacts.c.id.in_(sorted(artifact_ids))).with_for_update()
            found = set(await connection.scalars(query))
            if found:
                keep = self._database.insert(artifact_holds).on_conflict_do_nothing()
                await connection.execute(keep, [{"holder": holder, "artifact_id": each} for each in sorted(found)])
        return found

    @unbroken
    async def release_artifacts(self, holder: str) -> None:
        """See `ArtifactRecords`."""
        async with self._database.write() as connection:
            await connection.execute(delete(artifact_holds).where(artifact_holds.c.holder == holder))


async def keep_artifact(connection: AsyncConnection, artifact: StoredArtifact, quota_bytes: int | None) -> None:
    """Keep one within a transaction, such as the one that finishes its job.

    Raises:
        StorageFull: The account's artifacts would come to more than `quota_bytes` with it; None: nobody minds.
    """
    if quota_bytes is not None and await _used(connection, artifact.account) + max(artifact.bytes, LEAST_CHARGED) > quota_bytes:
        raise _full(quota_bytes)
    fields = msgspec.structs.asdict(artifact)
    origin, facts = msgspec.structs.asdict(fields.pop("provenance")), fields.pop("facts")
    fields |= origin | {"parents": _text(origin["parents"]), "facts": _text(dict(facts))}
    await connection.execute(insert(artifacts).values(fields))


async def _used(connection: AsyncConnection, account: str) -> int:
    charged = case((artifacts.c.bytes < LEAST_CHARGED, LEAST_CHARGED), else_=artifacts.c.bytes)
    used = select(func.coalesce(func.sum(charged), 0)).where(artifacts.c.account == account)
    return int(await connection.scalar(used) or 0)


def _full(quota_bytes: int) -> StorageFull:
    return StorageFull(f"Your artifacts come to {quota_bytes} bytes or more; delete some.")


def _lives(now: float) -> ColumnElement[bool]:
    return or_(artifacts.c.expires_at.is_(None), artifacts.c.expires_at > now, _HELD)


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _artifact(row: Row[*tuple[Any, ...]]) -> StoredArtifact:
    plain, origin = row[: len(_PLAIN)], row[len(_PLAIN) : -2]
    provenance = Provenance(**dict(zip(_ORIGIN, origin, strict=True)), parents=msgspec.json.decode(row[-2], type=tuple[str, ...]))
    return StoredArtifact(
        **dict(zip(_PLAIN, plain, strict=True)), provenance=provenance, facts=msgspec.json.decode(row[-1], type=dict[str, Any])
    )
