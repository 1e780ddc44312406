"""A WebSocket's handshake that is none: the answer is an error as the path's callers read it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import RunningGate, running_gate

GOOD = {
    "Host": "gate",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[RunningGate]:
    async with running_gate(tmp_path) as gate:
        yield gate


async def opened(gate: RunningGate, line: str, headers: list[tuple[str, str]]) -> tuple[int, str, Any]:
    """The status, head and body of what answers."""
    reader, writer = await asyncio.open_connection(*gate.url.removeprefix("http://").split(":"))
    lines = [line, *(f"{name}: {value}" for name, value in headers), "", ""]
    writer.write("\r\n".join(lines).encode())
    try:
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    finally:
        writer.close()
    return int(head.split()[1]), head.lower(), json.loads(body)


def without(name: str, *instead: str) -> list[tuple[str, str]]:
    return [pair for pair in GOOD.items() if pair[0] != name] + [(name, value) for value in instead]


@pytest.mark.parametrize(
    ("line", "headers", "said"),
    [
        ("GET /v1/responses HTTP/1.1", without("Sec-WebSocket-Key"), "16 random bytes"),
        ("GET /v1/responses HTTP/1.1", without("Sec-WebSocket-Key", "short"), "16 random bytes"),
        ("GET /v1/responses HTTP/1.1", without("Sec-WebSocket-Key", "eHg="), "16 random bytes"),
        ("GET /v1/responses HTTP/1.1", [*GOOD.items(), ("Sec-WebSocket-Key", GOOD["Sec-WebSocket-Key"])], "stands twice"),
        ("POST /v1/responses HTTP/1.1", list(GOOD.items()), "begins with a GET"),
        ("GET /v1/responses HTTP/1.0", list(GOOD.items()), "begins with a GET"),
    ],
)
async def test_what_is_wrong_is_told(gate: RunningGate, line: str, headers: list[tuple[str, str]], said: str) -> None:
    status, _, body = await opened(gate, line, headers)
    assert status == 400 and said in body["error"]["message"] and body["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("instead", [(), ("8",)])
async def test_another_version_is_told_ours(gate: RunningGate, instead: tuple[str, ...]) -> None:
    status, head, body = await opened(gate, "GET /v1/responses HTTP/1.1", without("Sec-WebSocket-Version", *instead))
    assert status == 426 and "\r\nsec-websocket-version: 13" in head
    assert body["error"]["code"] == "websocket_version_not_supported"


async def test_every_path_has_its_dialect(gate: RunningGate) -> None:
    _, _, messages = await opened(gate, "GET /v1/messages HTTP/1.1", without("Sec-WebSocket-Key"))
    _, _, gemini = await opened(gate, "GET /v1beta/models HTTP/1.1", without("Sec-WebSocket-Key"))
    assert messages["type"] == "error" and gemini["error"]["status"] == "INVALID_ARGUMENT"


async def test_a_good_one_is_let_on_to_its_path(gate: RunningGate) -> None:
    status, _, body = await opened(gate, "GET /v1/responses HTTP/1.1", list(GOOD.items()))
    assert status == 401 and body["error"]["code"] == "missing_api_key"
