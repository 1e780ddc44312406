"""Every fault of a provider that speaks Anthropic's wire: callers of both kinds get an answer or an error, in their shape."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from aldgate.testing.upstream import FAULTS, FakeUpstream, Reply
from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio

NEVER_END = {"hang_after_head", "hang_before_head", "stall_mid_stream", "slow_drip", "endless_body", "endless_stream"}
"""Deadlines end these, whatever the wire; they have tests of their own."""
MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"
Pair = tuple[RunningGate, FakeUpstream]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    async with FakeUpstream(reply=Reply(models=("m",))) as upstream:
        provider = {"kind": "anthropic", "base_url": upstream.url, "api_key": "env:LAB_KEY", "models": ["m"]}
        async with running_gate(tmp_path_factory.mktemp("gate"), providers={"claude": provider}) as gate:
            yield gate, upstream


@pytest.mark.parametrize("name", sorted(set(FAULTS) - NEVER_END - {"refuse"}))
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize("stream", [False, True])
async def test_whatever_goes_wrong_is_told_in_the_callers_words(pair: Pair, name: str, path: str, stream: bool) -> None:
    gate, upstream = pair
    upstream.script(FAULTS[name]())
    asked = {"model": "claude/m", "max_tokens": 50, "messages": [{"role": "user", "content": "x"}], "stream": stream}
    async with asyncio.timeout(10):
        reply = await gate.http.post(path, json=asked)
    upstream._script.clear()
    assert "internal_error" not in reply.text
    if reply.status_code != 200:
        error = reply.json()
        assert ("request_id" in error) == (path == MESSAGES) and error["error"]["message"]
    elif stream:
        frames = [frame for frame in reply.text.split("\n\n") if "data: " in frame]
        name_line, _, data = frames[-1].rpartition("data: ")
        if path == MESSAGES:
            assert name_line == f"event: {json.loads(data)['type']}\n" and json.loads(data)["type"] in ("message_stop", "error")
        else:
            assert data == "[DONE]" or "error" in json.loads(data)
    assert gate.app.gate.under_way == 0


def test_every_fault_is_walked_through() -> None:
    assert set(FAULTS) >= NEVER_END | {"refuse"}


@pytest.fixture(autouse=True)
def no_leftovers(pair: Pair) -> None:
    """A fault that ends the listener or a connection must not meet the next test."""
    pair[1].requests.clear()
