"""Callers who race on every face at once: limits and budgets belong to the key, whichever dialect it speaks."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
import websockets

from aldgate.testing.upstream import Valve, faults
from tests.faults.lab import Lab, running_lab, within

CALLERS = 64
PRICES = '[prices."lab/gpt-4.1"]\nrequest = "0.01"\n'
SAID = [{"role": "user", "content": "x"}]
CONTENTS = {"contents": [{"parts": [{"text": "x"}]}]}
FACES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "gpt-4.1", "messages": SAID}),
    "responses": ("/v1/responses", {"model": "gpt-4.1", "input": "x"}),
    "responses, streamed": ("/v1/responses", {"model": "gpt-4.1", "input": "x", "stream": True}),
    "messages": ("/v1/messages", {"model": "gpt-4.1", "max_tokens": 9, "messages": SAID}),
    "messages, streamed": ("/v1/messages", {"model": "gpt-4.1", "max_tokens": 9, "messages": SAID, "stream": True}),
    "gemini": ("/v1beta/models/gpt-4.1:generateContent", CONTENTS),
    "gemini, streamed": ("/v1beta/models/gpt-4.1:streamGenerateContent", CONTENTS),
    "ollama": ("/api/chat", {"model": "gpt-4.1", "messages": SAID, "stream": False}),
    "generate": ("/api/generate", {"model": "gpt-4.1", "prompt": "x"}),
}
CARRIERS = ("authorization", "x-api-key", "x-goog-api-key")


async def post(lab: Lab, face: str, key: str) -> httpx2.Response:
    path, body = FACES[face]
    return await lab.gate.http.post(path, json=body, headers={"authorization": f"Bearer {key}"})


async def frame(lab: Lab, key: str) -> int:
    """The status of one frame on a WebSocket."""
    url = lab.gate.url.replace("http", "ws", 1) + "/v1/responses"
    async with websockets.connect(url, additional_headers={"x-api-key": key}, proxy=None) as socket:
        await socket.send(json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "x"}))
        while True:
            event = json.loads(await socket.recv())
            if event["type"] in ("response.completed", "error"):
                return event.get("status", 200)


@pytest.mark.parametrize("face", FACES)
async def test_on_every_face_a_budget_of_ten_calls_passes_ten(face: str, tmp_path: Path) -> None:
    async with running_lab(tmp_path, config=PRICES) as lab:
        key = await lab.gate.key(budget="0.10/total")
        replies = await within(30, asyncio.gather(*(post(lab, face, key) for _ in range(CALLERS))))
        assert Counter(reply.status_code for reply in replies) == {200: 10, 402: 54}
        assert len(lab.upstream.requests) == 10
        assert [row["cost_microusd"] for row in await lab.rows()] == [10_000] * 10
        await lab.is_quiet()


async def test_all_faces_and_sockets_share_one_budget(tmp_path: Path) -> None:
    async with running_lab(tmp_path, config=PRICES) as lab:
        key = await lab.gate.key(budget="0.10/total")
        posts = (post(lab, face, key) for face in (*FACES,) * 5)
        replies, told = await within(
            30, asyncio.gather(asyncio.gather(*posts), asyncio.gather(*(frame(lab, key) for _ in range(16))))
        )
        assert Counter([*(reply.status_code for reply in replies), *told]) == {200: 10, 402: 51}
        assert len(lab.upstream.requests) == 10
        await lab.is_quiet()


async def test_all_faces_share_the_requests_of_a_minute_and_the_places(tmp_path: Path) -> None:
    valve = Valve()
    async with running_lab(tmp_path) as lab:
        some = await lab.gate.key(rpm=10)
        replies = await asyncio.gather(*(post(lab, face, some) for face in (*FACES,) * 3))
        assert Counter(reply.status_code for reply in replies) == {200: 10, 429: 17}
        few = await lab.gate.key("few", concurrency=3)
        lab.upstream.script(*(faults.hang_before_head(valve) for _ in range(3)))
        waiting = [asyncio.create_task(post(lab, face, few)) for face in ("responses", "messages", "gemini")]
        await within(5, lab.upstream.saw_requests(13))
        refused = [*await asyncio.gather(*(post(lab, face, few) for face in FACES)), await frame(lab, few)]
        assert {each if isinstance(each, int) else each.status_code for each in refused} == {429}
        valve.open()
        assert [reply.status_code for reply in await asyncio.gather(*waiting)] == [200, 200, 200]
        await lab.is_quiet()


@pytest.mark.parametrize("face", FACES)
async def test_scopes_hold_on_every_face_whatever_carries_the_key(face: str, tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        key = await lab.gate.key(scopes=["embed"])
        path, body = FACES[face]
        async with httpx2.AsyncClient(base_url=lab.gate.url, trust_env=False) as http:
            for carrier in CARRIERS:
                value = f"Bearer {key}" if carrier == "authorization" else key
                assert (await http.post(path, json=body, headers={carrier: value})).status_code == 403
            in_query = await http.post(path, params={"key": key}, json=body)
            assert in_query.status_code == (403 if "gemini" in face else 401)
        assert lab.upstream.requests == []
