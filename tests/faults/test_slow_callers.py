"""Callers who send slowly or nothing: they get their time and no more, and cost nobody else any."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from aldgate.surfaces.server.listener import Bounds
from aldgate.testing.upstream import Valve, faults
from tests.faults.lab import CHAT, HELLO, Lab, running_lab, within
from tests.faults.wire import Answer, Wire, credentials, head, request, wire
from tests.support import ADMIN_KEY

IMPATIENT = Bounds(head_timeout_s=0.2, body_min_bytes_per_s=10_000, keep_alive_s=0.3)
HEAD = head(f"POST {CHAT} HTTP/1.1", "host: gate", *credentials(ADMIN_KEY), "content-length: 100000")


@pytest.fixture(scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path_factory.mktemp("gate"), bounds=IMPATIENT) as lab:
        yield lab


async def trickle(connection: Wire, data: bytes) -> None:
    """Send a byte now and then: the slow caller's way, not a way to wait."""
    for number in count():
        if connection.writer.transport.is_closing():
            return
        connection.send(data[number : number + 1])
        await asyncio.sleep(0.02)


async def refusal(lab: Lab, first: bytes, then: bytes = b"") -> Answer:
    """What a caller gets who sends `first` at once and `then` slowly."""
    async with wire(lab.gate.port) as connection, asyncio.TaskGroup() as group:
        connection.send(first)
        sending = group.create_task(trickle(connection, then))
        answer = await connection.answer()
        sending.cancel()
        assert await connection.is_closed()
        return answer


SLOW = {
    "a head that stops": (HEAD[:-4], b""),
    "a head that trickles": (b"GET", b" / HTTP/1.1\r\nx: " + b"x" * 10_000),
    "a first line that is none": (b"GET /\r\n", b""),
    "a body that does not come": (HEAD, b""),
    "a body that stops": (HEAD + b"{" * 1000, b""),
    "a body that trickles": (HEAD, b"{" * 10_000),
    "chunks that trickle": (HEAD.replace(b"content-length: 100000", b"transfer-encoding: chunked"), b"1\r\n{\r\n" * 10_000),
}


async def test_whoever_sends_too_slowly_is_408(lab: Lab) -> None:
    seen = len(lab.upstream.requests)
    answers = await within(5, asyncio.gather(*(refusal(lab, first, then) for first, then in SLOW.values())))
    assert [(answer.status, answer.code, answer.headers["connection"]) for answer in answers] == [
        (408, "request_timeout", "close") for _ in SLOW
    ]
    assert len(lab.upstream.requests) == seen
    await lab.is_quiet()


async def test_idle_connections_are_closed_without_a_word(lab: Lab) -> None:
    async with wire(lab.gate.port) as unused, wire(lab.gate.port) as used:
        used.send(request(ADMIN_KEY, HELLO))
        assert (await used.answer()).status == 200
        assert await asyncio.gather(unused.is_closed(), used.is_closed()) == [True, True]


async def test_a_slow_provider_is_not_held_against_its_caller(lab: Lab) -> None:
    """All the gate's patience with callers runs out while these calls wait, one with a body that came in parts."""
    valve, seen = Valve(), len(lab.upstream.requests)
    lab.upstream.script(*(faults.hang_before_head(valve) for _ in range(2)))
    data = request(ADMIN_KEY, {**HELLO, "user": "x" * 200_000})
    async with wire(lab.gate.port) as one, wire(lab.gate.port) as two:
        one.send(request(ADMIN_KEY, HELLO))
        two.send(data[:100_000])
        two.send(data[100_000:])
        await within(2, lab.upstream.saw_requests(seen + 2))
        await refusal(lab, HEAD)  # the sweep has been here
        await refusal(lab, HEAD)
        valve.open()
        assert [(await each.answer()).status for each in (one, two)] == [200, 200]


async def test_slow_callers_are_cut_off_from_large_bodies_too(tmp_path: Path) -> None:
    """More than flow control holds at once, and then silence."""
    fast = Bounds(head_timeout_s=0.2, body_min_bytes_per_s=200_000)
    async with running_lab(tmp_path, bounds=fast) as lab:
        answer = await refusal(lab, HEAD.replace(b"100000", b"10000000") + b" " * 200_000)
        assert (answer.status, answer.code) == (408, "request_timeout")
        await lab.is_quiet()
