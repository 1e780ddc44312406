"""Calls leave nothing behind: neither what stays for ever nor knots of references that only the garbage collector undoes."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from aldgate.testing.upstream import FAULTS, FakeUpstream
from tests.support import RunningGate, lab, running_gate, uncollected

CALLS = 1000
"""Something per call would be at least as many; a timer, a table that grew or another batch of the ledger leaves some hundred."""
LIMITS = {"rpm": 10**9, "tpm": 10**12, "tpd": 10**12, "concurrency": 100, "budget": "1000000/month"}
BODY = b'{"model": "%b", "messages": [{"role": "user", "content": "hello"}]%b}'

Calls = Callable[[int], Awaitable[None]]


class Caller:
    """Sends one request again and again, and expects the same status each time."""

    def __init__(self, gate: RunningGate, key: str, body: bytes, status: int) -> None:
        self._port = gate.port
        self._request = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer %b\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
        ) % (key.encode(), len(body), body)
        self._status = b"HTTP/1.1 %d " % status

    async def kept_alive(self, calls: int) -> None:
        """All calls on one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        for _ in range(calls):
            await self._call(reader, writer)
        await _close(writer)

    async def anew(self, calls: int) -> None:
        """A connection for each call."""
        for _ in range(calls):
            await self.kept_alive(1)

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(self._status), head
        _, _, after = head.partition(b"content-length: ")
        if after:
            await reader.readexactly(int(after.partition(b"\r\n")[0]))
        else:
            await reader.readuntil(b"\r\n0\r\n\r\n")


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def objects_left(gate: RunningGate, make: Calls) -> tuple[int, int]:
    """Containers, and allocated blocks of all kinds, that are there after `CALLS` calls and were not before."""
    with uncollected():
        await make(CALLS)  # fills what has a bound: caches, pools, the free lists that a collection has emptied
        await gate.app.writer.committed()
        before = len(gc.get_objects()), sys.getallocatedblocks()
        await make(CALLS)
        await gate.app.writer.committed()
        after = len(gc.get_objects()), sys.getallocatedblocks()
    return after[0] - before[0], after[1] - before[1]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop the gate runs on where it can; transports of asyncio's own are knots themselves."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream(keep_requests=False) as upstream:
        yield upstream


KINDS = {
    "whole": (b"gpt-4.1", b"", 200, None),
    "stream": (b"gpt-4.1", b', "stream": true', 200, None),
    "builtin": (b"builtin/echo", b"", 200, None),
    "refused": (b"no-such-model", b"", 404, None),
    "provider refuses": (b"gpt-4.1", b"", 429, "status_429"),
    "reply breaks off": (b"gpt-4.1", b"", 502, "die_mid_body"),
    "stream breaks off": (b"gpt-4.1", b', "stream": true', 200, "die_mid_stream"),
    "fails over": (b"over", b"", 200, "status_400"),
    "fails everywhere": (b"nowhere", b"", 400, "status_400"),
}
"""Model, more of the body, status, fault of the provider."""
ROUTES = """
[routes.over]
deployments = ["lab/gpt-4.1"]
context_fallbacks = ["builtin/echo"]
[routes.nowhere]
deployments = ["lab/gpt-4.1"]
context_fallbacks = ["twin/gpt-4.1"]
"""


@pytest.mark.anyio
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_anew", [False, True], ids=["kept alive", "anew"])
async def test_calls_leave_nothing(
    tmp_path: Path, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture, kind: str, is_anew: bool
) -> None:
    caplog.set_level(logging.CRITICAL, logger="aldgate")  # else the log's records are kept for the test's report
    model, more, status, fault = KINDS[kind]
    if fault is not None:
        upstream.default = FAULTS[fault]()
    async with running_gate(tmp_path, providers=dict.fromkeys(("lab", "twin"), lab(upstream.url)), config=ROUTES) as gate:
        caller = Caller(gate, await gate.key(**LIMITS), BODY % (model, more), status)
        left = await objects_left(gate, caller.anew if is_anew else caller.kept_alive)
        assert max(left) < CALLS, left
