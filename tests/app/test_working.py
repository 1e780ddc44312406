"""`aldgate worker`: what it needs to begin, whom it works for, and how it ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from aldgate.core.generation import Generation
from aldgate.core.jobs import Job, Owner, encoded
from aldgate.store.store import SqlStore
from aldgate.store.stores import open_url
from aldgate.store.writer import wait_for_event
from aldgate.testing.engines.comfyui import FakeComfy
from tests.cli.serving import aldgate_in
from tests.jobs.test_three_hosts import Worker, host, worker
from tests.jobs.working import until
from tests.servers import NewUrl, postgres_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def new_url() -> Iterator[NewUrl]:
    server = postgres_server()
    yield next(server)
    next(server, None)


@pytest.fixture
def url(new_url: NewUrl) -> str:
    """An empty database."""
    return new_url()


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    store = open_url(url, "maker")
    await store.open()
    yield store
    await store.aclose()


def wanted(number: int, engine: str) -> Job:
    asked = encoded(Generation(operation="image", prompt="a gate at night", width=32, height=32))
    return Job(id=f"job-{number:024x}", owner=Owner("key-1", "key-1"), operation="image", engine=engine, asked=asked)


def written(folder: Path, text: str) -> Path:
    file = folder / "aldgate.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_sqlite_is_for_one_process(tmp_path: Path) -> None:
    for store in ("", f"sqlite:///{tmp_path}/x.db"):
        refused = aldgate_in(tmp_path, "worker", "--data", str(tmp_path), ALDGATE_STORE=store)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.startswith("error: a worker of its own needs PostgreSQL") and "\nhint: set `store`" in refused.err


def test_an_engine_that_is_not_there_is_named(tmp_path: Path, url: str) -> None:
    refused = aldgate_in(
        tmp_path, "worker", "--data", str(host(tmp_path / "a", tmp_path / "shared")), "--engines", "x", ALDGATE_STORE=url
    )
    assert refused.code == 1 and "there is no engine `x`\nhint: there are builtin" in refused.err


async def test_a_folder_that_others_do_not_see_is_refused(tmp_path: Path, url: str) -> None:
    shared = host(tmp_path / "first", tmp_path / "shared")
    file = written(tmp_path, "")
    async with worker(shared, url, file) as first:
        await first.until_working()
        own = tmp_path / "second"
        refused = await asyncio.to_thread(aldgate_in, tmp_path, "worker", "--data", str(own), ALDGATE_STORE=url)
        assert refused.code == 1 and "nobody would find" in refused.err and "artifacts.url" in refused.err
        async with worker(host(tmp_path / "third", tmp_path / "shared"), url, file) as third:
            await third.until_working()


async def test_it_works_for_the_engines_that_are_named(tmp_path: Path, url: str, store: SqlStore) -> None:
    file = written(tmp_path, '[engines.other]\nkind = "builtin"\n')
    async with worker(host(tmp_path / "a", tmp_path / "shared"), url, file, "--engines", "builtin") as each:
        await each.until_working()
        assert each.banner.endswith("works for      builtin\n")
        left = await store.enqueue_job(wanted(1, "other"))
        done = await until(store, (await store.enqueue_job(wanted(2, "builtin"))).id)
        assert done.state == "succeeded" and len(done.made) == 1
        assert (await until(store, left.id, lambda job: True)).state == "queued"
        assert await each.ended(signal.SIGTERM) == 0, each.logged


async def test_probes_are_answered_where_a_port_is_named(tmp_path: Path, url: str) -> None:
    async with worker(host(tmp_path / "a", tmp_path / "shared"), url, written(tmp_path, ""), "--port", "0") as each:
        await each.until_working()
        address = each.banner.partition("health at")[2].split()[0].removesuffix("/health")
        async with httpx2.AsyncClient(base_url=address, trust_env=False) as http:
            assert (await http.get("/health")).json()["status"] == "ok"
            assert (await http.get("/ready")).json() == {"status": "ready", "ok": True, "ready": True, "reasons": []}
            assert (await http.get("/v1/jobs")).status_code == 404
        assert await each.ended(signal.SIGTERM) == 0


async def test_a_port_that_is_taken_is_told(tmp_path: Path, url: str) -> None:
    home = host(tmp_path / "a", tmp_path / "shared")
    async with worker(home, url, written(tmp_path, ""), "--port", "0") as each:
        await each.until_working()
        port = each.banner.partition("health at")[2].split()[0].removesuffix("/health").rpartition(":")[2]
        again = await asyncio.to_thread(aldgate_in, tmp_path, "worker", "--data", str(home), "--port", port, ALDGATE_STORE=url)
        assert again.code == 1 and f"cannot listen on 127.0.0.1:{port}" in again.err


@pytest.fixture
async def held(tmp_path: Path, url: str, store: SqlStore) -> AsyncIterator[tuple[Worker, FakeComfy, Job, Path]]:
    """A worker at a job that does not end."""
    async with FakeComfy() as engine:
        engine.hold()
        table = f'[engines.comfyui]\nbase_url = "{engine.url}"\n[server]\ndrain_s = 30\n[jobs]\nlease_s = 3600\n'
        file = written(tmp_path, table)
        async with worker(host(tmp_path / "a", tmp_path / "shared"), url, file) as each:
            await each.until_working()
            job = await store.enqueue_job(wanted(1, "comfyui"))
            await engine.until_working()
            yield each, engine, await until(store, job.id, lambda job: job.state == "running"), file


async def test_what_is_under_way_may_end(held: tuple[Worker, FakeComfy, Job, Path], store: SqlStore) -> None:
    each, engine, job, _ = held
    ending = asyncio.create_task(each.ended(signal.SIGTERM))
    engine.release()
    assert await ending == 0, each.logged
    assert (await until(store, job.id)).state == "succeeded"


async def test_a_second_signal_gives_it_back_and_another_goes_on(
    held: tuple[Worker, FakeComfy, Job, Path], store: SqlStore, tmp_path: Path, url: str
) -> None:
    each, engine, job, file = held
    each.process.send_signal(signal.SIGTERM)
    while "a second signal" not in each.logged:
        await wait_for_event(asyncio.Event(), 0.02)
    assert await each.ended(signal.SIGTERM) == 0, each.logged
    left = await until(store, job.id, lambda job: True)
    assert (left.state, left.reason, left.worker) == ("running", "its worker stopped", None)
    async with worker(host(tmp_path / "b", tmp_path / "shared"), url, file) as other:
        await other.until_working()
        engine.release()
        done = await until(store, job.id)
        assert done.state == "succeeded" and engine.works == 1
        (attempt,) = await store.job_attempts(job.id)
        assert "another went on with it" in attempt.note
