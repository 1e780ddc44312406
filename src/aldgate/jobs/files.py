"""Files of callers: their contents are artifacts, what is known of them is in the store."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path

from aldgate.artifacts.local import Artifacts, Writing
from aldgate.core.errors import BodyTooLarge, NotFound, StoreUnavailable
from aldgate.core.files import StoredFile, lifetime_s
from aldgate.storage import FileStore

ORPHANED_S = 3_600
"""A content that no file has is left alone for so long: its file may be about to be kept."""
NAMES_AT_ONCE = 500


class Incoming:
    """A content on its way to the disk, written in threads. Whoever began it must keep it or `abort` it.

    Args:
        writing: Where to.
        most_bytes: The most it may come to.
    """

    def __init__(self, writing: Writing, most_bytes: int) -> None:
        self._writing = writing
        self._most_bytes = most_bytes

    async def write(self, piece: bytes) -> None:
        """Append a piece.

        Raises:
            BodyTooLarge: It comes to more than it may.
            StoreUnavailable: The disk did not take it.
        """
        if self._writing.size + len(piece) > self._most_bytes:
            raise BodyTooLarge(f"The file has more than {self._most_bytes} bytes.", param="file")
        try:
            await asyncio.to_thread(self._writing.write, piece)
        except OSError as error:
            raise _no_disk(error) from error

    async def commit(self) -> tuple[str, int]:
        """Its name and size, once it is on the disk for good.

        Raises:
            StoreUnavailable: The disk did not take it.
        """
        try:
            return await asyncio.to_thread(self._writing.commit), self._writing.size
        except OSError as error:
            raise _no_disk(error) from error

    def abort(self) -> None:
        """Forget it. Harmless once it is kept."""
        self._writing.abort()


class Files:
    """All files.

    Args:
        store: What is known of them.
        artifacts: Their contents.
        most_bytes: Largest file of a caller.
        quota_bytes: All files of an account.
        now: Unix seconds.
    """

    def __init__(
        self, store: FileStore, artifacts: Artifacts, *, most_bytes: int, quota_bytes: int, now: Callable[[], float]
    ) -> None:
        self.most_bytes = most_bytes
        self._store = store
        self._artifacts = artifacts
        self._quota_bytes = quota_bytes
        self._now = now
        self.turn = asyncio.Lock()
        """Held from when a content is on the disk until its file is kept: meanwhile none is forgotten that may be the same."""

    async def begin(self, most_bytes: int | None = None) -> Incoming:
        """Start to take a content.

        Raises:
            StoreUnavailable: The disk may not be written.
        """
        try:
            return Incoming(await asyncio.to_thread(self._artifacts.begin), most_bytes or self.most_bytes)
        except OSError as error:
            raise _no_disk(error) from error

    async def keep(
        self, incoming: Incoming, *, account: str, purpose: str, filename: str, lives_s: float | None = None
    ) -> StoredFile:
        """Make a caller's file of a content.

        Raises:
            StorageFull: The account has as much as it may.
            StoreUnavailable: Disk or database did not take it.
        """
        async with self.turn:
            file = await self.described(incoming, account=account, purpose=purpose, filename=filename, lives_s=lives_s)
            await self._store.add_file(file, self._quota_bytes)
        return file

    async def described(
        self, incoming: Incoming, *, account: str, purpose: str, filename: str, lives_s: float | None = None
    ) -> StoredFile:
        """Put a content on the disk and describe the file that it is to be, which is not kept yet.

        Raises:
            StoreUnavailable: The disk did not take it.
        """
        sha256, size = await incoming.commit()
        now = self._now()
        lives_s = lives_s or lifetime_s(purpose)
        expires_at = None if lives_s is None else now + lives_s
        return StoredFile("file-" + secrets.token_hex(12), account, purpose, filename, size, sha256, now, expires_at)

    async def find(self, account: str, file_id: str) -> StoredFile:
        """The account's file.

        Raises:
            NotFound: It has none with this id.
        """
        file = await self._store.get_file(account, file_id, self._now())
        if file is None:
            raise NotFound(f"There is no file `{file_id[:100]}`.", param="id")
        return file

    async def list(
        self, account: str, *, purpose: str | None, after: str | None, limit: int, is_ascending: bool
    ) -> list[StoredFile]:
        """The account's files by age, at most `limit` behind the one with the id `after`.

        Raises:
            NotFound: There is no file `after`.
        """
        last = await self.find(account, after) if after else None
        return await self._store.list_files(
            account, self._now(), purpose=purpose, after=last, limit=limit, is_ascending=is_ascending
        )

    def content(self, sha256: str) -> Path:
        """Where a content is.

        Raises:
            StoreUnavailable: It is not on this machine's disk.
        """
        path = self._artifacts.path(sha256)
        if not path.is_file():
            raise StoreUnavailable("The file's content is not on this gate's disk.")
        return path

    async def delete(self, account: str, file_id: str) -> None:
        """Forget a file, and its content unless something else has the same.

        Raises:
            NotFound: The account has none with this id.
        """
        file = await self.find(account, file_id)
        async with self.turn:
            await self._store.delete_file(account, file.id)
            await self._forget([file.sha256])

    async def sweep(self) -> None:
        """Remove files that have expired, contents that nothing has, and what uploads that broke off have left."""
        async with self.turn:
            while gone := await self._store.delete_expired_files(self._now()):
                await self._forget(gone)
            names = await asyncio.to_thread(lambda: list(self._artifacts.names(ORPHANED_S)))
            for start in range(0, len(names), NAMES_AT_ONCE):
                await self._forget(names[start : start + NAMES_AT_ONCE])

    async def _forget(self, names: list[str]) -> None:
        for name in await self._store.unused_contents(names):
            await asyncio.to_thread(self._artifacts.delete, name)


def _no_disk(error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"The disk did not take the file: {error.strerror or error}.", retry_after_s=60)
