"""Callers who would keep the gate to themselves."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.upstream import faults
from tests.faults.lab import running_lab
from tests.support import ADMIN_KEY

pytestmark = pytest.mark.anyio
AUTH = {"authorization": f"Bearer {ADMIN_KEY}"}
LONG_S = 1.0
"""A turn of the loop this long would be noticed by every other caller."""


async def longest_turn_s(work: asyncio.Task[Any]) -> float:
    longest, before = 0.0, time.perf_counter()
    while not work.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest


async def test_a_long_echo_lets_others_in_between(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        body = {"model": "builtin/echo", "stream": True, "messages": [{"role": "user", "content": "a " * 50_000}]}
        work = asyncio.ensure_future(lab.gate.http.post("/v1/chat/completions", json=body))
        assert await longest_turn_s(work) < LONG_S
        assert (await work).text.endswith("data: [DONE]\n\n")


async def test_a_body_of_countless_values_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        body = b'{"model":"builtin/echo","n":1,"x":{"n":1,"y":[' + b"{}," * 3_000_000 + b'1]},"messages":[]}'
        headers = {"content-type": "application/json"}
        work = asyncio.ensure_future(lab.gate.http.post("/v1/chat/completions", content=body, headers=headers))
        assert await longest_turn_s(work) < LONG_S
        assert (await work).json()["error"]["message"] == "The body holds more than 200000 objects and lists."


async def test_an_answer_that_is_too_large_to_keep_is_neither_kept_nor_paid_twice(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        body = {"model": "builtin/echo", "messages": [{"role": "user", "content": "a" * 1_100_000}]}
        headers = {"idempotency-key": "large"}
        first = await lab.gate.http.post("/v1/chat/completions", json=body, headers=headers)
        again = await lab.gate.http.post("/v1/chat/completions", json=body, headers=headers)
        assert (first.status_code, again.status_code, again.json()["error"]["code"]) == (200, 409, "idempotency_unknown")
        assert [row["calls"] for row in await lab.gate.usage(group_by="")] == [1]


async def test_an_endless_stream_whose_caller_left_is_cut_even_under_an_idempotency_key(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        lab.upstream.script(faults.endless_stream())
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.gate.port)
        body = json.dumps({"model": "gpt-4.1", "stream": True, "messages": [{"role": "user", "content": "x"}]}).encode()
        lines = [b"POST /v1/chat/completions HTTP/1.1", b"host: x", b"content-type: application/json", b"idempotency-key: e"]
        lines += [b"authorization: Bearer " + ADMIN_KEY.encode(), b"content-length: %d" % len(body)]
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        await reader.readexactly(1)
        writer.close()
        await asyncio.wait_for(lab.upstream.saw_close(), 10)
        await lab.is_quiet()
