"""SIGHUP: the configuration is read again, streams under way go on, and a bad file is logged and changes nothing."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from aldgate.testing.upstream import FakeUpstream, Reply, Valve, faults
from tests.faults.lab import CHAT, HELLO, within
from tests.faults.serving import Serving, serving
from tests.faults.wire import request, wire

UNWATCHED = "[reload]\nwatch = false\n"


async def logs(gate: Serving, text: str) -> None:
    async with asyncio.timeout(10):
        while text not in gate.logged:
            await asyncio.sleep(0)


async def test_a_hangup_reads_the_configuration_again(tmp_path: Path) -> None:
    valve = Valve()
    file = tmp_path / "aldgate.toml"
    async with FakeUpstream() as old, FakeUpstream(reply=Reply(text="new")) as new:
        async with serving(tmp_path, old, UNWATCHED) as gate, wire(gate.port) as streaming:
            key = await gate.key()
            old.script(faults.stall_mid_stream(valve=valve))
            streaming.send(request(key, {**HELLO, "stream": True}))
            await within(5, streaming.read_head())
            good = file.read_text().replace(old.url, new.url)
            file.write_text(good)
            gate.process.send_signal(signal.SIGHUP)
            await logs(gate, '"applied": ["providers.lab"]')
            assert (await gate.post(key)).json()["choices"][0]["message"]["content"] == "new"
            file.write_text("[server")
            gate.process.send_signal(signal.SIGHUP)
            await logs(gate, "nothing has changed: ")
            assert (await gate.http.post(CHAT, json=HELLO)).status_code == 200
            valve.open()
            assert b"data: [DONE]" in await within(5, streaming.reader.readuntil(b"[DONE]"))
            assert await gate.ended(signal.SIGTERM) == 0
            assert "Traceback" not in gate.logged
