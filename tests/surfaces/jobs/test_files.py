"""`/v1/files`: uploads go to the disk as they come, and what is kept is its owner's alone."""

import hashlib
import os
import time
from pathlib import Path

import httpx2
import pytest

from tests.faults.wire import head, wire
from tests.jobs.running import Batcher
from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory):
    flags = {"files.max_bytes": "100000", "files.quota_bytes": "250000"}
    async with running_gate(tmp_path_factory.mktemp("gate"), flags=flags) as running:
        yield running


@pytest.fixture
async def caller(gate: RunningGate) -> Batcher:
    return Batcher(gate.http, await gate.key())


def contents(gate: RunningGate) -> list[Path]:
    """Every content on the disk, those being written included."""
    root = gate.app.files._artifacts._root
    return [path for path in root.rglob("*") if path.is_file()]


def error(reply: httpx2.Response) -> tuple[int, str, str | None]:
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    return reply.status_code, reply.json()["error"]["code"], reply.json()["error"]["param"]


async def test_a_file_comes_back_as_it_was(gate: RunningGate, caller: Batcher) -> None:
    content = os.urandom(90_000) + b"\r\n--boundary\r\n\0"
    made = (await caller.upload(content, "photo.png", purpose="vision")).json()
    assert made == {
        "id": made["id"],
        "object": "file",
        "bytes": len(content),
        "created_at": made["created_at"],
        "expires_at": None,
        "filename": "photo.png",
        "purpose": "vision",
        "status": "processed",
        "status_details": None,
    }
    assert (await caller.ask("GET", f"/v1/files/{made['id']}")).json() == made
    reply = await caller.ask("GET", f"/v1/files/{made['id']}/content")
    assert reply.content == content
    assert (reply.headers["content-type"], reply.headers["content-disposition"]) == ("application/octet-stream", "attachment")
    assert reply.headers["x-content-type-options"] == "nosniff" and reply.headers["x-request-id"].startswith("req-")
    assert gate.app.files.content(hashlib.sha256(content).hexdigest()).is_file()
    gone = await caller.ask("DELETE", f"/v1/files/{made['id']}")
    assert gone.json() == {"id": made["id"], "object": "file", "deleted": True}
    assert not any(path.name == hashlib.sha256(content).hexdigest() for path in contents(gate))
    for verb, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        assert error(await caller.ask(verb, f"/v1/files/{made['id']}{path}")) == (404, "not_found", "id")


async def test_the_same_content_is_kept_once_and_while_anybody_has_it(gate: RunningGate, caller: Batcher) -> None:
    other = Batcher(gate.http, await gate.key())
    mine, theirs = await caller.file(b"the same"), await other.file(b"the same")
    assert [path.name for path in contents(gate)].count(hashlib.sha256(b"the same").hexdigest()) == 1
    await caller.ask("DELETE", f"/v1/files/{mine['id']}")
    assert (await other.ask("GET", f"/v1/files/{theirs['id']}/content")).content == b"the same"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..", "file"),
        ("C:\\x\\a b.txt", "a b.txt"),
        ("ünï.jsonl", "ünï.jsonl"),
        ("n" * 300, "n" * 255),
    ],
)
async def test_a_name_leads_nowhere(gate: RunningGate, caller: Batcher, sent: str, kept: str) -> None:
    made = (await caller.upload(b"x", sent, purpose="user_data")).json()
    assert made["filename"] == kept
    assert {path.parent.parent.name for path in contents(gate)} == {"artifacts"}


async def test_files_expire(gate: RunningGate, caller: Batcher) -> None:
    batch = await caller.file(b"a")
    assert batch["expires_at"] == batch["created_at"] + 30 * 86_400
    expiry = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    short = await caller.file(b"short lived", **expiry)
    assert short["expires_at"] == short["created_at"] + 3_600
    files = gate.app.files
    files._now = lambda: time.time() + 3_601
    try:
        assert (await caller.ask("GET", f"/v1/files/{short['id']}")).status_code == 404
        assert [each["id"] for each in (await caller.ask("GET", "/v1/files")).json()["data"]] == [batch["id"]]
        await files.sweep()
    finally:
        files._now = time.time
    assert (await caller.ask("GET", f"/v1/files/{short['id']}")).status_code == 404
    assert not any(path.name == hashlib.sha256(b"short lived").hexdigest() for path in contents(gate))
    for bad in ({"expires_after[anchor]": "now", "expires_after[seconds]": "3600"}, {"expires_after[seconds]": "60"}):
        assert error(await caller.upload(b"a", **bad)) == (400, "invalid_request", "expires_after")


