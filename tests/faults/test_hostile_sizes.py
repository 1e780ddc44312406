"""Too much: heads, bodies, bytes in flight, connections, pipelined requests."""

import asyncio
import json
from pathlib import Path

import pytest

from aldgate.surfaces.server.listener import Bounds
from aldgate.testing.upstream import Asked, Play, Step, Valve, faults
from tests.faults.lab import CHAT, HELLO, Lab, running_lab, within
from tests.faults.wire import credentials, head, request, wire
from tests.support import ADMIN_KEY

LINE, HOST = f"POST {CHAT} HTTP/1.1", "host: gate"
SMALL = Bounds(max_head_bytes=4096, max_connections=3)

TIGHT = {"server.max_inflight_bytes": "1000000", "server.max_body_bytes": "1000000"}

LARGE_HEADS = {
    "one header": [LINE, HOST, "x-a: " + "x" * 4096],
    "many headers": [LINE, HOST, *(f"x-{number}: y" for number in range(500))],
    "the target": [LINE.replace(" HTTP", f"?{'x' * 4096} HTTP"), HOST],
}


@pytest.mark.parametrize("name", LARGE_HEADS)
@pytest.mark.parametrize("part", [slice(None), slice(4500)], ids=["complete", "endless"])
async def test_a_head_over_its_bound_is_431(name: str, part: slice, tmp_path: Path) -> None:
    data = head(*LARGE_HEADS[name], *credentials(ADMIN_KEY), "content-length: 2") + b"{}"
    async with running_lab(tmp_path, bounds=SMALL) as lab, wire(lab.gate.port) as connection:
        connection.send(data[part])
        answer = await connection.answer()
        assert (answer.status, answer.code, answer.headers["connection"]) == (431, "head_too_large", "close")
        assert await connection.is_closed()


async def test_whoever_sends_on_gets_to_read_the_431(tmp_path: Path) -> None:
    async with running_lab(tmp_path, bounds=SMALL) as lab, wire(lab.gate.port) as connection:
        connection.send(b"GET / HTTP/1.1\r\nx: " + b"x" * 5_000_000)
        assert (await connection.answer()).status == 431
        assert await connection.is_closed()


async def test_a_head_within_its_bound_is_read_whatever_follows_it(tmp_path: Path) -> None:
    async with running_lab(tmp_path, bounds=SMALL) as lab, wire(lab.gate.port) as connection:
        for _ in range(2):
            connection.send(request(ADMIN_KEY, {**HELLO, "user": "x" * 100_000}, "x-a: " + "x" * 3500))
            assert (await connection.answer()).status == 200


@pytest.mark.parametrize("sent", [0, 1000, 5_000_000])
async def test_a_body_that_says_it_is_too_large_is_not_read(sent: int, tmp_path: Path) -> None:
    """Also who goes on sending gets to read why nobody listens."""
    async with running_lab(tmp_path, flags={"server.max_body_bytes": "1000"}) as lab, wire(lab.gate.port) as connection:
        connection.send(head(LINE, HOST, *credentials(ADMIN_KEY), "content-length: 10000000") + b" " * sent)
        answer = await connection.answer()
        assert (answer.status, answer.code, answer.headers["connection"]) == (413, "body_too_large", "close")
        assert answer.headers["x-should-retry"] == "false"
        assert await connection.is_closed()
        await lab.is_quiet()


async def test_a_body_of_the_largest_size_is_taken(tmp_path: Path) -> None:
    spare = 1000 - len(json.dumps({**HELLO, "user": ""}))
    async with running_lab(tmp_path, flags={"server.max_body_bytes": "1000"}) as lab:
        assert (await lab.post({**HELLO, "user": "x" * spare})).status_code == 200
        assert (await lab.post({**HELLO, "user": "x" * (spare + 1)})).status_code == 413
        assert [len(each.body) for each in lab.upstream.requests] == [1000]


async def test_a_body_that_turns_out_too_large_is_read_no_further(tmp_path: Path) -> None:
    async with running_lab(tmp_path, flags={"server.max_body_bytes": "1000"}) as lab, wire(lab.gate.port) as connection:
        connection.send(head(LINE, HOST, *credentials(ADMIN_KEY), "transfer-encoding: chunked"))
        connection.send(b"1f4\r\n%s\r\n" % (b" " * 500))
        connection.send(b"1f5\r\n%s\r\n" % (b" " * 501))
        answer = await connection.answer()  # there is no last chunk
        assert (answer.status, answer.code, answer.headers["connection"]) == (413, "body_too_large", "close")
        assert await connection.is_closed()
        await lab.is_quiet()


