"""A response in the background and kill -9, or a stop: nothing stays in progress for ever."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.faults.lab import read_ledger, within
from tests.faults.serving import Serving, serving

pytestmark = pytest.mark.anyio
ASKED = {"model": "lab/gpt-4.1", "input": "hello", "background": True}


async def begin(gate: Serving, upstream: FakeUpstream, key: str) -> dict[str, Any]:
    made = await gate.http.post("/v1/responses", json=ASKED, headers={"authorization": f"Bearer {key}"})
    assert (made.status_code, made.json()["status"]) == (200, "queued")
    await within(10, upstream.saw_requests(1))
    return made.json()


async def fetch(gate: Serving, key: str, made: dict[str, Any]) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {key}"}
    return (await gate.http.get(f"/v1/responses/{made['id']}", headers=headers)).json()


async def test_what_a_killed_gate_was_making_has_failed(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream:
        upstream.script(faults.hang_before_head())
        async with serving(tmp_path, upstream) as gate:
            key = await gate.key()
            made = await begin(gate, upstream, key)
            assert (await fetch(gate, key, made))["status"] == "in_progress"
            await gate.ended(signal.SIGKILL)
        async with serving(tmp_path, upstream) as gate:
            lost = await fetch(gate, key, made)
            assert (lost["status"], lost["error"]["code"]) == ("failed", "server_error")
            cancel = f"/v1/responses/{made['id']}/cancel"
            again = await gate.http.post(cancel, headers={"authorization": f"Bearer {key}"})
            assert (again.status_code, again.json()) == (200, lost)
            await gate.ended(signal.SIGTERM)
        assert len(upstream.requests) == 1


async def test_a_gate_that_is_stopped_lets_it_end(tmp_path: Path) -> None:
    valve = Valve()
    async with FakeUpstream() as upstream:
        upstream.script(faults.hang_before_head(valve))
        async with serving(tmp_path, upstream) as gate:
            key = await gate.key()
            made = await begin(gate, upstream, key)
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
        async with serving(tmp_path, upstream) as gate:
            assert (await fetch(gate, key, made))["status"] == "completed"
            await gate.ended(signal.SIGTERM)
    (row,) = read_ledger(tmp_path)
    assert row["status"] == 200
