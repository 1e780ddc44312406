"""What a thousand live watchers of one job cost while nothing about it changes."""

import asyncio
import json
import urllib.request
from contextlib import AsyncExitStack

import websockets

from bench.contestants import Running, aldgate, upstream
from bench.report import Line
from bench.rows import Plan, Row

WATCHERS, IDLE_S = 1_000, 10.0
AT_ONCE = 50
ENDLESS = "[engines.builtin]\npace_ms = 60000\n"
"""Each step of a drawing takes a minute, so that the job is running all the while."""


async def watching(plan: Plan) -> list[Line]:
    """CPU of the gate over ten seconds in which a running job has a thousand watchers, as a part of one core."""
    with upstream(0) as lab, aldgate(lab, config=ENDLESS) as gate:
        bare = await _busy(gate)
        path = await asyncio.to_thread(_begin, gate)
        async with AsyncExitStack() as stack:
            sockets: list[websockets.ClientConnection] = []
            for _ in range(0, WATCHERS, AT_ONCE):
                opened = (stack.enter_async_context(_connect(gate, path)) for _ in range(AT_ONCE))
                sockets += await asyncio.gather(*opened)
            for socket in sockets:
                assert json.loads(await socket.recv())["status"] in ("pending", "running")
            parts = [await _busy(gate) for _ in range(plan.repeat)]
            memory = gate.process.rss_kb() / 1024
    note = f"{bare:.2%} without watchers, {memory:,.0f} MiB with them, rounds {', '.join(f'{part:.2%}' for part in parts)}"
    value = 100 * sorted(parts)[len(parts) // 2]
    label = f"{WATCHERS:,} watchers of a running job, nothing new"
    return [Line(row="watching", label=label, value=value, unit="% of a core", bar=10, note=note, raw=parts)]


async def _busy(gate: Running) -> float:
    before = gate.process.cpu_s()
    await asyncio.sleep(IDLE_S)
    return (gate.process.cpu_s() - before) / IDLE_S


def _begin(gate: Running) -> str:
    headers = {"X-API-Key": gate.key, "Content-Type": "application/json"}
    body = b'{"prompt": "a gate at night", "engine": "builtin"}'
    request = urllib.request.Request(f"http://127.0.0.1:{gate.port}/generate/image", body, headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return f"/ws/jobs/{json.load(reply)['job_id']}"


def _connect(gate: Running, path: str) -> websockets.connect:
    url = f"ws://127.0.0.1:{gate.port}{path}"
    return websockets.connect(url, additional_headers={"x-api-key": gate.key}, proxy=None, ping_interval=None)


ROWS: dict[str, Row] = {"watching": watching}
