"""All artifacts: their contents in a store of contents, what is known of them in the database."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from typing import Any

from aldgate.artifacts.links import Links
from aldgate.core.artifacts import UPLOADED, Provenance, StoredArtifact
from aldgate.core.errors import BodyTooLarge, NotFound, StoreUnavailable, UnsupportedMediaType
from aldgate.core.files import plain_name
from aldgate.core.generation import NO_OPTIONS
from aldgate.core.media_types import HEAD_BYTES, media_type
from aldgate.ports import ArtifactStore, Upload
from aldgate.storage import ArtifactRecords

GRACE_S = 3_600
"""A content that nothing has is left alone for so long: what it is to belong to may be about to be kept."""
NAMES_AT_ONCE = 500
UNTOLD = frozenset({"audio/pcm"})
"""What its bytes tell nothing of: samples may look like the beginning of anything."""


class Archive:
    """See above.

    Args:
        records: What is known of them.
        contents: Their bytes.
        links: Signs links to them.
        most_bytes: Largest one.
        quota_bytes: All of one account.
        lives_s: How long they are kept where nobody says shorter; None: until they are deleted.
        now: Unix seconds.
        turn: Held while a record is kept and its content looked for; whoever forgets contents of the same store holds it, too.
    """

    def __init__(
        self,
        records: ArtifactRecords,
        contents: ArtifactStore,
        links: Links,
        *,
        most_bytes: int,
        quota_bytes: int,
        lives_s: float | None,
        now: Callable[[], float],
        turn: asyncio.Lock,
    ) -> None:
        self.links = links
        self.most_bytes = most_bytes
        self._records = records
        self._contents = contents
        self._quota_bytes = quota_bytes
        self._lives_s = lives_s
        self._now = now
        self._turn = turn

    async def upload(
        self, account: str, pieces: AsyncIterable[bytes], *, name: str = "", retention_s: float | None = None
    ) -> StoredArtifact:
        """Keep what a caller brings, if its content is a picture, film, sound or mesh.

        Raises:
            UnsupportedMediaType: It is something else, whatever it is called.
            BodyTooLarge: It has more than `most_bytes`.
            StorageFull: The account has as much as it may.
            StoreUnavailable: It could not be kept.
        """
        upload = await self._contents.begin()
        try:
            head = await self._filled(upload, pieces)
            mime = media_type(head, upload.size)
            if mime is None:
                raise UnsupportedMediaType("This is no picture, film, sound or mesh of a kind that is known.")
            return await self._kept(
                upload,
                account,
                mime,
                name,
                retention_s=retention_s,
                provenance=UPLOADED,
                facts=NO_OPTIONS,
                quota=self._quota_bytes,
            )
        finally:
            upload.abort()

    async def keep(
        self,
        account: str,
        data: bytes | AsyncIterable[bytes],
        *,
        mime: str,
        name: str = "",
        provenance: Provenance,
        facts: Mapping[str, Any] = NO_OPTIONS,
        retention_s: float | None = None,
    ) -> StoredArtifact:
        """Keep what was made, over the quota, too: it has been paid for. `check_room` beforehand says whether to begin.

        Args:
            account: Whose it is.
            data: The content.
            mime: What its maker says it is; what the content shows goes before that.
            name: What it is called when it is saved.
            provenance: Where it is from.
            facts: What else is known of it.
            retention_s: The longest time that its owner's policies allow.

        Raises:
            BodyTooLarge: It has more than `most_bytes`.
            StoreUnavailable: It could not be kept.
        """
        upload = await self._contents.begin()
        try:
            head = await self._filled(upload, _pieces(data) if isinstance(data, bytes) else data)
            found = mime if mime in UNTOLD else media_type(head, upload.size) or mime
            return await self._kept(
                upload, account, found, name, retention_s=retention_s, provenance=provenance, facts=facts, quota=None
            )
        finally:
            upload.abort()

    async def check_room(self, account: str) -> None:
        """Refuse to begin what would be kept for an account that has as much as it may.

        Raises:
            StorageFull: It has.
        """
        await self._records.check_artifact_room(account, self._quota_bytes)

    async def find(self, account: str | None, artifact_id: str) -> StoredArtifact:
        """The account's artifact; None looks for anybody's, on behalf of whoever has a link to it.

        Raises:
            NotFound: There is none with this id.
        """
        found = await self._records.get_artifact(artifact_id, self._now())
        if found is None or account not in (None, found.account):
            raise NotFound(f"There is no artifact `{artifact_id[:100]}`.", param="id")
        return found

    async def list(self, account: str, *, after: str | None, limit: int) -> list[StoredArtifact]:
        """The account's artifacts, newest first, at most `limit` behind the one with the id `after`.

        Raises:
            NotFound: There is no artifact `after`.
        """
        last = await self.find(account, after) if after else None
        return await self._records.list_artifacts(account, self._now(), after=last, limit=limit)

    def read(self, artifact: StoredArtifact, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Its bytes, or some of them.

        Raises:
            StoreUnavailable: They cannot be had.
        """
        return self._contents.read(artifact.sha256, start, artifact.bytes - start if length is None else length)

    async def delete(self, account: str, artifact_id: str) -> None:
        """Forget it. Its content goes with the next sweep, unless something else has the same.

        Raises:
            NotFound: The account has none with this id.
            Conflict: A job that is not over needs it.
        """
        await self.find(account, artifact_id)
        await self._records.delete_artifact(account, artifact_id)

    async def sweep(self) -> None:
        """Forget what has expired and is not held, and remove contents that nothing has had for `GRACE_S`.

        Raises:
            StoreUnavailable: Contents or records cannot be had.
        """
        while await self._records.delete_expired_artifacts(self._now()):
            pass
        batch: list[str] = []
        async for name in self._contents.names(GRACE_S):
            batch.append(name)
            if len(batch) == NAMES_AT_ONCE:
                await self._forget(batch)
                batch = []
        await self._forget(batch)

    async def aclose(self) -> None:
        """Close what the contents are reached by."""
        await self._contents.aclose()

    async def _forget(self, names: list[str]) -> None:
        if names:
            async with self._turn:
                for name in await self._records.unused_contents(names):
                    await self._contents.delete(name)

    async def _filled(self, upload: Upload, pieces: AsyncIterable[bytes]) -> bytes:
        """Write it all; returns its beginning."""
        head = b""
        async for piece in pieces:
            if upload.size + len(piece) > self.most_bytes:
                raise BodyTooLarge(f"The artifact has more than {self.most_bytes} bytes.")
            if len(head) < HEAD_BYTES:
                head += piece[: HEAD_BYTES - len(head)]
            await upload.write(piece)
        return head

    async def _kept(
        self,
        upload: Upload,
        account: str,
        mime: str,
        name: str,
        *,
        retention_s: float | None,
        provenance: Provenance,
        facts: Mapping[str, Any],
        quota: int | None,
    ) -> StoredArtifact:
        lives_s = min((each for each in (self._lives_s, retention_s) if each is not None), default=None)
        size = upload.size
        sha256 = await upload.commit()
        now = self._now()
        artifact = StoredArtifact(
            id="art-" + secrets.token_hex(16),
            account=account,
            sha256=sha256,
            mime=mime,
            bytes=size,
            name=plain_name(name),
            created_at=now,
            expires_at=None if lives_s is None else now + lives_s,
            provenance=provenance,
            facts=facts,
        )
        async with self._turn:
            if provenance.job_id is None:
                await self._records.add_artifact(artifact, quota)
            else:
                artifact = await self._records.keep_made(artifact)
            is_there = await self._contents.has(sha256)
        if not is_there:  # it was forgotten with the last that had it, just before it was needed again
            await self._records.delete_artifact(account, artifact.id)
            raise StoreUnavailable("The content was removed while it was kept; send it again.", retry_after_s=1)
        return artifact


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data
