"""No record stands for a content that is gone, and nothing is left of what could not be kept."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aldgate.artifacts.archive import Archive
from aldgate.artifacts.disk import DiskStore
from aldgate.artifacts.links import Links
from aldgate.artifacts.local import Artifacts
from aldgate.core.artifacts import Provenance
from aldgate.core.errors import BodyTooLarge, StoreUnavailable
from aldgate.store.stores import open_url

pytestmark = pytest.mark.anyio


class Forgetful(DiskStore):
    """A disk that another process sweeps just now."""

    async def has(self, sha256: str) -> bool:
        await self.delete(sha256)
        return await super().has(sha256)


@pytest.fixture
async def store(tmp_path: Path):
    store = open_url(f"sqlite:///{tmp_path}/aldgate.db", "this-process")
    await store.open()
    yield store
    await store.aclose()


def archive(store, contents: DiskStore) -> Archive:
    bounds = {"most_bytes": 1_000, "quota_bytes": 10_000, "lives_s": 50.0}
    return Archive(store, contents, Links(b"secret"), **bounds, now=time.time, turn=asyncio.Lock())


async def broken() -> AsyncIterator[bytes]:
    yield b"half"
    raise ConnectionError


async def test_a_content_that_is_swept_away_meanwhile_is_no_artifact(store, tmp_path: Path) -> None:
    kept = archive(store, Forgetful(Artifacts(tmp_path / "contents")))
    with pytest.raises(StoreUnavailable):
        await kept.keep("key-1", b"x", mime="text/plain", provenance=Provenance())
    assert await kept.list("key-1", after=None, limit=9) == []


async def test_what_breaks_off_or_is_too_large_leaves_nothing(store, tmp_path: Path) -> None:
    kept = archive(store, DiskStore(Artifacts(tmp_path / "contents")))
    with pytest.raises(ConnectionError):
        await kept.keep("key-1", broken(), mime="text/plain", provenance=Provenance())
    with pytest.raises(BodyTooLarge):
        await kept.keep("key-1", b"x" * 1_001, mime="text/plain", provenance=Provenance())
    assert await kept.list("key-1", after=None, limit=9) == []
    assert [path for path in (tmp_path / "contents").rglob("*") if path.is_file()] == []


async def test_the_shorter_lifetime_holds(store, tmp_path: Path) -> None:
    kept = archive(store, DiskStore(Artifacts(tmp_path / "contents")))
    for retention_s, lives_s in ((None, 50), (20.0, 20), (90.0, 50)):
        made = await kept.keep("key-1", b"x", mime="text/plain", provenance=Provenance(), retention_s=retention_s)
        assert made.expires_at == made.created_at + lives_s and made.mime == "text/plain"
    await kept.aclose()