async def test_bytes_in_flight_are_bounded_over_all_callers(tmp_path: Path) -> None:
    valve = Valve()
    large = {**HELLO, "user": "x" * 600_000}
    async with running_lab(tmp_path, flags=TIGHT) as lab:
        lab.upstream.script(faults.hang_before_head(valve))
        first = asyncio.create_task(lab.post(large))
        await within(2, lab.upstream.saw_requests())
        assert lab.left_over()["request bytes"] == len(json.dumps(large))
        for refused in await asyncio.gather(lab.post(large), lab.post({**large, "stream": True})):
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
            assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("1", "true")
        assert (await lab.gate.http.get("/health")).status_code == 200
        assert (await lab.gate.http.get("/admin/keys")).status_code == 200
        assert (await lab.gate.http.post("/admin/keys", json={"name": "new"})).status_code == 201
        assert (await lab.post(HELLO)).status_code == 200
        valve.open()
        assert (await first).status_code == 200
        assert (await lab.post(large)).status_code == 200
        await lab.is_quiet()


async def test_half_a_body_counts_as_what_has_come(tmp_path: Path) -> None:
    async with running_lab(tmp_path, flags=TIGHT) as lab:
        data = request(ADMIN_KEY, {**HELLO, "user": "x" * 900_000})
        async with wire(lab.gate.port) as connection:
            connection.send(data[:800_000])
            await within(2, holds(lab, 700_000))
            assert (await lab.post({**HELLO, "user": "x" * 400_000})).status_code == 503
            connection.send(data[800_000:])
            assert (await connection.answer()).status == 200
        await lab.is_quiet()


async def holds(lab: Lab, count: int) -> None:
    while lab.left_over().get("request bytes", 0) < count:
        await asyncio.sleep(0)


async def test_connections_are_bounded(tmp_path: Path) -> None:
    async with running_lab(tmp_path, bounds=SMALL) as lab:
        async with wire(lab.gate.port) as one, wire(lab.gate.port) as two, wire(lab.gate.port) as three:
            for connection in (one, two, three):
                connection.send(request(ADMIN_KEY, HELLO))
                assert (await connection.answer()).status == 200
            async with wire(lab.gate.port) as fourth:
                fourth.send(request(ADMIN_KEY, HELLO))
                answer = await fourth.answer()
                assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "overloaded", "1")
                assert await fourth.is_closed()
            one.send(request(ADMIN_KEY, HELLO))
            assert (await one.answer()).status == 200
        assert (await lab.post(HELLO)).status_code == 200


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    names = [f"model-{number}" for number in range(20)]
    async with running_lab(tmp_path, models=names) as lab, wire(lab.gate.port) as connection:
        lab.upstream.script(faults.slow_drip(every_s=0.0001))
        connection.send(b"".join(request(ADMIN_KEY, {**HELLO, "model": name}) for name in names))
        answers = [await connection.answer() for _ in names]
        assert [answer.json()["model"] for answer in answers] == names
        await lab.is_quiet()


class Counting:
    """An endless stream that counts what it was able to write."""

    def __init__(self) -> None:
        self.written = 0

    def play(self, asked: Asked) -> Play:
        for piece in faults.endless_stream().play(asked):
            self.written += len(piece) if isinstance(piece, bytes) else 0
            yield piece

    async def has_stopped(self) -> None:
        """Until nothing could be written for 2,000 turns of the loop."""
        idle = 0
        while idle < 2000:
            before = self.written
            await asyncio.sleep(0)
            idle = idle + 1 if self.written == before else 0


async def test_a_caller_who_stops_reading_stops_the_provider(tmp_path: Path) -> None:
    """Nothing piles up in the gate: the provider is read as fast as the caller reads."""
    stream = Counting()
    async with running_lab(tmp_path) as lab, wire(lab.gate.port) as connection:
        lab.upstream.script(Step("counting", stream.play))
        connection.send(request(ADMIN_KEY, {**HELLO, "stream": True}))
        assert (await connection.read_head()).status == 200
        connection.writer.transport.pause_reading()
        await within(20, stream.has_stopped())
        assert 100_000 < stream.written < 40_000_000  # what the sockets' own buffers take
        stopped_at = stream.written
        connection.writer.transport.resume_reading()
        while stream.written == stopped_at:
            await within(2, connection.reader.readuntil(b"\n\n"))
        connection.leave()
        await within(1, lab.upstream.saw_close())
        await lab.is_quiet()
        row = (await lab.rows())[-1]
        assert (row["status"], row["error_code"]) == (499, "client_gone")
        assert row["output_tokens"] > 1000