async def test_files_are_listed(caller: Batcher) -> None:
    made = [
        (await caller.upload(b"%d" % number, purpose=purpose)).json()["id"]
        for number, purpose in enumerate(["batch", "evals"] * 3)
    ]
    listed = (await caller.ask("GET", "/v1/files")).json()
    assert ([each["id"] for each in listed["data"]], listed["has_more"], listed["object"]) == (made[::-1], False, "list")
    first = (await caller.ask("GET", "/v1/files?limit=4&order=asc")).json()
    assert ([each["id"] for each in first["data"]], first["has_more"], first["last_id"]) == (made[:4], True, made[3])
    rest = (await caller.ask("GET", f"/v1/files?order=asc&after={made[3]}")).json()
    assert [each["id"] for each in rest["data"]] == made[4:]
    some = (await caller.ask("GET", "/v1/files?purpose=evals&limit=2")).json()
    assert [each["id"] for each in some["data"]] == [made[5], made[3]]
    for query in ("limit=0", "limit=10001", "order=up"):
        assert (await caller.ask("GET", f"/v1/files?{query}")).status_code == 400


async def test_bounds(gate: RunningGate, caller: Batcher) -> None:
    assert error(await caller.upload(b"x" * 100_001)) == (413, "body_too_large", "file")
    assert error(await caller.upload(b"x" * 400_000)) == (413, "body_too_large", "file")
    await caller.file(b"a" * 100_000)
    await caller.file(b"b" * 100_000)
    assert error(await caller.upload(b"c" * 100_000)) == (403, "storage_quota_exceeded", None)
    assert not [path for path in contents(gate) if path.parent.name == "incoming"]
    assert gate.app.gate.metrics.gauges["aldgate_request_bytes_held"][1]() == 0


async def test_what_is_no_upload(gate: RunningGate, caller: Batcher) -> None:
    async def post(body: bytes, kind: str = "multipart/form-data; boundary=x") -> tuple[int, str, str | None]:
        return error(await caller.ask("POST", "/v1/files", content=body, headers={"content-type": kind}))

    def part(disposition: str, value: str = "batch") -> bytes:
        return f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n".encode()

    file, purpose, end = part('name="file"; filename="a"'), part('name="purpose"'), b"--x--\r\n"
    assert await post(b"{}", "application/json") == (415, "unsupported_media_type", None)
    assert await post(b"", "multipart/form-data") == (415, "unsupported_media_type", None)
    assert (await post(b"nonsense"))[:2] == (400, "invalid_request")
    assert (await post(file + purpose))[:2] == (400, "invalid_request")
    assert await post(purpose + end) == (400, "invalid_request", "file")
    assert await post(file + end) == (400, "invalid_request", "purpose")
    assert await post(file + part('name="purpose"', "batch_output") + end) == (400, "invalid_request", "purpose")
    assert await post(file + file + purpose + end) == (400, "invalid_request", "file")
    assert await post(file + purpose + purpose + end) == (400, "invalid_request", "purpose")
    assert await post(file + purpose + part('name="colour"') + end) == (400, "invalid_request", "colour")
    assert (await post(part("filename=1") + end))[:2] == (400, "invalid_request")
    assert (await post(file + part('name="purpose"', "x" * 70_000) + end))[:2] == (400, "invalid_request")
    assert not [path for path in contents(gate) if path.parent.name == "incoming"]


async def test_who_may_not(gate: RunningGate) -> None:
    without = Batcher(gate.http, await gate.key(scopes=["chat", "batches"]))
    assert error(await without.upload(b"x"))[:2] == (403, "scope_denied")
    assert error(await without.ask("GET", "/v1/files"))[:2] == (403, "scope_denied")
    assert error(await Batcher(gate.http, "agk-nobody").upload(b"x"))[:2] == (401, "invalid_api_key")


async def test_who_leaves_leaves_nothing(gate: RunningGate) -> None:
    key = await gate.key()
    async with wire(gate.port) as connection:
        fields = ("host: gate", f"authorization: Bearer {key}", "content-type: multipart/form-data; boundary=x")
        begun = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"y" * 5_000
        connection.send(head("POST /v1/files HTTP/1.1", *fields, "content-length: 50000") + begun)
        while not [path for path in contents(gate) if path.parent.name == "incoming"]:
            await gate.http.get("/health")
    while [path for path in contents(gate) if path.parent.name == "incoming"]:
        await gate.http.get("/health")
    assert (await Batcher(gate.http, key).ask("GET", "/v1/files")).json()["data"] == []
