"""Gates as operators run several: processes of their own that share a PostgreSQL server, and no more than that.

Each listens on a loopback address of its own, as on a machine of its own, and has a data directory of its own.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

import aldgate
from aldgate.testing.upstream import FakeUpstream
from tests.support import ADMIN_KEY

PATIENCE_S = 30.0
CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {"model": "lab/gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
CENT = '[prices."lab/gpt-4.1"]\nrequest = "0.01"\n'
"""Each call costs this, whatever it says."""
PATIENT = "[limits]\nrecall_ms = 20000\n"
"""A machine that tests load is slow to return what it does not hold."""


class Host:
    """A running gate, of one process or of several.

    Attributes:
        http: A client with the admin key and `base_url` set.
        banner: What it wrote to standard output.
        logged: What it wrote to standard error.
    """

    def __init__(self, process: asyncio.subprocess.Process, file: Path) -> None:
        self.process = process
        self.file = file
        self.banner = ""
        self.logged = ""
        self.http: httpx2.AsyncClient
        self._reading = [asyncio.create_task(self._log()), asyncio.create_task(self._show())]
        self._has_shown = asyncio.Event()

    async def _log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.logged += line.decode()

    async def _show(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.banner += line.decode()
            if "/v1/chat/completions" in self.banner:
                self._has_shown.set()
        self._has_shown.set()

    async def until_ready(self) -> None:
        """Until its banner is complete."""
        async with asyncio.timeout(PATIENCE_S):
            await self._has_shown.wait()
        found = re.search(r"http://\S+:\d+", self.banner)
        assert found is not None, self.logged
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        self.url = found[0]
        self.http = httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=PATIENCE_S, trust_env=False, limits=limits)

    async def key(self, name: str = "test", **wanted: object) -> str:
        """Make a key and return its secret."""
        reply = await self.http.post("/admin/keys", json={"name": name, **wanted})
        assert reply.status_code == 201, reply.text
        return reply.json()["key"]

    async def post(self, key: str, stream: bool = False, **headers: str) -> httpx2.Response:
        """A chat completion, read to its end."""
        headers["authorization"] = f"Bearer {key}"
        return await self.http.post(CHAT, json={**HELLO, "stream": stream}, headers=headers)

    async def revoke(self, name: str) -> None:
        """Revoke the keys of this name."""
        for key in (await self.http.get("/admin/keys")).json()["keys"]:
            if key["name"] == name:
                assert (await self.http.delete(f"/admin/keys/{key['id']}")).status_code == 200

    async def metrics(self) -> dict[str, float]:
        """Samples of `/metrics`, by name and labels."""
        lines = (await self.http.get("/metrics")).text.splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def workers(self) -> list[int]:
        """The ids of its worker processes, by age."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return sorted(map(int, children.split()))

    async def ended(self, number: signal.Signals | None = None) -> int:
        """Send it a signal, if one is given, and wait until it has ended; returns its exit code."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
            await asyncio.gather(*self._reading)
        return code


async def until(what: Callable[[], Awaitable[bool]], within_s: float = PATIENCE_S) -> None:
    """Ask until it is so."""
    async with asyncio.timeout(within_s):
        while not await what():
            await asyncio.sleep(0)


@asynccontextmanager
async def host(
    data: Path, upstream: FakeUpstream, store: str, *, address: str = "127.0.0.1", workers: int = 1, config: str = "", **more: str
) -> AsyncIterator[Host]:
    """Start a gate in front of `upstream`, and see that it is gone at the end."""
    data.mkdir(parents=True, exist_ok=True)
    file = data / "aldgate.toml"
    provider = f'\n[providers.lab]\nbase_url = "{upstream.url}"\nmodels = ["gpt-4.1"]\napi_key = "env:LAB_KEY"\n'
    file.write_text(config + provider, encoding="utf-8")
    places = ("--host", address, "--port", "0", "--data", str(data), "--config", str(file), "--workers", str(workers))
    environment = {
        "ALDGATE_ADMIN_KEY": ADMIN_KEY,
        "ALDGATE_DISCOVERY_LOCAL": "false",
        "ALDGATE_STORE": store,
        "LAB_KEY": "sk-lab",
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aldgate.cli.main", "serve", *places),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=data,
        env={**inherited(), **{name: value for name, value in environment.items() if value}},
    )
    gate = Host(process, file)
    try:
        await gate.until_ready()
        yield gate
    finally:
        if hasattr(gate, "http"):
            await gate.http.aclose()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM if workers > 1 else signal.SIGKILL)
        await gate.ended()


@asynccontextmanager
async def hosts(
    data: Path,
    upstream: FakeUpstream,
    store: str,
    count: int,
    config: str = "",
    own: Sequence[Mapping[str, str]] = (),
    **more: str,
) -> AsyncIterator[list[Host]]:
    """Several gates, at 127.0.0.1, 127.0.0.2 and so on, that have all seen each other. `own`: each one's own environment."""
    async with AsyncExitStack() as stack:
        started = [
            host(data / str(number), upstream, store, address=f"127.0.0.{number + 1}", config=config, **more, **each)
            for number, each in zip(range(count), own or [{}] * count, strict=True)
        ]
        made = [await stack.enter_async_context(each) for each in started]
        for each in made:
            await until(lambda each=each: _sees(each, count))
        yield made


async def _sees(gate: Host, count: int) -> bool:
    return (await gate.metrics())["aldgate_processes"] == count


def inherited() -> Mapping[str, str]:
    """What a process needs of this one's environment."""
    source = str(Path(aldgate.__file__).parents[1])
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return {**kept, "PYTHONPATH": source}
