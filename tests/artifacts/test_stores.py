"""Every store of contents does the same: a disk, and a bucket."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aldgate.artifacts.disk import disk_store
from aldgate.artifacts.places import open_place
from aldgate.artifacts.s3 import PART_BYTES, Bucket, S3Contents
from aldgate.config.errors import ConfigError
from aldgate.config.secret import Secret
from aldgate.config.settings import Artifacts
from aldgate.core.errors import StoreUnavailable
from aldgate.ports import ArtifactStore
from aldgate.testing.storage.s3 import FakeBucket, fake_bucket

pytestmark = pytest.mark.anyio
HELLO = hashlib.sha256(b"hello").hexdigest()
Age = Callable[[str], None]


def in_bucket(bucket: FakeBucket, prefix: str = "here") -> S3Contents:
    place = Bucket(name=bucket.name, prefix=prefix, endpoint=bucket.url, access_key_id="id", secret_access_key="secret")
    return S3Contents(place)


@pytest.fixture
async def bucket() -> AsyncIterator[FakeBucket]:
    async with fake_bucket() as running:
        yield running


@pytest.fixture(params=["disk", "s3"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, bucket: FakeBucket) -> AsyncIterator[tuple[ArtifactStore, Age]]:
    """A store, and what makes one of its contents an old one."""
    if request.param == "disk":
        yield disk_store(tmp_path), lambda name: os.utime(tmp_path / name[:2] / name, (0, 0))
        return

    def age(name: str) -> None:
        bucket.objects[f"here/{name[:2]}/{name}"].at = datetime(2020, 1, 1, tzinfo=UTC)

    yield in_bucket(bucket), age


async def put(store: ArtifactStore, *pieces: bytes) -> str:
    upload = await store.begin()
    try:
        for piece in pieces:
            await upload.write(piece)
        assert upload.size == sum(map(len, pieces))
        return await upload.commit()
    finally:
        upload.abort()  # harmless once it is kept


async def read(store: ArtifactStore, name: str, start: int, length: int) -> bytes:
    return b"".join([piece async for piece in store.read(name, start, length)])


async def test_what_is_written_is_read_by_its_hash(place: tuple[ArtifactStore, Age]) -> None:
    store, _ = place
    assert not await store.has(HELLO)
    assert await put(store, b"hel", b"lo") == await put(store, b"hello") == HELLO
    assert await store.has(HELLO)
    assert await read(store, HELLO, 0, 5) == b"hello"
    assert await read(store, HELLO, 1, 3) == b"ell"
    assert await read(store, HELLO, 5, 0) == b""
    empty = await put(store)
    assert await store.has(empty) and await read(store, empty, 0, 0) == b""
    await store.delete(HELLO)
    await store.delete(HELLO)
    assert not await store.has(HELLO)
    with pytest.raises(StoreUnavailable):
        await read(store, HELLO, 0, 5)
    await store.aclose()


async def test_large_ones_come_whole_and_in_part(place: tuple[ArtifactStore, Age]) -> None:
    store, _ = place
    content = os.urandom(PART_BYTES + 1_234_567)
    name = await put(store, *(content[at : at + 1_000_000] for at in range(0, len(content), 1_000_000)))
    assert name == hashlib.sha256(content).hexdigest()
    assert await read(store, name, 0, len(content)) == content
    assert await read(store, name, PART_BYTES - 10, 300_000) == content[PART_BYTES - 10 : PART_BYTES + 299_990]


async def test_old_ones_are_named_and_made_new_by_being_written_again(place: tuple[ArtifactStore, Age]) -> None:
    store, age = place
    names = [await put(store, b"%d" % number) for number in range(3)]
    assert [name async for name in store.names(3_600)] == []
    for name in names[:2]:
        age(name)
    assert sorted([name async for name in store.names(3_600)]) == sorted(names[:2])
    await put(store, b"0")
    assert [name async for name in store.names(3_600)] == names[1:2]


async def test_what_is_given_up_leaves_nothing(place: tuple[ArtifactStore, Age]) -> None:
    store, _ = place
    upload = await store.begin()
    await upload.write(b"half")
    upload.abort()
    upload.abort()
    assert [name async for name in store.names(-1)] == []


@pytest.mark.parametrize("fault", ["refuses", "fails", "forbids"])
async def test_a_bucket_that_fails_is_a_store_that_is_away(bucket: FakeBucket, fault: str) -> None:
    store = in_bucket(bucket)
    await put(store, b"hello")
    bucket.fault = fault  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable):
        await put(store, b"other")
    with pytest.raises(StoreUnavailable):
        await store.has(HELLO)
    with pytest.raises(StoreUnavailable):
        await read(store, HELLO, 0, 5)
    with pytest.raises(StoreUnavailable):
        await store.delete(HELLO)
    with pytest.raises(StoreUnavailable):
        [name async for name in store.names(0)]


async def test_a_bucket_that_loses_an_upload_keeps_nothing_of_it(bucket: FakeBucket) -> None:
    store = in_bucket(bucket)
    bucket.fault = "loses_upload"
    with pytest.raises(StoreUnavailable):
        await put(store, b"x" * (PART_BYTES + 1))
    assert bucket.objects == {}


async def test_others_in_the_bucket_are_left_alone(bucket: FakeBucket) -> None:
    mine, theirs = in_bucket(bucket), in_bucket(bucket, "there")
    name = await put(theirs, b"hello")
    bucket.objects["here/readme.txt"] = bucket.objects[f"there/{name[:2]}/{name}"]
    assert [name async for name in mine.names(-3_600)] == []
    assert [name async for name in theirs.names(-3_600)] == [HELLO]


async def test_a_place_is_named_by_the_settings(tmp_path: Path) -> None:
    assert type(open_place(Artifacts(), tmp_path)).__name__ == "DiskStore"
    keys = {"access_key_id": "id", "secret_access_key": Secret("secret")}
    assert type(open_place(Artifacts(url="s3://bucket/a/b", **keys), tmp_path)).__name__ == "S3Contents"
    for bad in (
        Artifacts(url="ftp://x"),
        Artifacts(url="s3://"),
        Artifacts(url="s3://b?x=1"),
        Artifacts(url="s3://b", access_key_id="i"),
    ):
        with pytest.raises(ConfigError):
            open_place(bad, tmp_path)


def test_a_bucket_shows_no_secret() -> None:
    assert "hush" not in repr(Bucket(name="b", access_key_id="id", secret_access_key="hush"))
