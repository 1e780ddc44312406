"""Three `aldgate worker` processes, two devices, one PostgreSQL database: a worker killed at work, and a device lost."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from aldgate.core.jobs import Job
from aldgate.store.job_tables import job_events
from aldgate.store.store import SqlStore
from aldgate.store.tables import ledger
from aldgate.store.writer import wait_for_event
from aldgate.testing.engines.comfyui import FakeComfy
from tests.processes.fleet import inherited
from tests.servers import postgres_server
from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio
HOSTS = 3
JOBS = {"oil": 5, "ink": 5, "chalk": 2}
PATIENCE_S = 150.0
WORK_S = 0.02
RUN_S = 6
"""An engine that does not answer may still be at work until this is over."""


class Bench:
    """A device, as its engines see it: how many work on it now, and how often it was more than one."""

    def __init__(self) -> None:
        self.at_work: Counter[str] = Counter()
        self.overlaps: list[dict[str, int]] = []

    def begin(self, engine: str) -> None:
        self.at_work[engine] += 1
        if self.at_work.total() > 1:
            self.overlaps.append(dict(self.at_work))

    def end(self, engine: str) -> None:
        self.at_work[engine] -= 1


class Easel(FakeComfy):
    """A ComfyUI that shares its device with others."""

    def __init__(self, name: str, bench: Bench) -> None:
        super().__init__()
        self.name = name
        self.bench = bench

    async def _work(self) -> None:
        self.bench.begin(self.name)
        try:
            await super()._work()
            await wait_for_event(asyncio.Event(), WORK_S)
        finally:
            self.bench.end(self.name)


class Worker:
    """A running `aldgate worker`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.banner = ""
        self.logged = ""
        self._reading = [asyncio.create_task(self._log())]

    async def _log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.logged += line.decode()

    async def until_working(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while "works for" not in self.banner:
                line = await self.process.stdout.readline()
                assert line, self.logged
                self.banner += line.decode()

    async def ended(self, number: signal.Signals) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
            await asyncio.gather(*self._reading)
        return code


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """An empty database."""
    server = postgres_server()
    yield next(server)()
    next(server, None)


def config(easels: dict[str, Easel], devices: dict[str, str]) -> str:
    tables = [f"[devices.{name}]\nvram_mb = 24576\n" for name in sorted(set(devices.values()))]
    for name, easel in easels.items():
        table = f'kind = "comfyui"\nbase_url = "{easel.url}"\ndevice = "{devices[name]}"\n'
        table += f"memory_mb = 12000\nrun_timeout_s = {RUN_S}\n"
        tables.append(f"[engines.{name}]\n{table}")
    return "[jobs]\nlease_s = 2\n[server]\ndrain_s = 5\n" + "".join(tables)


def host(home: Path, shared: Path) -> Path:
    """The data directory of a host, with the folder of artifacts that all of them mount."""
    shared.mkdir(exist_ok=True)
    home.mkdir(parents=True)
    (home / "artifacts").symlink_to(shared, target_is_directory=True)
    return home


@asynccontextmanager
async def worker(home: Path, url: str, file: Path, *arguments: str) -> AsyncIterator[Worker]:
    places = ("--data", str(home), "--config", str(file), *arguments)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aldgate.cli.main", "worker", *places),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=home,
        env={**inherited(), "ALDGATE_STORE": url, "ALDGATE_DISCOVERY_LOCAL": "false"},
    )
    made = Worker(process)
    try:
        yield made
    finally:
        await made.ended(signal.SIGKILL)


async def make(gate: RunningGate, key: str, engine: str, number: int) -> str:
    body = {"operation": "image", "model": engine, "prompt": f"{engine} {number}", "seed": number, "width": 64, "height": 64}
    reply = await gate.http.post("/v1/jobs", json=body, headers={"authorization": f"Bearer {key}"})
    assert reply.status_code == 202, reply.text
    return reply.json()["id"]


