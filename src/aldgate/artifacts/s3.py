"""Contents in a bucket that speaks S3's protocol, for gates on several machines. Through obstore, loaded when configured."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
import time
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from aldgate.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from obstore.store import S3Store

SPOOLED_BYTES = 1024 * 1024
"""What is larger waits on the local disk until its name is known."""
PART_BYTES = 8 * 1024 * 1024
PIECE = 256 * 1024
LISTED_AT_ONCE = 500
_NAME = re.compile(r"[0-9a-f]{64}")


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Where a bucket is, and who may use it.

    Attributes:
        prefix: What all its keys begin with here.
        endpoint: `http://` or `https://` of a server that is not Amazon's.
        access_key_id: Empty, with the secret: the machine's own role (instance, container or web identity).
    """

    name: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    access_key_id: str = ""
    secret_access_key: str = ""

    def __repr__(self) -> str:
        return f"Bucket({self.name!r}, {self.prefix!r}, {self.endpoint!r})"


class S3Upload:
    """An `Upload`: kept aside until it is whole, as its name follows from all of it, and a bucket renames nothing."""

    def __init__(self, store: S3Contents) -> None:
        self._store = store
        self._file = tempfile.SpooledTemporaryFile(SPOOLED_BYTES)
        self._digest = hashlib.sha256()
        self.size = 0

    async def write(self, piece: bytes) -> None:
        """See `Upload`."""
        try:
            await asyncio.to_thread(self._file.write, piece)
        except OSError as error:
            raise StoreUnavailable("The disk took no more of what is to be uploaded.", retry_after_s=60) from error
        self._digest.update(piece)
        self.size += len(piece)

    async def commit(self) -> str:
        """See `Upload`. One that is there already is written anew: its age counts from now on."""
        name = self._digest.hexdigest()
        await asyncio.to_thread(self._file.seek, 0)
        await self._store.put(name, self._file, self.size)
        self._file.close()
        return name

    def abort(self) -> None:
        """See `Upload`."""
        self._file.close()


class S3Contents:
    """An `ArtifactStore` in a bucket.

    Args:
        bucket: Where.

    Raises:
        ModuleNotFoundError: obstore is not installed.
        ValueError: The endpoint is none.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._store = _opened(bucket)

    async def begin(self) -> S3Upload:
        """See `ArtifactStore`."""
        return S3Upload(self)

    async def put(self, name: str, file: Any, size: int) -> None:
        """Put a whole file into the bucket; large ones in parts.

        Raises:
            StoreUnavailable: The bucket did not take it.
        """
        import obstore

        with _as_ours():
            await obstore.put_async(self._store, _key(name), file, chunk_size=PART_BYTES, use_multipart=size > PART_BYTES)

    async def has(self, sha256: str) -> bool:
        """See `ArtifactStore`."""
        import obstore

        with _as_ours():
            try:
                await obstore.head_async(self._store, _key(sha256))
            except FileNotFoundError:
                return False
        return True

    async def read(self, sha256: str, start: int, length: int) -> AsyncIterator[bytes]:
        """See `ArtifactStore`."""
        import obstore

        if not length:
            return
        with _as_ours():
            found = await obstore.get_async(self._store, _key(sha256), options={"range": (start, start + length)})
            async for piece in found.stream(min_chunk_size=PIECE):
                yield bytes(piece)

    async def delete(self, sha256: str) -> None:
        """See `ArtifactStore`."""
        import obstore

        with _as_ours():
            await obstore.delete_async(self._store, _key(sha256))

    async def names(self, older_than_s: float) -> AsyncIterator[str]:
        """See `ArtifactStore`. Ages are by the bucket's clock and this machine's."""
        import obstore

        before = time.time() - older_than_s
        with _as_ours():
            pages: Any = obstore.list(self._store, chunk_size=LISTED_AT_ONCE)  # pyright: ignore[reportUnknownMemberType] - in part
            async for page in pages:
                for each in page:
                    name = each["path"].rpartition("/")[2]
                    if _NAME.fullmatch(name) and each["last_modified"].timestamp() < before:
                        yield name

    async def aclose(self) -> None:
        """See `ArtifactStore`. Connections end with their idle time."""


def _opened(bucket: Bucket) -> S3Store:
    from obstore.store import S3Store

    known: dict[str, Any] = {"region": bucket.region}
    if bucket.endpoint:
        known["endpoint"] = bucket.endpoint
    if bucket.access_key_id:
        known |= {"access_key_id": bucket.access_key_id, "secret_access_key": bucket.secret_access_key}
    is_plain = bucket.endpoint.startswith("http://")
    options: Any = {"allow_http": is_plain, "timeout": "60s", "connect_timeout": "5s"}
    retries: Any = {"max_retries": 2}
    return S3Store(bucket.name, prefix=bucket.prefix or None, client_options=options, retry_config=retries, **known)


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


@contextmanager
def _as_ours() -> Generator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        raise StoreUnavailable("The content is not in the bucket.") from error
    except (BaseError, OSError) as error:
        raise StoreUnavailable("The bucket did not answer as it should.", retry_after_s=5) from error
