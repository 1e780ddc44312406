"""A batch and kill -9, a stop, an expiry: no line whose result was kept is called again, and none is billed twice."""

import asyncio
import json
import signal
import time
from collections import Counter
from pathlib import Path

import httpx2
import msgspec
import pytest

from aldgate.jobs.batch_run import BatchRun
from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.faults.lab import read_ledger, running_lab, within
from tests.faults.serving import Serving, serving
from tests.jobs.running import Batcher, line

pytestmark = pytest.mark.anyio
FOUR = "[batches]\nconcurrency = 4\n[ledger]\nwindow_s = 0.05\n"
LINES = [line(f"line-{number:02}") for number in range(24)]


def asked(upstream: FakeUpstream) -> Counter[str]:
    """How often each line was at the provider."""
    return Counter(request.json()["messages"][0]["content"] for request in upstream.requests)


async def until_counted(caller: Batcher, batch_id: str, count: int) -> None:
    async with asyncio.timeout(10):
        while (await caller.get(batch_id))["request_counts"]["completed"] < count:
            pass


async def a_batch_under_way(gate: Serving, upstream: FakeUpstream, valve: Valve | None = None) -> tuple[Batcher, str, list[str]]:
    """A batch of which twenty lines are done and four are with the provider, which says no more of them."""
    key = await gate.key(budget="10/total")
    caller = Batcher(gate.http, key)
    upstream.script(*(faults.split_every(10_000) for _ in range(20)), *(faults.hang_before_head(valve) for _ in range(4)))
    batch = await caller.begin(LINES)
    await within(10, upstream.saw_requests(24))
    await until_counted(caller, batch["id"], 20)
    return caller, key, [batch["id"], *(request.json()["messages"][0]["content"] for request in upstream.requests[20:])]


