"""Stopping: calls under way may end, a second signal does not wait for them."""

import asyncio
from pathlib import Path

import pytest

from tests.support import running_gate

SLOW = "[engines.echo]\nfirst_byte_ms = 600000\n"
CALL = {"model": "builtin/echo", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.anyio
async def test_a_second_signal_cuts_what_is_under_way(tmp_path: Path) -> None:
    async with running_gate(tmp_path, config=SLOW) as gate:
        call = asyncio.create_task(gate.http.post("/v1/chat/completions", json=CALL))
        while not gate.app.gate.under_way:
            await asyncio.sleep(0)
        gate.app.gate.is_draining = True
        draining = asyncio.create_task(gate.server.drain(600))
        while gate.server._servers[0].is_serving():
            await asyncio.sleep(0)
        assert not draining.done()
        gate.server.stop()
        async with asyncio.timeout(10):
            await draining
        assert (await asyncio.gather(call, return_exceptions=True))[0]
        assert not gate.app.gate.under_way