async def ended(store: SqlStore, ids: list[str]) -> list[Job]:
    until = time.monotonic() + PATIENCE_S
    while True:
        jobs = [job for each in ids if (job := await store.find_job(each)) is not None]
        if all(job.has_ended for job in jobs):
            return jobs
        assert time.monotonic() < until, [(job.engine, job.state, job.reason, job.attempts) for job in jobs if not job.has_ended]
        await wait_for_event(asyncio.Event(), 0.05)


async def at_work(store: SqlStore, ids: list[str]) -> str:
    """The worker that has one of these jobs running."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for each in ids:
                job = await store.find_job(each)
                if job is not None and job.state == "running" and job.worker is not None:
                    return job.worker
            await wait_for_event(asyncio.Event(), 0.02)


async def rows_of(store: SqlStore, query: Any) -> list[Any]:
    async with store._database.read() as connection:
        return [tuple(row) for row in await connection.execute(query)]


async def check_ended_once(store: SqlStore, jobs: list[Job]) -> None:
    ends = select(job_events.c.job, func.count()).where(job_events.c.state.in_(("succeeded", "failed", "cancelled")))
    assert sorted(await rows_of(store, ends.group_by(job_events.c.job))) == sorted((job.id, 1) for job in jobs)
    bills = select(ledger.c.call_id, func.count()).group_by(ledger.c.call_id)
    assert sorted(await rows_of(store, bills)) == sorted((job.call_id, 1) for job in jobs)
    assert all(len(job.made) == (1 if job.state == "succeeded" else 0) for job in jobs)


async def test_a_worker_killed_and_a_device_lost_cost_no_job_and_no_device_a_fight(tmp_path: Path, url: str) -> None:
    racks = {"rack-a": Bench(), "rack-b": Bench()}
    devices = {"oil": "rack-a", "ink": "rack-a", "chalk": "rack-b"}
    async with AsyncExitStack() as stack:
        easels = {name: await stack.enter_async_context(Easel(name, racks[device])) for name, device in devices.items()}
        flags = {"store": url, "jobs.worker": "false"}
        home = host(tmp_path / "gate", tmp_path / "shared")
        gate = await stack.enter_async_context(running_gate(home, config=config(easels, devices), flags=flags))
        file, key, store = home / "aldgate.toml", await gate.key(), gate.app.store
        for easel in easels.values():
            easel.hold()
        ids = {name: [await make(gate, key, name, number) for number in range(count)] for name, count in JOBS.items()}
        places = [host(tmp_path / str(number), tmp_path / "shared") for number in range(HOSTS)]
        workers = [await stack.enter_async_context(worker(place, url, file)) for place in places]
        for each in workers:
            await each.until_working()

        # Somebody has the first job of rack-a, and dies with it.
        victim = await at_work(store, ids["oil"] + ids["ink"])
        await at_work(store, ids["chalk"])
        (dead,) = [each for each in workers if victim in each.banner]
        await dead.ended(signal.SIGKILL)

        # rack-b loses its power at work; rack-a goes on.
        await easels["chalk"].refuse()
        for easel in easels.values():
            easel.release()
        jobs = await ended(store, [each for some in ids.values() for each in some])
        for each in workers:
            if each is not dead:
                assert await each.ended(signal.SIGTERM) == 0, each.logged
        await check_ended_once(store, jobs)
        outcomes = Counter((job.engine, job.state) for job in jobs)
        assert outcomes == {("oil", "succeeded"): 5, ("ink", "succeeded"): 5, ("chalk", "failed"): 2}
        assert {rack: bench.overlaps for rack, bench in racks.items()} == {"rack-a": [], "rack-b": []}
        assert easels["oil"].works + easels["ink"].works == 10, "what was under way was collected, not made anew"
        histories = [await store.job_attempts(job.id) for job in jobs]
        assert any("another went on with it" in attempt.note for some in histories for attempt in some)
