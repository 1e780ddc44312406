"""Pictures and speech from what is built in, and the jobs that they are, over a running gate."""

import base64
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio
PICTURE = {"prompt": "a fox", "model": "builtin/svg", "size": "64x48", "seed": 7, "output_format": "png"}


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[RunningGate]:
    async with running_gate(tmp_path) as gate:
        yield gate


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def ask(gate: RunningGate, key: str, path: str = "/v1/images/generations", **body: Any) -> httpx2.Response:
    return await gate.http.post(path, json=body, headers=bearer(key))


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


async def test_a_picture_is_linked_or_given_and_the_same_for_the_same_seed(gate: RunningGate) -> None:
    key = await gate.key()
    linked = await ask(gate, key, **PICTURE)
    assert linked.status_code == 200, linked.text
    (one,) = linked.json()["data"]
    shown = await gate.http.get(one["url"], headers={"authorization": ""})
    assert shown.status_code == 200 and size_of(shown.content) == (64, 48)
    given = await ask(gate, key, **PICTURE, n=2, response_format="b64_json")
    pictures = [base64.b64decode(each["b64_json"]) for each in given.json()["data"]]
    assert pictures[0] == shown.content and len(pictures) == 2
    assert linked.headers["x-aldgate-model"] == "builtin/svg"


async def test_nobody_named_is_the_first_who_can(gate: RunningGate) -> None:
    reply = await ask(gate, await gate.key(), prompt="a fox", response_format="b64_json")
    assert reply.status_code == 200 and reply.json()["data"][0]["b64_json"]


async def test_speech_is_sound(gate: RunningGate) -> None:
    said = {"input": "hello", "model": "builtin/espeak", "voice": "en-gb", "response_format": "wav"}
    reply = await ask(gate, await gate.key(), "/v1/audio/speech", **said)
    assert reply.status_code == 200, reply.text
    assert reply.content.startswith(b"RIFF") and reply.headers["content-type"] in ("audio/wav", "audio/x-wav")


async def test_a_job_is_its_owners_and_is_in_the_ledger(gate: RunningGate) -> None:
    mine, others = await gate.key("mine"), await gate.key("others")
    begun = await ask(gate, mine, **PICTURE, background=True)
    assert begun.status_code == 202 and begun.headers["location"] == f"/v1/jobs/{begun.json()['id']}"
    path = begun.headers["location"]
    done = (await gate.http.get(path, params={"wait": 30}, headers=bearer(mine))).json()
    assert done["state"] == "succeeded" and done["result"]["artifacts"][0]["mime"] == "image/png"
    assert [each["id"] for each in (await gate.http.get("/v1/jobs", headers=bearer(mine))).json()["data"]] == [done["id"]]
    assert (await gate.http.get(path)).json()["id"] == done["id"]
    for reply in (
        await gate.http.get(path, headers=bearer(others)),
        await gate.http.delete(path, headers=bearer(others)),
    ):
        assert reply.status_code == 404
    assert (await gate.http.get("/v1/jobs", headers=bearer(others))).json()["data"] == []
    assert (await gate.http.delete(path, headers=bearer(mine))).json()["state"] == "succeeded"
    usage = (await gate.http.get("/v1/usage", headers=bearer(mine))).json()["data"]
    assert sum(row["calls"] for row in usage) == 1


async def test_the_same_key_makes_one_job(gate: RunningGate) -> None:
    key = await gate.key()
    headers = bearer(key) | {"idempotency-key": "once"}
    replies = [
        await gate.http.post("/v1/images/generations", json={**PICTURE, "background": True}, headers=headers) for _ in range(2)
    ]
    assert replies[0].json()["id"] == replies[1].json()["id"]
    other = await gate.http.post("/v1/images/generations", json={**PICTURE, "seed": 8}, headers=headers)
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, None),
        ({"prompt": "x", "size": "big"}, 400, "size"),
        ({"prompt": "x", "n": 11}, 400, "n"),
        ({"prompt": "x", "stream": True, "background": True}, 400, "stream"),
        ({"prompt": "x", "model": "nobody/x"}, 404, "model"),
        ({"prompt": "x", "model": "builtin/espeak"}, 404, None),
        ({"prompt": "x", "size": "99999x99999", "model": "builtin/svg"}, 400, None),
    ],
)
async def test_what_cannot_be_made_is_said_and_costs_nothing(
    gate: RunningGate, body: dict[str, Any], status: int, param: str | None
) -> None:
    key = await gate.key()
    reply = await ask(gate, key, **body)
    assert reply.status_code == status, reply.text
    assert param is None or reply.json()["error"]["param"] == param


async def test_a_scope_and_a_limit_of_images_hold(gate: RunningGate) -> None:
    chats = await gate.key(scopes=["chat"])
    assert (await ask(gate, chats, **PICTURE)).status_code == 403
    made = await gate.http.post("/admin/keys", json={"name": "few", "policy": {"limits": {"images_per_minute": 2}}})
    few = made.json()["key"]
    assert (await ask(gate, few, **PICTURE, n=2)).status_code == 200
    refused = await ask(gate, few, **PICTURE)
    assert refused.status_code == 429 and "images per minute" in refused.text
