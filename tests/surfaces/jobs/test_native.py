"""`POST /v1/jobs` over a running gate: any operation as a job, checked field by field."""

import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio
PICTURE = {"operation": "image", "prompt": "a fox", "model": "builtin/svg", "width": 64, "height": 48, "seed": 7}
SLOW = {**PICTURE, "options": {"pace_ms": 60_000}}
CONFIG = "[engines.brief]\nkind = 'builtin'\nrun_timeout_s = 60\n[engines.builtin]\nplaces = 1\n"


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[RunningGate]:
    async with running_gate(tmp_path, config=CONFIG) as gate:
        yield gate


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def make(gate: RunningGate, key: str, headers: dict[str, str] | None = None, **body: Any) -> httpx2.Response:
    return await gate.http.post("/v1/jobs", json=body, headers=bearer(key) | (headers or {}))


async def ended(gate: RunningGate, key: str, begun: httpx2.Response) -> dict[str, Any]:
    assert begun.status_code == 202, begun.text
    reply = await gate.http.get(begun.headers["location"], params={"wait": 30}, headers=bearer(key))
    return reply.json()


async def test_every_operation_of_the_builtin_engine_is_a_job(gate: RunningGate) -> None:
    key = await gate.key()
    wanted: dict[str, dict[str, Any]] = {
        "image": {"width": 32, "height": 32},
        "video": {"width": 64, "height": 64, "duration_s": 0.5},
        "audio": {"duration_s": 0.5},
        "music": {"duration_s": 0.5},
        "speech": {"voice": "en-gb", "speed": 1.5, "format": "wav"},
        "mesh": {"format": "glb"},
    }
    for operation, more in wanted.items():
        job = await ended(
            gate, key, await make(gate, key, operation=operation, prompt="a gate at night", model="builtin", **more)
        )
        assert (job["state"], job["operation"]) == ("succeeded", operation), job
        (made,) = job["result"]["artifacts"]
        assert (await gate.http.get(made["url"], headers={"authorization": ""})).status_code == 200


async def test_it_is_the_owners_job_with_a_line_in_the_ledger(gate: RunningGate) -> None:
    mine, others = await gate.key("mine"), await gate.key("others")
    begun = await make(gate, mine, **PICTURE)
    assert begun.json()["state"] in ("queued", "scheduled", "running", "succeeded")
    job = await ended(gate, mine, begun)
    assert (await gate.http.get(begun.headers["location"], headers=bearer(others))).status_code == 404
    assert sum(row["calls"] for row in await gate.usage(mine)) == 1 and job["result"]["text"] is None


async def test_an_artifact_is_what_it_begins_with_and_its_parent(gate: RunningGate) -> None:
    key, stranger = await gate.key("mine"), await gate.key("stranger")
    first = (await ended(gate, key, await make(gate, key, **PICTURE)))["result"]["artifacts"][0]
    varied = {**PICTURE, "strength": 0.5, "inputs": [{"artifact": first["id"]}]}
    refused = await make(gate, stranger, **varied)
    assert refused.status_code == 404 and refused.json()["error"]["param"] == "inputs"
    second = (await ended(gate, key, await make(gate, key, **varied)))["result"]["artifacts"][0]
    known = (await gate.http.get(f"/v1/artifacts/{second['id']}/metadata", headers=bearer(key))).json()
    assert known["provenance"]["parents"] == [first["id"]]


