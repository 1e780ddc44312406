"""The caller leaves: the provider sees it at once, what was delivered is billed, nothing is left over."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.upstream import Step, Valve, faults
from tests.faults.lab import HELLO, Lab, Row, running_lab, within
from tests.faults.wire import Wire, request, wire

STREAM = {**HELLO, "stream": True}
LARGE = {**HELLO, "user": "x" * 1_000_000}
"""More than the gate's flow control reads at once."""
BODIES = {"whole": HELLO, "stream": STREAM, "large": LARGE, "large-stream": {**LARGE, "stream": True}}


@pytest.fixture(scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path_factory.mktemp("gate")) as lab:
        yield lab


@pytest.fixture(scope="module")
async def key(lab: Lab) -> str:
    return await lab.gate.key(rpm=100_000, tpm=1_000_000_000, concurrency=3, budget="1000/month")


def reset(connection: Wire) -> None:
    """Drop the connection with what is unread."""
    connection.leave()


def close(connection: Wire) -> None:
    """Close in good order."""
    connection.writer.close()


def half_close(connection: Wire) -> None:
    """Say that no more will be sent, and stay: the provider's view is that of a close."""
    connection.writer.write_eof()


WAYS = pytest.mark.parametrize("go", [reset, close, half_close])


async def settled_row(lab: Lab) -> Row:
    """The ledger's newest row, once nothing is under way."""
    await lab.is_quiet()
    return (await lab.rows())[-1]


@WAYS
async def test_in_the_middle_of_a_stream(go: Callable[[Wire], None], lab: Lab, key: str) -> None:
    valve, left = Valve(), lab.upstream.closed_early
    lab.upstream.script(faults.endless_stream(valve))
    async with wire(lab.gate.port) as connection:
        connection.send(request(key, STREAM))
        assert (await connection.read_head()).status == 200
        for _ in range(3):
            await within(2, connection.reader.readuntil(b"\n\n\r\n"))
            valve.turn()
        await within(2, connection.reader.readuntil(b"\n\n\r\n"))
        go(connection)
        await within(1, lab.upstream.saw_close(left + 1))
    row = await settled_row(lab)
    assert (row["status"], row["error_code"], row["usage_source"]) == (499, "client_gone", "counted")
    assert row["output_tokens"] == 4
    assert row["cost_microusd"] == 2 * row["input_tokens"] + 8 * 4
    assert row["first_byte_s"] is not None


@WAYS
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("make", [faults.hang_before_head, faults.hang_after_head])
async def test_before_the_first_byte(
    make: Callable[[], Step], body: dict[str, Any], go: Callable[[Wire], None], lab: Lab, key: str
) -> None:
    seen, left = len(lab.upstream.requests), lab.upstream.closed_early
    lab.upstream.script(make())
    async with wire(lab.gate.port) as connection:
        connection.send(request(key, body))
        await within(2, lab.upstream.saw_requests(seen + 1))
        go(connection)
        await within(1, lab.upstream.saw_close(left + 1))
    row = await settled_row(lab)
    assert (row["status"], row["error_code"], row["usage_source"]) == (499, "client_gone", "counted")
    assert row["output_tokens"] == 0 < row["input_tokens"]
    assert row["cost_microusd"] == 2 * row["input_tokens"]


@WAYS
async def test_while_the_body_is_sent(go: Callable[[Wire], None], lab: Lab, key: str) -> None:
    seen, rows = len(lab.upstream.requests), len(await lab.rows())
    data = request(key, LARGE)
    async with wire(lab.gate.port) as connection:
        connection.send(data[:500_000])
        await within(2, has_bytes(lab))
        go(connection)
        await within(2, has_bytes(lab, none=True))
    await lab.is_quiet()
    assert (len(lab.upstream.requests), len(await lab.rows())) == (seen, rows)


async def has_bytes(lab: Lab, *, none: bool = False) -> None:
    while ("request bytes" in lab.left_over()) is none:
        await asyncio.sleep(0)


async def test_after_the_whole_stream_was_written(lab: Lab, key: str) -> None:
    async with wire(lab.gate.port) as connection:
        connection.send(request(key, STREAM))
        await within(2, connection.reader.readuntil(b"[DONE]"))
        connection.leave()
    row = await settled_row(lab)
    assert (row["status"], row["error_code"], row["usage_source"], row["output_tokens"]) == (200, None, "reported", 5)


async def test_while_budgets_are_asked_for(tmp_path: Path) -> None:
    """A slice granted to a caller who is gone is neither lost nor given twice."""
    async with running_lab(tmp_path, config='[prices."lab/gpt-4.1"]\nrequest = "0.01"\n') as lab:
        key = await lab.gate.key(budget="1/total")
        for turns in range(0, 600, 10):  # sooner or later: before, while and after the database grants a slice
            async with wire(lab.gate.port) as connection:
                connection.send(request(key, HELLO))
                for _ in range(turns):
                    await asyncio.sleep(0)
        await lab.is_quiet()
        gone = len(await lab.rows())
        statuses = [(await lab.post(HELLO, key)).status_code for _ in range(100 - gone + 1)]
        assert statuses == [200] * (100 - gone) + [402]
        assert sum(row["cost_microusd"] for row in await lab.rows()) == 1_000_000


@pytest.mark.parametrize("path", ["/health", "/ready", "/v1/models", "/v1/usage", "/nothing"])
async def test_who_only_stopped_sending_gets_an_answer_that_costs_nothing(path: str, lab: Lab, key: str) -> None:
    async with wire(lab.gate.port) as connection:
        connection.send(request(key, b"", target=path, method="GET") * 2)
        half_close(connection)
        answers = [await connection.answer() for _ in range(2)]
        assert [answer.status for answer in answers] == [404 if path == "/nothing" else 200] * 2
        assert await connection.is_closed()


async def test_who_only_stopped_sending_gets_the_answer_to_an_idempotent_call(lab: Lab, key: str) -> None:
    valve, seen = Valve(), len(lab.upstream.requests)
    lab.upstream.script(faults.hang_before_head(valve))
    async with wire(lab.gate.port) as connection:
        connection.send(request(key, HELLO, "idempotency-key: half-closed"))
        await within(2, lab.upstream.saw_requests(seen + 1))
        half_close(connection)
        valve.open()
        assert (await connection.answer()).status == 200
        assert await connection.is_closed()
    await lab.is_quiet()


@pytest.mark.parametrize("sent", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nhost: gate\r\ncontent-length: 5\r\n\r\nab"])
async def test_who_stops_sending_before_a_request_is_complete_is_left(sent: bytes, lab: Lab) -> None:
    async with wire(lab.gate.port) as connection:
        connection.send(sent)
        half_close(connection)
        await within(2, connection.reader.read(-1))
        assert connection.reader.at_eof()


@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nhost: gate\r\n\r\n"], ids=["alone", "pipelined"])
async def test_a_call_and_a_close_in_one_breath(before: bytes, lab: Lab, key: str) -> None:
    seen, left = len(lab.upstream.requests), lab.upstream.closed_early
    lab.upstream.script(faults.hang_before_head())
    async with wire(lab.gate.port) as connection:
        connection.send(before + request(key, HELLO))
        half_close(connection)
        await within(2, connection.reader.read(-1))
    await lab.is_quiet()
    if len(lab.upstream.requests) > seen:
        await within(1, lab.upstream.saw_close(left + 1))
