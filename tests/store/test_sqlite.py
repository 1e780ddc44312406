"""SQLite's own ground: the file, its mode, two stores on it, and every way it can fail."""

import asyncio
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from aldgate.core.errors import StoreUnavailable
from aldgate.registry import UnknownName
from aldgate.storage import SliceGrant
from aldgate.store.sqlite import APPEND
from aldgate.store.stores import open_url
from aldgate.store.tables import ledger

from .rows import KEY, NOON, ROW, ask

NOBODY = 65_534


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def test_rows_are_written_as_the_tuples_they_are():
    assert [column.name for column in ledger.columns] == list(ROW.__struct_fields__)
    assert APPEND.count("?") == len(ROW.__struct_fields__)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str):
    with pytest.raises(ValueError, match="names no file"):
        open_url(url, "one")


def test_an_unknown_scheme_names_the_known_ones():
    with pytest.raises(UnknownName, match="postgresql, sqlite"):
        open_url("mysql://host/db", "one")


def test_a_text_that_is_no_url_is_refused_unshown():
    with pytest.raises(ValueError, match="^this is no database URL$"):
        open_url("pa55word", "one")


async def test_an_open_waits_for_another_connection_that_writes(tmp_path: Path):
    path = tmp_path / "aldgate.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.05, other.rollback)
        store = open_url(url_of(path), "one")
        await store.open()
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        await store.aclose()


async def test_urls_of_other_programs_are_understood(tmp_path: Path):
    for scheme in ("postgres", "postgresql+asyncpg", "postgresql+psycopg2"):
        await open_url(f"{scheme}://user@127.0.0.1/db", "one").aclose()
    store = open_url(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}", "one")
    await store.open()
    await store.aclose()


async def test_the_file_is_its_owners_alone(tmp_path: Path):
    path = tmp_path / "aldgate.db"
    store = open_url(url_of(path), "one")
    await store.open()
    await store.add_key(KEY, b"digest")
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    await store.aclose()
    assert [each.name for each in tmp_path.iterdir()] == ["aldgate.db"]


async def test_what_a_lost_process_held_is_presumed_spent(sqlite_url: str):
    lost = open_url(sqlite_url, "lost")
    await lost.open()
    await lost.refill("lost", 1, [ask("a", minimum=400), ask("b", minimum=1_000)])
    await lost.refill("lost", 2, [ask("a", reported=150)])
    await lost.aclose()
    store = open_url(sqlite_url, "found")
    await store.open()
    assert await store.refill("found", 1, [ask("a"), ask("b")]) == [SliceGrant(0, 600), SliceGrant(0, 0)]
    await store.aclose()


async def test_opening_again_as_the_same_process_keeps_its_slices(sqlite_url: str):
    for _ in range(2):
        store = open_url(sqlite_url, "same")
        await store.open()
        assert await store.refill("same", 1, [ask(minimum=400)]) == [SliceGrant(400, 600)]
        await store.aclose()


async def test_a_cancelled_write_leaves_the_store_in_order(sqlite_url: str):
    store = open_url(sqlite_url, "one")
    await store.open()
    for turns in range(1, 30):
        task = asyncio.ensure_future(store.refill("one", turns, [ask(minimum=1)]))
        await asyncio.wait([task], timeout=turns / 5_000)
        task.cancel()
        await asyncio.wait([task])
    (grant,) = await store.refill("one", 100, [ask()])
    assert 1_000 - 29 <= grant.free <= 1_000
    await store.record([ROW], [])
    await store.aclose()


async def test_a_missing_directory_is_said_so(tmp_path: Path):
    with pytest.raises(StoreUnavailable) as caught:
        await open_url(url_of(tmp_path / "missing" / "aldgate.db"), "one").open()
    assert isinstance(caught.value.__cause__, FileNotFoundError)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    path = tmp_path / "aldgate.db"
    path.write_bytes(b"not a database" * 1_000)
    store = open_url(url_of(path), "one")
    with pytest.raises(StoreUnavailable):
        await store.open()
    await store.aclose()