async def test_inputs_are_bounded_together(gate: RunningGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aldgate.surfaces.jobs.native.MOST_INPUT_BYTES", 100)
    key = await gate.key()
    first = (await ended(gate, key, await make(gate, key, **PICTURE)))["result"]["artifacts"][0]
    refused = await make(gate, key, **PICTURE, inputs=[{"artifact": first["id"]}])
    assert refused.status_code == 413 and refused.json()["error"]["param"] == "inputs"


async def test_the_same_key_makes_one_job(gate: RunningGate) -> None:
    key, once = await gate.key(), {"idempotency-key": "once"}
    first, second = [await make(gate, key, once, **PICTURE) for _ in range(2)]
    assert first.json()["id"] == second.json()["id"]
    assert (await make(gate, key, once, **PICTURE | {"seed": 8})).status_code == 409


async def test_the_one_with_priority_begins_first(gate: RunningGate) -> None:
    key, admin = await gate.key(), {"authorization": gate.http.headers["authorization"]}
    blocker = (await make(gate, key, **SLOW)).json()
    later = await make(gate, key, **PICTURE, priority=-5)
    usual = await make(gate, key, **PICTURE)
    urgent = await gate.http.post("/v1/jobs", json=PICTURE | {"priority": 100}, headers=admin)
    assert (await make(gate, key, **PICTURE, priority=1)).status_code == 403
    await gate.http.delete(f"/v1/jobs/{blocker['id']}")
    jobs = [await ended(gate, key, each) for each in (later, usual)]
    jobs.append((await gate.http.get(urgent.headers["location"], params={"wait": 30})).json())
    kept = [await gate.app.store.find_job(each["id"]) for each in jobs]
    begun = [each.started_at for each in kept if each is not None]
    assert begun[2] < begun[1] < begun[0]


async def test_a_deadline_ends_it(gate: RunningGate) -> None:
    key = await gate.key()
    job = await ended(gate, key, await make(gate, key, **SLOW, deadline_s=0.2))
    assert job["state"] == "failed" and job["error"]["code"] == "deadline_exceeded"


async def test_a_time_out_is_the_callers_within_the_engines(gate: RunningGate) -> None:
    key = await gate.key()
    brief = PICTURE | {"model": "brief/svg"}
    assert (await make(gate, key, **brief, timeout_s=60)).status_code == 202
    refused = await make(gate, key, **brief, timeout_s=61)
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "timeout_s"
    begun = await make(gate, key, **SLOW, timeout_s=0.2)
    kept = await gate.app.store.find_job(begun.json()["id"])
    assert kept is not None and kept.timeout_s == 0.2
    await gate.http.delete(f"/v1/jobs/{kept.id}")


BAD: list[tuple[dict[str, Any], str | None]] = [
    ({"prompt": "x"}, None),
    ({"operation": "embed"}, "operation"),
    ({"operation": "image"}, "prompt"),
    ({"surprise": 1}, None),
    *(
        ({name: value}, name)
        for name, value in {
            "prompt": "x" * 32_001,
            "model": 7,
            "negative_prompt": None,
            "lyrics": ["la"],
            "count": 0,
            "seed": -1,
            "width": 0,
            "height": 16_385,
            "steps": 1_001,
            "guidance": -1,
            "strength": 1.5,
            "duration_s": 0,
            "voice": "x" * 257,
            "speed": 5,
            "language": "en us",
            "format": "../png",
            "options": [],
            "inputs": [{}] * 17,
            "priority": 101,
            "deadline_s": 0,
            "timeout_s": -1,
        }.items()
    ),
    ({"inputs": [{"artifact": "art-1", "role": "soul"}]}, "inputs[0].role"),
    ({"inputs": [{"artifact": "", "role": "image"}]}, "inputs[0].artifact"),
]


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[RunningGate, str]]:
    async with running_gate(tmp_path_factory.mktemp("shared"), config=CONFIG) as gate:
        yield gate, await gate.key()


@pytest.mark.parametrize(("body", "param"), BAD, ids=[str(body)[:40] for body, _ in BAD])
async def test_each_field_is_checked(shared: tuple[RunningGate, str], body: dict[str, Any], param: str | None) -> None:
    gate, key = shared
    whole = body if param is None or param == "prompt" and len(body) == 1 and "operation" in body else PICTURE | body
    if "surprise" in body:
        whole = PICTURE | body
    reply = await make(gate, key, **whole)
    assert reply.status_code == 400, reply.text
    assert param is None or reply.json()["error"]["param"].startswith(param)
    assert (await gate.http.get("/v1/jobs", headers=bearer(key))).json()["data"] == []


async def test_scopes_models_and_limits_hold(gate: RunningGate) -> None:
    assert (await make(gate, await gate.key(scopes=["speech"]), **PICTURE)).status_code == 403
    assert (await make(gate, await gate.key(), **PICTURE | {"model": "nobody/x"})).status_code == 404
    assert (await make(gate, await gate.key(), **PICTURE | {"operation": "chat", "model": "builtin"})).status_code == 404
    policy = {"limits": {"images_per_minute": 1}}
    made = await gate.http.post("/admin/keys", json={"name": "few", "policy": policy})
    few = made.json()["key"]
    assert (await make(gate, few, **PICTURE)).status_code == 202
    assert (await make(gate, few, **PICTURE)).status_code == 429
    assert (await gate.http.post("/v1/jobs", json=PICTURE, headers={"authorization": ""})).status_code == 401


async def test_what_an_engine_refuses_fails_and_says_why(gate: RunningGate) -> None:
    key = await gate.key()
    job = await ended(gate, key, await make(gate, key, **PICTURE | {"options": {"unknown": 1}}))
    assert job["state"] == "failed" and job["error"]["code"] == "invalid_request" and job["cost_microusd"] == 0
    assert job["result"] is None and time.time() - job["ended_at"] < 60


async def test_a_body_that_is_too_large_is_refused(gate: RunningGate) -> None:
    huge = {"picture": base64.b64encode(bytes(1_100_000)).decode()}
    assert (await make(gate, await gate.key(), **PICTURE | {"options": huge})).status_code == 413
