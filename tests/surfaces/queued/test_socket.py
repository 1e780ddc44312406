"""A job's changes over a WebSocket, with the `websockets` package: who may watch, what is told, and what many watchers cost."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import websockets

from aldgate.core.jobs import Job
from aldgate.surfaces.queued import socket as job_socket
from aldgate.testing.engines.ollama import FakeOllama
from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio
PATHS = ("/ws/jobs/", "/jobs/ws/jobs/")


@pytest.fixture(scope="module")
async def ollama() -> AsyncIterator[FakeOllama]:
    async with FakeOllama() as fake:
        yield fake


@pytest.fixture(scope="module")
async def gate(ollama: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGate]:
    config = f'[engines.ollama]\nbase_url = "{ollama.url}"\nplaces = 4\n'
    async with running_gate(tmp_path_factory.mktemp("watched"), config=config) as gate:
        yield gate


@pytest.fixture(autouse=True)
def held(ollama: FakeOllama) -> Iterator[None]:
    ollama.hold()
    yield
    ollama.release()


def connect(gate: RunningGate, path: str, key: str = "", **headers: str) -> Any:
    url = gate.url.replace("http", "ws", 1) + path
    return websockets.connect(url, additional_headers={**({"x-api-key": key} if key else {}), **headers}, proxy=None)


async def begin(gate: RunningGate, key: str, prompt: str = "Hi") -> dict[str, Any]:
    reply = await gate.http.post("/llm/generate", json={"prompt": prompt}, headers={"authorization": f"Bearer {key}"})
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


async def finish(gate: RunningGate, job_id: str) -> None:
    assert (await gate.http.get(f"/v1/jobs/{job_id}", params={"wait": 30})).json()["state"] == "succeeded"


async def told(socket: Any) -> list[dict[str, Any]]:
    """All that comes until the gate closes."""
    return [json.loads(text) async for text in socket]


async def refusal(connecting: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connecting
    return refused.value.response.status_code, json.loads(refused.value.response.body)


@pytest.mark.parametrize("path", PATHS)
async def test_a_job_is_told_on_connect_and_on_each_change_until_it_ends(
    gate: RunningGate, ollama: FakeOllama, path: str
) -> None:
    key = await gate.key()
    job_id = (await begin(gate, key))["job_id"]
    async with connect(gate, path + job_id, key) as socket:
        first = json.loads(await socket.recv())
        assert (first["job_id"], first["result"], "success" in first) == (job_id, None, False)
        ollama.release()
        jobs = [first, *await told(socket)]
    words = [job["status"] for job in jobs]
    assert words == sorted(words, key=["pending", "running", "completed"].index) and words[-1] == "completed"
    assert jobs[-1]["result"]["text"] == "Echo: Hi" and jobs[-1]["service"] == "ollama"
    assert all(one != other for one, other in zip(jobs, jobs[1:], strict=False))
    assert socket.close_code == 1000


async def test_a_job_that_has_ended_is_told_and_closed_at_once(gate: RunningGate, ollama: FakeOllama) -> None:
    ollama.release()
    key = await gate.key()
    job_id = (await begin(gate, key))["job_id"]
    await finish(gate, job_id)
    async with connect(gate, PATHS[0] + job_id, key) as socket:
        (job,) = await told(socket)
    assert (job["status"], socket.close_code) == ("completed", 1000)


async def test_a_page_watches_with_a_key_in_the_query_or_the_ticket_of_its_job(gate: RunningGate, ollama: FakeOllama) -> None:
    key = await gate.key()
    begun = await begin(gate, key)
    parts = urlsplit(begun["ws_url"])
    assert f"{parts.scheme}://{parts.netloc}" == gate.url.replace("http", "ws", 1)
    ways = (
        f"{PATHS[1]}{begun['job_id']}?api_key={key}",
        f"{parts.path}?{parts.query}",
        f"{PATHS[1]}{begun['job_id']}?{parts.query}",
    )
    for way in ways:
        async with connect(gate, way, origin="http://elsewhere.example") as socket:
            assert json.loads(await socket.recv())["job_id"] == begun["job_id"]


async def test_nobody_watches_without_a_credential_for_that_job(gate: RunningGate) -> None:
    key, others = await gate.key(), await gate.key("others")
    first, second = await begin(gate, key), await begin(gate, key)
    ticket = urlsplit(first["ws_url"]).query
    until, seal = ticket.removeprefix("ticket=").split(".")
    for path in PATHS:
        for query in (
            "",
            "?api_key=agk-nobody",
            "?api_key=",
            f"?{ticket}",
            f"?ticket={until}1.{seal}",
            "?ticket=",
            f"?ticket=a&{ticket}",
        ):
            status, said = await refusal(connect(gate, f"{path}{second['job_id']}{query}"))
            assert (status, said["error"]["code"], said["success"]) == (401, "INVALID_API_KEY", False), query
        for missing in (second["job_id"], "job-none"):
            status, said = await refusal(connect(gate, f"{path}{missing}", others))
            assert (status, said["error"]["code"]) == (404, "JOB_NOT_FOUND")
        status, said = await refusal(connect(gate, f"{path}{second['job_id']}", await gate.key(scopes=["embed"])))
        assert (status, said["error"]["code"]) == (403, "SCOPE_DENIED")
        assert (await refusal(connect(gate, path, key)))[0] == 404


async def test_an_old_ticket_is_good_no_longer(gate: RunningGate, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = await begin(gate, await gate.key())
    jobs = gate.app.jobs
    began_at = jobs.now()
    monkeypatch.setattr(jobs, "now", lambda: began_at + 3_700)
    parts = urlsplit(begun["ws_url"])
    assert (await refusal(connect(gate, f"{parts.path}?{parts.query}")))[0] == 401


async def test_a_session_cookie_needs_a_page_of_the_gates_own(gate: RunningGate) -> None:
    job_id = (await begin(gate, await gate.key()))["job_id"]
    await gate.http.post("/admin/users", json={"name": "ada", "password": "correct horse battery", "role": "admin"})
    login = await gate.http.post("/v1/users/login", json={"username": "ada", "password": "correct horse battery"})
    cookie = f"aldgate_session={login.json()['token']}"
    status, said = await refusal(connect(gate, PATHS[0] + job_id, cookie=cookie, origin="http://elsewhere.example"))
    assert (status, said["error"]["code"]) == (403, "FOREIGN_ORIGIN")
    async with connect(gate, PATHS[0] + job_id, cookie=cookie, origin=gate.url) as socket:
        assert json.loads(await socket.recv())["job_id"] == job_id


@pytest.mark.parametrize("has_ticket", [False, True])
async def test_a_key_that_is_revoked_watches_no_longer(gate: RunningGate, has_ticket: bool) -> None:
    made = (await gate.http.post("/admin/keys", json={"name": "short"})).json()
    begun = await begin(gate, made["key"])
    parts = urlsplit(begun["ws_url"])
    watching = connect(gate, f"{parts.path}?{parts.query}") if has_ticket else connect(gate, parts.path, made["key"])
    async with watching as socket:
        await socket.recv()
        await gate.http.delete(f"/admin/keys/{made['id']}")
        async with asyncio.timeout(5):
            await told_until_closed(socket)
    assert socket.close_code == 1008


async def told_until_closed(socket: Any) -> None:
    with pytest.raises(websockets.ConnectionClosed):
        while True:
            await socket.recv()


async def test_many_watchers_share_one_read_of_each_change(
    gate: RunningGate, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await gate.key()
    job_id = (await begin(gate, key, " ".join("word" for _ in range(20))))["job_id"]
    find, versions = gate.app.store.find_job, []

    async def counted(wanted: str, account: str | None = None, *, is_brief: bool = False) -> Job | None:
        job = await find(wanted, account, is_brief=is_brief)
        if is_brief and job is not None and wanted == job_id:  # as the reader asks
            versions.append(job.version)
        return job

    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(connect(gate, PATHS[0] + job_id, key)) for _ in range(40)]
        firsts = [json.loads(await socket.recv()) for socket in sockets]
        assert {first["job_id"] for first in firsts} == {job_id}
        monkeypatch.setattr(gate.app.store, "find_job", counted)
        ollama.release()
        ends = [(await told(socket))[-1] for socket in sockets]
    assert {end["status"] for end in ends} == {"completed"}
    assert 0 < len(versions) <= versions[-1] + 10  # one for each change and a look now and then, but none per watcher
    async with asyncio.timeout(5):
        while gate.app.watch.sockets or gate.app.jobs._following._followed:
            await asyncio.sleep(0)


async def test_a_watcher_who_leaves_leaves_nothing_behind(gate: RunningGate) -> None:
    key = await gate.key()
    job_id = (await begin(gate, key))["job_id"]
    socket = await connect(gate, PATHS[0] + job_id, key)
    await socket.recv()
    await socket.send("are you there?")
    assert len(gate.app.watch.sockets) == 1
    socket.transport.abort()
    async with asyncio.timeout(5):
        while gate.app.watch.sockets or gate.app.jobs._following._followed:
            await asyncio.sleep(0)


async def test_a_watcher_who_does_not_read_is_cut_off(gate: RunningGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_socket, "STALLED_S", 0.05)
    key = await gate.key()
    job_id = (await begin(gate, key))["job_id"]
    socket = await connect(gate, PATHS[0] + job_id, key)
    await socket.recv()
    socket.transport.pause_reading()
    (watcher,) = gate.app.watch.sockets
    theirs = watcher._socket
    theirs.transport.set_write_buffer_limits(high=0)
    async with asyncio.timeout(10):
        while theirs.writable.is_set():  # fill what the kernel holds, as changes would
            theirs.transport.write(b"\x81\x7e\xff\xff" + b" " * 65_535)
            await asyncio.sleep(0)
        await gate.http.delete(f"/v1/jobs/{job_id}")
        while gate.app.watch.sockets:
            await asyncio.sleep(0)
    assert theirs.transport.is_closing()
    socket.transport.abort()


async def test_a_gate_that_stops_closes_watchers(tmp_path: Path, ollama: FakeOllama) -> None:
    config = f'[engines.ollama]\nbase_url = "{ollama.url}"\n'
    async with running_gate(tmp_path, config=config) as gate:
        key = await gate.key()
        job_id = (await begin(gate, key))["job_id"]
        async with connect(gate, PATHS[0] + job_id, key) as socket:
            await socket.recv()
            gate.app.gate.is_draining = True
            gate.server.stop()
            await gate.server.drain(5)
            await told_until_closed(socket)
            assert socket.close_code == 1012
        ollama.release()