async def test_a_newer_database_is_refused(sqlite_url: str):
    store = open_url(sqlite_url, "one")
    await store.open()
    async with store._database.write() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    await store.aclose()
    with pytest.raises(StoreUnavailable, match="newer version"):
        await store.open()
    await store.aclose()


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write anything; be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_read_only_file_is_unavailable():
    with tempfile.TemporaryDirectory() as home:
        path = Path(home, "aldgate.db")
        store = open_url(url_of(path), "one")
        await store.open()
        await store.aclose()
        path.chmod(0o444)
        Path(home).chmod(0o555)
        with unprivileged(), pytest.raises(StoreUnavailable):
            await store.open()
        await store.aclose()
        Path(home).chmod(0o755)


async def test_a_file_another_program_holds_for_too_long_is_unavailable(sqlite_url: str):
    holder = open_url(sqlite_url, "one")
    await holder.open()
    store = open_url(sqlite_url, "one")
    await store.open()
    async with store._database.write() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    async with holder._database.write():
        with pytest.raises(StoreUnavailable) as caught:
            await store.record([ROW], [])
        assert "locked" in str(caught.value.__cause__)
        assert (await store.usage(group_by=(), account=None, since=None, until=None))[0].calls == 0
    await store.record([ROW], [])
    await store.aclose()
    await holder.aclose()


FULL = """
import asyncio, resource, sys
from aldgate.core.errors import StoreUnavailable
from aldgate.store.stores import open_url
from store.rows import ROW
from msgspec.structs import replace

async def main():
    store = open_url(sys.argv[1], "one")
    await store.open()
    await store.record([ROW], [])
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
    try:
        for start in range(0, 100_000, 500):
            await store.record([replace(ROW, call_id=f"req-{start + n}") for n in range(500)], [])
    except StoreUnavailable as error:
        print(type(error.__cause__).__name__, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    before = (await store.usage(group_by=(), account=None, since=None, until=None))[0].calls
    await store.record([replace(ROW, call_id="req-after")], [])
    after = (await store.usage(group_by=(), account=None, since=None, until=None))[0].calls
    print(before % 500, after - before)
    await store.aclose()

asyncio.run(main())
"""


def child(script: str, *arguments: str) -> subprocess.Popen[str]:
    tests = Path(__file__).parent.parent
    path = os.pathsep.join([str(tests), *(each for each in sys.path if each)])
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_a_full_disk_is_unavailable_and_nothing_is_half_written(sqlite_url: str):
    process = child(FULL, sqlite_url)
    output, _ = process.communicate(timeout=60)
    assert output.split() == ["OperationalError", "0", "1"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY


KILLED = """
import asyncio, sys
from aldgate.store.stores import open_url
from aldgate.store.writer import LedgerWriter
from store.rows import ROW, ask
from msgspec.structs import replace

async def call(writer, number):
    writer.append(replace(ROW, call_id=f"req-{number:08}"))
    await writer.committed()
    print(number, flush=True)

async def main():
    store = open_url(sys.argv[1], "killed", durability="strict")
    await store.open()
    await store.refill("killed", 1, [ask(minimum=600)])
    writer = LedgerWriter(
        store, on_failure="refuse", report=lambda: [], on_alarm=lambda is_failing: None
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        for start in range(0, 10**8, 20):
            await asyncio.gather(*(call(writer, start + number) for number in range(20)))

asyncio.run(main())
"""


async def test_kill_9_loses_no_committed_row_and_no_cent(sqlite_url: str):
    process = child(KILLED, sqlite_url)
    assert process.stdout is not None
    acknowledged = [next(process.stdout) for _ in range(500)]
    process.kill()
    acknowledged += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    # The last line may be cut in two.
    numbers = [int(line) for line in acknowledged if line.endswith("\n")]
    store = open_url(sqlite_url, "next")
    await store.open()
    async with store._database.read() as connection:
        assert (await connection.exec_driver_sql("PRAGMA integrity_check")).scalar() == "ok"
        stored = set((await connection.execute(ledger.select())).scalars())
    assert {f"req-{number:08}" for number in numbers} <= stored
    assert await store.refill("next", 1, [ask(minimum=401)]) == [SliceGrant(0, 400)]
    await store.record([replace(ROW, received_at=NOON)], [])
    await store.aclose()
