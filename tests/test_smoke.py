"""The main job, end to end: a key, a call, a stream, a bill."""

from pathlib import Path

import pytest

from aldgate.testing.upstream import FakeUpstream
from tests.support import lab, running_gate

HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.anyio
async def test_a_call_passes_and_is_billed(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream, running_gate(tmp_path, providers={"lab": lab(upstream.url)}) as gate:
        key = await gate.key(rpm=100, tpm=100_000, tpd=1_000_000, concurrency=5, budget="10.00/month")
        headers = {"authorization": f"Bearer {key}"}
        for name in ("gpt-4.1", "lab/gpt-4.1", "lab:gpt-4.1"):
            reply = await gate.http.post("/v1/chat/completions", json={**HELLO, "model": name}, headers=headers)
            assert reply.status_code == 200, reply.text
            assert upstream.requests[-1].json()["model"] == "gpt-4.1"
        async with gate.http.stream("POST", "/v1/chat/completions", json={**HELLO, "stream": True}, headers=headers) as stream:
            lines = [line async for line in stream.aiter_lines() if line]
        assert lines[-1] == "data: [DONE]"
        rows = await gate.usage(key)
        assert [(row["calls"], row["prompt_tokens"] > 0, row["cost_microusd"] > 0) for row in rows] == [(4, True, True)]