async def test_a_killed_gate_goes_on_where_it_was(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream:
        async with serving(tmp_path, upstream, FOUR) as gate:
            _, key, (batch_id, *cut) = await a_batch_under_way(gate, upstream)
            await gate.ended(signal.SIGKILL)
        async with serving(tmp_path, upstream, FOUR) as gate:
            caller = Batcher(gate.http, key)
            batch = await caller.until(batch_id)
            assert (batch["status"], batch["error_file_id"]) == ("completed", None)
            assert batch["request_counts"] == {"total": 24, "completed": 24, "failed": 0}
            found = await caller.results(batch["output_file_id"])
            await gate.ended(signal.SIGTERM)
    assert {name: each["attempt"] for name, each in found.items() if "attempt" in each} == dict.fromkeys(cut, 2)
    assert asked(upstream) == Counter(found.keys()) + Counter(cut)
    rows = read_ledger(tmp_path)
    billed = [row["call_id"] for row in rows if row["status"] == 200]
    ids = {each["response"]["request_id"] for each in found.values()}
    # What was settled in the ledger's last window may be lost with the process; nothing is there twice, nothing is foreign.
    assert len(billed) == len(set(billed)) and set(billed) <= ids
    assert len(ids) == 24 and len(billed) >= 4


async def test_a_line_is_called_twice_at_most(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream:
        async with serving(tmp_path, upstream, FOUR) as gate:
            _, key, (batch_id, *cut) = await a_batch_under_way(gate, upstream)
            await gate.ended(signal.SIGKILL)
        upstream.requests.clear()
        upstream.script(*(faults.hang_before_head() for _ in range(4)))
        async with serving(tmp_path, upstream, FOUR) as gate:
            await within(10, upstream.saw_requests(4))
            await gate.ended(signal.SIGKILL)
        async with serving(tmp_path, upstream, FOUR) as gate:
            caller = Batcher(gate.http, key)
            batch = await caller.until(batch_id)
            assert batch["request_counts"] == {"total": 24, "completed": 20, "failed": 4}
            failed = await caller.results(batch["error_file_id"])
    assert sorted(failed) == sorted(cut)
    assert {(each["response"], each["error"]["code"]) for each in failed.values()} == {(None, "request_interrupted")}
    assert asked(upstream) == Counter(cut)


async def test_a_gate_that_is_stopped_lets_lines_end(tmp_path: Path) -> None:
    valve = Valve()
    async with FakeUpstream() as upstream:
        async with serving(tmp_path, upstream, FOUR) as gate:
            key = await gate.key()
            caller = Batcher(gate.http, key)
            upstream.script(*(faults.hang_before_head(valve) for _ in range(4)))
            batch_id = (await caller.begin(LINES))["id"]
            await within(10, upstream.saw_requests(4))
            gate.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                while True:
                    try:
                        await gate.http.get("/health")
                    except httpx2.TransportError:
                        break
            valve.open()
            assert await gate.ended() == 0
            assert "Traceback" not in gate.logged, gate.logged
        assert len(upstream.requests) == 4
        async with serving(tmp_path, upstream, FOUR) as gate:
            caller = Batcher(gate.http, key)
            found = await caller.results((await caller.until(batch_id))["output_file_id"])
            await gate.ended(signal.SIGTERM)
    assert not any("attempt" in each for each in found.values())
    assert asked(upstream) == Counter(found.keys())
    assert len(read_ledger(tmp_path)) == len(found) == 24


async def test_a_batch_that_takes_too_long_expires(tmp_path: Path) -> None:
    async with running_lab(tmp_path, flags={"batches.concurrency": "4"}) as lab:
        worker, ahead, valve = lab.gate.app.batches, [0.0], Valve()
        worker._shop = msgspec.structs.replace(worker._shop, now=lambda: time.time() + ahead[0])
        caller = Batcher(lab.gate.http, await lab.gate.key())
        lab.upstream.script(*(faults.hang_before_head(valve) for _ in range(4)))
        batch = await caller.begin(LINES, output_expires_after={"anchor": "created_at", "seconds": 3_600})
        assert batch["expires_at"] == batch["created_at"] + 86_400
        await within(5, lab.upstream.saw_requests(4))
        ahead[0] = 86_401
        worker.nudge(batch["id"])
        await until_halted(worker._runs[batch["id"]])
        valve.open()
        ended = await caller.until(batch["id"])
        assert (ended["status"], ended["request_counts"]) == ("expired", {"total": 24, "completed": 4, "failed": 20})
        assert ended["expired_at"] >= batch["expires_at"]
        late = await caller.results(ended["error_file_id"])
        assert {(each["response"], each["error"]["code"]) for each in late.values()} == {(None, "batch_expired")}
        kept = (await caller.ask("GET", f"/v1/files/{ended['output_file_id']}")).json()
        assert kept["expires_at"] == kept["created_at"] + 3_600
        assert len(lab.upstream.requests) == 4


async def until_halted(run: BatchRun) -> None:
    async with asyncio.timeout(5):
        await run._halt.wait()


FAULTS = {
    "breaks": (faults.die_mid_body, "upstream_broken"),
    "garbage": (faults.error_page, "upstream_error"),
    "wrong credential": (lambda: faults.status(401), "upstream_auth"),
    "no credit": (faults.quota_exhausted, "upstream_rate_limited"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_providers_fault_fails_its_line_alone(tmp_path: Path, name: str) -> None:
    fault, code = FAULTS[name]
    async with running_lab(tmp_path, flags={"batches.concurrency": "1"}) as lab:
        caller = Batcher(lab.gate.http, await lab.gate.key())
        lab.upstream.script(fault())
        batch = await caller.run(LINES[:3])
        assert (batch["status"], batch["request_counts"]) == ("completed", {"total": 3, "completed": 2, "failed": 1})
        (failed,) = (await caller.results(batch["error_file_id"])).values()
        assert (failed["custom_id"], failed["response"]["body"]["error"]["code"]) == ("line-00", code)
        assert json.dumps(failed).count("sk-lab") == 0
