"""Contents on the local disk, for who must not block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from aldgate.artifacts.local import Artifacts, Writing
from aldgate.core.errors import StoreUnavailable

PIECE = 256 * 1024


class DiskUpload:
    """An `Upload`, written in threads."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    @property
    def size(self) -> int:
        """See `Upload`."""
        return self._writing.size

    async def write(self, piece: bytes) -> None:
        """See `Upload`."""
        try:
            await asyncio.to_thread(self._writing.write, piece)
        except OSError as error:
            raise no_disk(error) from error

    async def commit(self) -> str:
        """See `Upload`."""
        try:
            return await asyncio.to_thread(self._writing.commit)
        except OSError as error:
            raise no_disk(error) from error

    def abort(self) -> None:
        """See `Upload`."""
        self._writing.abort()


class DiskStore:
    """An `ArtifactStore` in a directory.

    Args:
        artifacts: The directory.
    """

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    async def begin(self) -> DiskUpload:
        """See `ArtifactStore`."""
        try:
            return DiskUpload(await asyncio.to_thread(self._artifacts.begin))
        except OSError as error:
            raise no_disk(error) from error

    async def has(self, sha256: str) -> bool:
        """See `ArtifactStore`."""
        return await asyncio.to_thread(self._artifacts.path(sha256).is_file)

    async def read(self, sha256: str, start: int, length: int) -> AsyncIterator[bytes]:
        """See `ArtifactStore`."""
        try:
            file = await asyncio.to_thread(open, self._artifacts.path(sha256), "rb", 0)
        except OSError as error:
            raise StoreUnavailable("The content is not on this gate's disk.") from error
        try:
            await asyncio.to_thread(file.seek, start)
            while length:
                piece = await asyncio.to_thread(file.read, min(PIECE, length))
                if not piece:
                    raise StoreUnavailable("The content on this gate's disk is cut off.")
                length -= len(piece)
                yield piece
        except OSError as error:
            raise no_disk(error) from error
        finally:
            file.close()

    async def delete(self, sha256: str) -> None:
        """See `ArtifactStore`."""
        try:
            await asyncio.to_thread(self._artifacts.delete, sha256)
        except OSError as error:
            raise no_disk(error) from error

    async def names(self, older_than_s: float) -> AsyncIterator[str]:
        """See `ArtifactStore`."""
        try:
            found = await asyncio.to_thread(lambda: list(self._artifacts.names(older_than_s)))
        except OSError as error:
            raise no_disk(error) from error
        for name in found:
            yield name

    async def aclose(self) -> None:
        """See `ArtifactStore`. Nothing is held open."""


def disk_store(root: Path) -> DiskStore:
    """The directory at `root`; it is made when the first content is written."""
    return DiskStore(Artifacts(root))


def no_disk(error: OSError) -> StoreUnavailable:
    """What a disk that failed is to callers."""
    return StoreUnavailable(f"The disk did not take or give the file: {error.strerror or error}.", retry_after_s=60)
