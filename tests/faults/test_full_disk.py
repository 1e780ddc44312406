"""The disk is full, or the database is locked: calls go on or are refused, as configured; loudly, and nothing is lost."""

import asyncio
import json
import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2

from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.databases import on_sqlite
from tests.faults.lab import HELLO, Lab, read_ledger, running_lab, within
from tests.faults.serving import Serving, serving
from tests.jobs.running import Batcher, line

FAST = "[ledger]\nwindow_s = 0.05\n"


@contextmanager
def full_disk(gate: Serving) -> Iterator[None]:
    """No file of the gate grows beyond a few bytes, as on a disk without room."""
    limits = resource.prlimit(gate.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gate.process.pid, resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.prlimit(gate.process.pid, resource.RLIMIT_FSIZE, limits)


async def until_ready(gate: Serving, is_ready: bool) -> None:
    async with asyncio.timeout(15):
        while (reply := await gate.http.get("/ready")).json()["ready"] is not is_ready:
            pass
    assert reply.status_code == (200 if is_ready else 503)
    assert is_ready or "the ledger cannot be written" in reply.json()["reasons"]


def levels(gate: Serving, logger: str) -> list[tuple[str, str]]:
    """What a logger said, with its level."""
    lines = [json.loads(line) for line in gate.logged.splitlines()]
    return [(line["level"], line["message"]) for line in lines if line["logger"] == logger]


@on_sqlite
async def test_a_full_disk_stops_nothing_and_loses_nothing(tmp_path: Path) -> None:
    valve = Valve()
    async with FakeUpstream() as upstream, serving(tmp_path, upstream, FAST) as gate:
        key = await gate.key(tpm=1_000_000, budget="1000/total")
        answered = [await gate.post(key)]
        upstream.script(faults.hang_before_head(valve))
        finishing = asyncio.create_task(gate.post(key, **{"idempotency-key": "finished-without-a-disk"}))
        await within(5, upstream.saw_requests(2))
        with full_disk(gate):
            answered += [await gate.post(key, stream=number % 2 == 0) for number in range(10)]
            await until_ready(gate, False)
            valve.open()
            answered.append(await finishing)
            answered += [await gate.post(key) for _ in range(10)]
            await others_are_told(gate, key)
        await until_ready(gate, True)
        answered += [await gate.post(key) for _ in range(3)]
        calls = len(upstream.requests)
        again = await gate.post(key, **{"idempotency-key": "finished-without-a-disk"})
        assert (again.content, again.headers["idempotent-replayed"]) == (answered[11].content, "true")
        assert {reply.status_code for reply in answered} == {200}
        assert len(upstream.requests) == calls == len(answered)
        gate.process.terminate()
        assert await gate.ended() == 0
    assert [row["call_id"] for row in read_ledger(tmp_path)] == sorted(reply.headers["x-request-id"] for reply in answered)
    said = levels(gate, "aldgate.ledger")
    assert said[0][0] == "error" and said[0][1].startswith("the ledger cannot be written; ")
    assert said[-1] == ("warning", "the ledger is being written again")


async def others_are_told(gate: Serving, key: str) -> None:
    """What needs the disk is 503 meanwhile, what does not answers."""
    assert (await gate.http.get("/health")).status_code == 200
    assert b"aldgate_ledger_failing 1" in (await gate.http.get("/metrics")).content
    refused = [
        await gate.http.post("/admin/keys", json={"name": "new"}),
        await gate.post(key, **{"idempotency-key": "new"}),
    ]
    assert [(reply.status_code, reply.headers["retry-after"]) for reply in refused] == [(503, "1")] * 2


@on_sqlite
async def test_a_call_that_was_not_recorded_is_not_made_twice(tmp_path: Path) -> None:
    config = FAST + 'durability = "strict"\non_failure = "refuse"\n'
    async with FakeUpstream() as upstream:
        async with serving(tmp_path, upstream, config) as gate:
            key = await gate.key(budget="1000/total")
            valves = [Valve(), Valve()]
            upstream.script(*map(faults.hang_before_head, valves))
            making = []
            for stream in (False, True):
                making.append(asyncio.create_task(gate.post(key, stream=stream, **{"idempotency-key": f"once-{stream}"})))
                await within(5, upstream.saw_requests(len(making)))
            with full_disk(gate):
                for valve in valves:
                    valve.open()
                whole, stream = await asyncio.gather(*making)
                assert (whole.status_code, whole.json()["error"]["code"]) == (503, "store_unavailable")
                assert stream.status_code == 200 and b"[DONE]" not in stream.content
                assert b'"code":"store_unavailable"' in stream.content.rstrip().splitlines()[-1]
                await repeated(gate, key, stream)
            await until_ready(gate, True)
            await repeated(gate, key, stream)
            gate.process.terminate()
            assert await gate.ended() == 0
        async with serving(tmp_path, upstream, config) as gate:
            await repeated(gate, key, stream)
        assert len(upstream.requests) == 2
    assert len(read_ledger(tmp_path)) == 2


async def repeated(gate: Serving, key: str, stream: httpx2.Response) -> None:
    """The answer that nobody got is not made anew; the stream that broke off comes as it was."""
    reply = await gate.post(key, stream=False, **{"idempotency-key": "once-False"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "idempotency_unknown")
    reply = await gate.post(key, stream=True, **{"idempotency-key": "once-True"})
    assert (reply.status_code, reply.content, reply.headers["idempotent-replayed"]) == (200, stream.content, "true")


@on_sqlite
async def test_a_full_disk_can_be_made_to_stop_everything(tmp_path: Path) -> None:
    config = FAST + 'durability = "strict"\non_failure = "refuse"\n'
    async with FakeUpstream() as upstream, serving(tmp_path, upstream, config) as gate:
        key = await gate.key(budget="1000/total")
        answered = [await gate.post(key)]
        with full_disk(gate):
            unrecorded = await gate.post(key)
            assert (unrecorded.status_code, unrecorded.json()["error"]["code"]) == (503, "store_unavailable")
            await until_ready(gate, False)
            for stream in (False, True):
                refused = await gate.post(key, stream=stream)
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
                assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("5", "true")
            assert len(upstream.requests) == 2
        await until_ready(gate, True)
        answered += [await gate.post(key, stream=stream) for stream in (False, True)]
        assert {reply.status_code for reply in answered} == {200}
    recorded = {row["call_id"] for row in read_ledger(tmp_path)}
    assert recorded == {reply.headers["x-request-id"] for reply in [*answered, unrecorded]}  # the provider did run that one
    assert levels(gate, "aldgate.ledger")[0][0] == "error"


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Somebody else is writing to the database."""
    with closing(sqlite3.connect(data / "aldgate.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@on_sqlite
async def test_nobody_waits_for_a_locked_database(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        key = await lab.gate.key(tpm=1_000_000, budget="1000/total")
        assert (await lab.post(HELLO, key)).status_code == 200  # now there is a slice, and the key is known
        with locked(tmp_path):
            began = time.monotonic()
            replies = [await lab.post({**HELLO, "stream": number % 2 == 0}, key) for number in range(20)]
            assert time.monotonic() - began < 3
        assert [reply.status_code for reply in replies] == [200] * 20
        assert len(await lab.rows()) == 21


@on_sqlite
async def test_strict_waits_for_the_row_before_the_last_byte(tmp_path: Path) -> None:
    async with running_lab(tmp_path, flags={"ledger.durability": "strict"}) as lab:
        with locked(tmp_path):
            waiting = [asyncio.create_task(lab.post({**HELLO, "stream": stream})) for stream in (False, True)]
            await within(2, lab.upstream.saw_requests(2))
            await settled(lab)
            assert [task.done() for task in waiting] == [False, False]
            assert read_ledger(tmp_path) == []
        replies: list[httpx2.Response] = await within(6, asyncio.gather(*waiting))
        assert [reply.status_code for reply in replies] == [200, 200]
        assert replies[1].content.endswith(b"data: [DONE]\n\n")
        recorded = {row["call_id"] for row in read_ledger(tmp_path)}  # not asking the gate to commit
        assert recorded == {reply.headers["x-request-id"] for reply in replies}


async def settled(lab: Lab) -> None:
    """Both calls have ended but for their rows, and some more turns of the loop have gone by."""
    async with asyncio.timeout(2):
        while "calls under way" in lab.left_over():
            await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)


async def test_an_upload_to_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream, serving(tmp_path, upstream, FAST) as gate:
        caller = Batcher(gate.http, await gate.key())
        assert (await caller.upload(b"x" * 50_000)).status_code == 200
        with full_disk(gate):
            refused = await caller.upload(b"y" * 50_000)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
            assert refused.headers["retry-after"] == "60"
            assert (await gate.http.get("/health")).status_code == 200
        assert (await caller.upload(b"z" * 50_000)).status_code == 200
        assert len((await caller.ask("GET", "/v1/files")).json()["data"]) == 2
    kept = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert len(kept) == 2 and not list((tmp_path / "artifacts" / "incoming").iterdir())


@on_sqlite
async def test_a_batch_outlives_a_full_disk(tmp_path: Path) -> None:
    valve = Valve()
    async with FakeUpstream() as upstream, serving(tmp_path, upstream, FAST) as gate:
        caller = Batcher(gate.http, await gate.key())
        upstream.script(*(faults.hang_before_head(valve) for _ in range(3)))
        batch = await caller.begin([line(f"{number}") for number in range(3)])
        await within(5, upstream.saw_requests(3))
        with full_disk(gate):
            valve.open()
            await until_ready(gate, False)
        ended = await caller.until(batch["id"])
        assert ended["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
        assert len(upstream.requests) == 3
