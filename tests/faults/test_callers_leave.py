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


WAYS = pytest.mark.parametrize("go", [reset, close])


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
