"""Jobs followed as events, listed by what they are, seen while they are made, and tried again."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.core.jobs import STATES
from aldgate.testing.engines import FakeA1111
from tests.support import RunningGate, running_gate
from tests.surfaces.jobs.events import Event, events_of, followed

pytestmark = pytest.mark.anyio
SVG = {"prompt": "a fox", "model": "builtin/svg", "size": "64x48", "background": True}
PAINTED = {"prompt": "a fox", "model": "painter", "size": "64x64", "background": True}


@pytest.fixture
async def painter() -> AsyncIterator[FakeA1111]:
    async with FakeA1111() as fake:
        yield fake


@pytest.fixture
async def gate(tmp_path: Path, painter: FakeA1111) -> AsyncIterator[RunningGate]:
    config = f'[engines.painter]\nkind = "a1111"\nbase_url = "{painter.url}"\n'
    async with running_gate(tmp_path, config=config) as gate:
        yield gate


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def begin(gate: RunningGate, key: str, **body: Any) -> str:
    reply = await gate.http.post("/v1/images/generations", json=body, headers=bearer(key))
    assert reply.status_code == 202, reply.text
    return reply.headers["location"]


async def ended(gate: RunningGate, path: str) -> dict[str, Any]:
    return (await gate.http.get(path, params={"wait": 30})).json()


async def follow(gate: RunningGate, key: str, path: str, **headers: str) -> list[Event]:
    reply = await gate.http.get(f"{path}/events", headers=bearer(key) | headers)
    assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/event-stream"), reply.text
    return events_of(reply.text)


async def test_every_change_is_told_once_and_in_order_and_the_last_has_the_job(gate: RunningGate) -> None:
    key = await gate.key()
    path = await begin(gate, key, **SVG)
    events = await follow(gate, key, path)
    assert [each.id for each in events] == sorted({each.id for each in events})
    states = [each.data["state"] for each in events if each.name == "state"]
    assert states == ["queued", "scheduled", "running", "succeeded"]
    assert events[-1].data["job"]["result"]["artifacts"][0]["mime"] == "image/png"
    assert all("job" not in each.data for each in events[:-1])


async def test_who_comes_back_gets_what_was_missed(gate: RunningGate) -> None:
    key = await gate.key()
    path = await begin(gate, key, **SVG)
    whole = [each for each in await follow(gate, key, path) if each.name == "state"]
    for at, event in enumerate(whole[:-1]):
        later = await follow(gate, key, path, **{"last-event-id": str(event.id)})
        assert later == whole[at + 1 :]
        assert events_of((await gate.http.get(f"{path}/events", params={"after": event.id})).text) == later
    over = await gate.http.get(f"{path}/events", headers=bearer(key) | {"last-event-id": str(whole[-1].id)})
    assert over.status_code == 204 and not over.content


async def test_progress_is_told_and_a_picture_of_it_can_be_had(gate: RunningGate, painter: FakeA1111) -> None:
    key, other = await gate.key(), await gate.key("other")
    painter.hold()
    path = await begin(gate, key, **PAINTED)
    async with followed(gate, key, f"{path}/events") as events:
        async for event in events:
            if event.name == "progress" and event.data["fraction"]:
                break
        seen = await gate.http.get(f"{path}/preview", headers=bearer(key))
        assert seen.status_code == 200 and seen.headers["content-type"] == "image/png" and seen.content.startswith(b"\x89PNG")
        painter.release()
        rest = [event async for event in events]
    assert rest[-1].data["state"] == "succeeded"
    gone = await gate.http.get(f"{path}/preview", headers=bearer(key))
    assert gone.status_code == 404 and "no picture" in gone.text
    assert (await gate.http.get(f"{path}/preview", headers=bearer(other))).status_code == 404


async def test_who_leaves_leaks_nothing_and_the_job_goes_on(gate: RunningGate, painter: FakeA1111) -> None:
    key = await gate.key()
    painter.hold()
    path = await begin(gate, key, **PAINTED)
    async with followed(gate, key, f"{path}/events") as events:
        assert (await anext(events)).data["state"] == "queued"
    painter.release()
    assert (await ended(gate, path))["state"] == "succeeded"
    assert not gate.app.jobs._following._followed  # pyright: ignore[reportPrivateUsage]


async def test_a_key_that_is_withdrawn_is_told_no_more(gate: RunningGate, painter: FakeA1111) -> None:
    made = (await gate.http.post("/admin/keys", json={"name": "short"})).json()
    painter.hold()
    path = await begin(gate, made["key"], **PAINTED)
    async with followed(gate, made["key"], f"{path}/events") as events:
        assert (await anext(events)).data["state"] == "queued"
        assert (await gate.http.delete(f"/admin/keys/{made['id']}")).status_code == 200
        rest = [event async for event in events]
    assert rest[-1].name == "error" and rest[-1].data["error"]["code"] == "revoked_api_key"


async def test_events_of_others_and_of_nothing_are_404(gate: RunningGate) -> None:
    mine, other = await gate.key("mine"), await gate.key("other")
    path = await begin(gate, mine, **SVG)
    for method, at in (("GET", "events"), ("GET", "preview"), ("POST", "retry")):
        reply = await gate.http.request(method, f"{path}/{at}", headers=bearer(other))
        assert reply.status_code == 404, reply.text
        assert (await gate.http.request(method, f"/v1/jobs/job-none/{at}", headers=bearer(mine))).status_code == 404
    for wrong in ("x", "-1", "1.5", "9" * 30, "²"):
        assert (await gate.http.get(f"{path}/events", params={"after": wrong})).status_code == 400


async def test_jobs_are_listed_by_what_they_are(gate: RunningGate, painter: FakeA1111) -> None:
    key = await gate.key()
    done = await begin(gate, key, **SVG)
    await ended(gate, done)
    painter.hold()
    waits = await begin(gate, key, **PAINTED)

    async def ids(**query: Any) -> list[str]:
        reply = await gate.http.get("/v1/jobs", params=query, headers=bearer(key))
        assert reply.status_code == 200, reply.text
        return [f"/v1/jobs/{each['id']}" for each in reply.json()["data"]]

    assert await ids() == [waits, done]
    listed = (await gate.http.get("/v1/jobs", headers=bearer(key))).json()
    assert listed["jobs"] == listed["data"]
    assert [(each["status"], each["progress_pct"], each["model_id"]) for each in listed["jobs"]][1] == (
        "completed",
        100,
        "builtin/svg",
    )
    assert await ids(state="succeeded,failed") == [done]
    assert await ids(state=["succeeded", "queued,scheduled", "running"]) == [waits, done]
    assert await ids(engine="painter") == [waits]
    assert await ids(operation="image,speech") == [waits, done] and await ids(operation="speech") == []
    assert await ids(parent="job-none") == []
    assert await ids(limit=1) == [waits] and await ids(limit=1, after=waits.rpartition("/")[2]) == [done]
    for query in ({"state": "done"}, {"state": ""}, {"operation": "paint"}, {"limit": "0"}, {"state": f"{STATES[0]},"}):
        assert (await gate.http.get("/v1/jobs", params=query, headers=bearer(key))).status_code == 400, query
    assert (await gate.http.get("/v1/jobs", params={"after": "job-none"}, headers=bearer(key))).status_code == 404
    painter.release()


async def test_what_came_to_nothing_is_made_once_more(gate: RunningGate, painter: FakeA1111) -> None:
    key = await gate.key()
    painter.hold()
    path = await begin(gate, key, **PAINTED)
    early = await gate.http.post(f"{path}/retry", headers=bearer(key))
    assert early.status_code == 409, early.text
    await painter.until_working()
    await gate.http.delete(path, headers=bearer(key))
    assert (await ended(gate, path))["state"] == "cancelled"
    painter.release()
    headers = bearer(key) | {"idempotency-key": "again"}
    again = [await gate.http.post(f"{path}/retry", headers=headers) for _ in range(2)]
    assert [each.status_code for each in again] == [202, 202]
    assert again[0].json()["id"] == again[1].json()["id"] != path.rpartition("/")[2]
    done = await ended(gate, again[0].headers["location"])
    assert done["state"] == "succeeded" and f"/v1/jobs/{done['parent']}" == path
    children = await gate.http.get("/v1/jobs", params={"parent": done["parent"]}, headers=bearer(key))
    assert [each["id"] for each in children.json()["data"]] == [done["id"]]
    assert (await gate.http.post(again[0].headers["location"] + "/retry", headers=bearer(key))).status_code == 409


async def test_a_retry_is_admitted_as_any_call(gate: RunningGate, painter: FakeA1111) -> None:
    key = await gate.key("few", rpm=1)
    painter.fault = "unauthorised"
    path = await begin(gate, key, **PAINTED)
    assert (await ended(gate, path))["state"] == "failed"
    refused: httpx2.Response = await gate.http.post(f"{path}/retry", headers=bearer(key))
    assert refused.status_code == 429, refused.text
    assert json.loads(refused.content)["error"]["code"] == "rate_limit_exceeded"
