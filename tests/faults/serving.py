"""`aldgate serve` as a process of its own, to be stopped, killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

import aldgate
from aldgate.testing.upstream import FakeUpstream
from tests.databases import environment_of, let_leases_lapse
from tests.faults.lab import CHAT, HELLO
from tests.support import ADMIN_KEY

PATIENCE_S = 20


class Serving:
    """A running process.

    Attributes:
        http: A client with the admin key and `base_url` set.
        logged: What it wrote to standard error, complete once `ended` has returned.
    """

    def __init__(self, process: asyncio.subprocess.Process, data: Path) -> None:
        self.process = process
        self._data = data
        self.logged = ""
        self.http: httpx2.AsyncClient
        self._logging = asyncio.create_task(self._log())

    async def _log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.logged += line.decode()

    async def until_ready(self) -> None:
        """Until its banner says where it listens."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            async for line in self.process.stdout:
                if b"listening on" in line:
                    break
        assert self.process.returncode is None, self.logged
        url = line.split()[-1].decode()
        self.port = int(url.rpartition(":")[2])
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        self.http = httpx2.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False)

    async def key(self, **wanted: object) -> str:
        """Make a key and return its secret."""
        reply = await self.http.post("/admin/keys", json={"name": "test", **wanted})
        assert reply.status_code == 201, reply.text
        return reply.json()["key"]

    async def post(self, key: str, stream: bool = False, **headers: str) -> httpx2.Response:
        """A chat completion, read to its end."""
        headers["authorization"] = f"Bearer {key}"
        return await self.http.post(CHAT, json={**HELLO, "stream": stream}, headers=headers)

    async def ended(self, number: signal.Signals | None = None) -> int:
        """Send it a signal, if one is given, and wait until it has ended; returns its exit code. A killed one is forgotten."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
            await self._logging
        if number == signal.SIGKILL:
            await asyncio.to_thread(let_leases_lapse, self._data)
        return code


@asynccontextmanager
async def serving(data: Path, upstream: FakeUpstream, config: str = "", **environment: str) -> AsyncIterator[Serving]:
    """Start a gate on `data` in front of `upstream`, and see that it is gone at the end."""
    file = data / "aldgate.toml"
    providers = f'\n[providers.lab]\nbase_url = "{upstream.url}"\nmodels = ["gpt-4.1"]\n'
    file.write_text(config + providers, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aldgate.cli.main", "serve", "--port", "0", "--data", str(data), "--config", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=data,
        env={**_inherited(data), "ALDGATE_ADMIN_KEY": ADMIN_KEY, "ALDGATE_DISCOVERY_LOCAL": "false", **environment},
    )
    gate = Serving(process, data)
    try:
        await gate.until_ready()
        yield gate
    finally:
        if hasattr(gate, "http"):
            await gate.http.aclose()
        if process.returncode is None:
            process.kill()
        await gate.ended()


def _inherited(data: Path) -> Mapping[str, str]:
    source = str(Path(aldgate.__file__).parents[1])
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")}
    return {**kept, **environment_of(data), "PYTHONPATH": source}
