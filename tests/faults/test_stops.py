"""SIGTERM: no new calls; those under way may end, or are cut with a word; everything is settled and recorded."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.faults.lab import HELLO, Row, events_of, read_ledger, running_lab, within, words_in
from tests.faults.serving import Serving, serving
from tests.faults.wire import Wire, request, wire

STREAM = {**HELLO, "stream": True}


async def until_it_listens_no_more(gate: Serving) -> None:
    """New connections are refused from when the gate begins to stop."""
    async with asyncio.timeout(5):
        while True:
            try:
                async with wire(gate.port):
                    pass
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue  # the gate closed its listener with this one in its queue


async def first_event(connection: Wire) -> None:
    assert (await connection.read_head()).status == 200
    await within(5, connection.reader.readuntil(b"\n\n"))


def recorded(data: Path, call: dict[str, Any]) -> Row:
    return next(row for row in read_ledger(data) if row["stream"] == call.get("stream", False))


async def test_what_is_under_way_may_end(tmp_path: Path) -> None:
    valve = Valve()
    async with FakeUpstream() as upstream, serving(tmp_path, upstream, "[server]\ndrain_s = 15\n") as gate:
        key = await gate.key(concurrency=10, tpm=1000, budget="10/total")
        async with wire(gate.port) as streaming, wire(gate.port) as waiting, wire(gate.port) as idle:
            upstream.script(faults.stall_mid_stream(valve=valve), faults.hang_before_head(valve))
            streaming.send(request(key, STREAM))
            await first_event(streaming)
            waiting.send(request(key, HELLO))
            await within(5, upstream.saw_requests(2))
            gate.process.send_signal(signal.SIGTERM)
            await until_it_listens_no_more(gate)
            assert await idle.is_closed()
            assert gate.process.returncode is None
            valve.open()
            answer = await waiting.answer()
            assert (answer.status, answer.headers.get("connection")) == (200, "close")
            rest = await within(5, streaming.reader.read(-1))
            assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert await gate.ended() == 0
        assert "Traceback" not in gate.logged
    for call in (HELLO, STREAM):
        row = recorded(tmp_path, call)
        assert (row["status"], row["usage_source"], row["output_tokens"]) == (200, "reported", 5)


async def test_what_does_not_end_in_time_is_cut_and_settled(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream, serving(tmp_path, upstream, "[server]\ndrain_s = 0.3\n") as gate:
        key = await gate.key(concurrency=10, tpm=1000, budget="10/total")
        async with wire(gate.port) as streaming, wire(gate.port) as waiting:
            upstream.script(faults.stall_mid_stream(), faults.hang_before_head())
            streaming.send(request(key, STREAM))
            await first_event(streaming)
            waiting.send(request(key, HELLO))
            await within(5, upstream.saw_requests(2))
            gate.process.send_signal(signal.SIGTERM)
            answer = await waiting.answer()
            assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "shutting_down", "5")
            events = events_of(_unchunked(await within(5, streaming.reader.read(-1))))
            assert events[-1]["error"]["code"] == "shutting_down"
            assert "[DONE]" not in events
        assert await gate.ended() == 0
        assert "Traceback" not in gate.logged
        await within(1, upstream.saw_close(2))
    whole, streamed = recorded(tmp_path, HELLO), recorded(tmp_path, STREAM)
    for row in (whole, streamed):
        assert (row["status"], row["error_code"], row["usage_source"]) == (503, "shutting_down", "counted")
    assert (whole["output_tokens"], streamed["output_tokens"]) == (0, 2)
    assert words_in(events[:-1]) <= 2


def _unchunked(data: bytes) -> bytes:
    """The lines of a chunked body that are not chunk sizes; no event here has a line break in it."""
    return b"\n".join(line for line in data.split(b"\n") if line.startswith(b"data:"))


async def test_a_gate_that_was_stopped_starts_where_it_was(tmp_path: Path) -> None:
    prices, keys = '[prices."lab/gpt-4.1"]\nrequest = "0.01"\n', list[str]()
    async with running_lab(tmp_path, config=prices) as lab:
        keys += [await lab.gate.key(budget="0.10/total"), await lab.gate.key(rpm=3), await lab.gate.key(tpd=50)]
        assert [(await lab.post(HELLO, keys[0])).status_code for _ in range(4)] == [200] * 4
        assert [(await lab.post(HELLO, keys[1])).status_code for _ in range(4)] == [200] * 3 + [429]
        assert [(await lab.post(HELLO, keys[2])).status_code for _ in range(4)][-1] == 429
    async with running_lab(tmp_path, config=prices) as lab:
        # What was granted and not spent was given back.
        assert [(await lab.post(HELLO, keys[0])).status_code for _ in range(8)] == [200] * 6 + [402] * 2
        assert [(await lab.post(HELLO, key)).status_code for key in keys[1:]] == [429, 429]
