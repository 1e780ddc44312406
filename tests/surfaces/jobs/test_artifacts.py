"""`/v1/artifacts`: content decides what is kept, its owner and whoever has a link read it, whole or in part."""

import asyncio
import hashlib
import io
import os
import time
from email.parser import BytesParser
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace
from PIL import Image

from aldgate.artifacts.links import Links
from aldgate.core.artifacts import Provenance
from aldgate.core.errors import LinkInvalid, StorageFull
from tests.faults.wire import head, wire
from tests.jobs.running import Batcher
from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture(scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory):
    flags = {"artifacts.max_bytes": "100000", "artifacts.quota_bytes": "250000"}
    async with running_gate(tmp_path_factory.mktemp("gate"), flags=flags) as running:
        yield running


@pytest.fixture
async def caller(gate: RunningGate) -> Batcher:
    return Batcher(gate.http, await gate.key())


async def upload(caller: Batcher, content: bytes = PNG, name: str = "a.png") -> dict:
    reply = await caller.ask("POST", "/v1/artifacts", content=content, params={"name": name})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def read(caller: Batcher, made: dict, method: str = "GET", **headers: str) -> httpx2.Response:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return await caller.ask(method, f"/v1/artifacts/{made['id']}", headers=told)


def error(reply: httpx2.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


def contents(gate: RunningGate) -> dict[str, Path]:
    root = gate.app.archive._contents._artifacts._root
    return {path.name: path for path in root.glob("*/*") if path.is_file()}


async def test_one_comes_back_as_it_was(gate: RunningGate, caller: Batcher) -> None:
    made = await upload(caller, name="../día 1.png")
    sha256 = hashlib.sha256(PNG).hexdigest()
    assert (made["mime"], made["bytes"], made["sha256"], made["name"]) == ("image/png", len(PNG), sha256, "día 1.png")
    assert made["expires_at"] is None and made["object"] == "artifact" and made["provenance"]["job_id"] is None
    reply = await read(caller, made)
    assert reply.content == PNG and reply.headers["content-type"] == "image/png"
    assert reply.headers["etag"] == f'"{sha256}"' and reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["content-disposition"] == "inline; filename=\"d_a 1.png\"; filename*=UTF-8''d%C3%ADa%201.png"
    assert reply.headers["x-content-type-options"] == "nosniff" and "sandbox" in reply.headers["content-security-policy"]
    assert reply.headers["x-request-id"].startswith("req-")
    saved = await caller.ask("GET", f"/v1/artifacts/{made['id']}?download")
    assert saved.headers["content-disposition"].startswith("attachment; ")
    looked = await read(caller, made, "HEAD", range="bytes=0-0")
    assert (looked.status_code, looked.content, looked.headers["content-length"]) == (200, b"", str(len(PNG)))
    shown = (await caller.ask("GET", f"/v1/artifacts/{made['id']}/metadata")).json()
    assert {**shown, "url": ""} == {**made, "url": ""}
    assert (await caller.ask("DELETE", f"/v1/artifacts/{made['id']}")).json()["deleted"] is True
    for method, below in (("GET", ""), ("DELETE", ""), ("GET", "/metadata")):
        assert error(await caller.ask(method, f"/v1/artifacts/{made['id']}{below}")) == (404, "not_found")
    assert (await read(caller, made, "HEAD")).status_code == 404


async def test_an_svg_is_shown_where_it_can_do_nothing(caller: Batcher) -> None:
    made = await upload(caller, SVG, "a.png")
    reply = await read(caller, made)
    assert reply.headers["content-type"] == "image/svg+xml"
    policy = reply.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy and "sandbox" in policy
    assert (await read(caller, await upload(caller, b"ply\nx", "x"))).headers["content-disposition"].startswith("attachment")


async def test_parts(caller: Batcher) -> None:
    made = await upload(caller)
    size = len(PNG)
    for asked, start, end in (("0-0", 0, 1), ("100-", 100, size), ("-5", size - 5, size), (f"8-{size * 2}", 8, size)):
        reply = await read(caller, made, range=f"bytes={asked}")
        assert (reply.status_code, reply.content) == (206, PNG[start:end])
        assert reply.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert reply.headers["content-length"] == str(end - start)
    refused = await read(caller, made, range=f"bytes={size}-")
    assert error(refused) == (416, "range_not_satisfiable") and refused.headers["content-range"] == f"bytes */{size}"
    assert refused.headers["x-request-id"].startswith("req-") and len(refused.headers.get_list("x-request-id")) == 1
    for ignored in ("bytes=5-2", "lines=1-2", "bytes=0-1000,0-1000"):
        assert (await read(caller, made, range=ignored)).status_code == 200


async def test_several_parts(caller: Batcher) -> None:
    made = await upload(caller)
    reply = await read(caller, made, range="bytes=0-3,100-109,-2")
    assert reply.status_code == 206 and int(reply.headers["content-length"]) == len(reply.content)
    whole = BytesParser().parsebytes(b"content-type: " + reply.headers["content-type"].encode() + b"\r\n\r\n" + reply.content)
    parts = [(part["content-range"], part["content-type"], part.get_payload(decode=True)) for part in whole.get_payload()]
    size = len(PNG)
    assert parts == [
        (f"bytes 0-3/{size}", "image/png", PNG[:4]),
        (f"bytes 100-109/{size}", "image/png", PNG[100:110]),
        (f"bytes {size - 2}-{size - 1}/{size}", "image/png", PNG[-2:]),
    ]


async def test_conditions(caller: Batcher) -> None:
    made = await upload(caller)
    etag = f'"{made["sha256"]}"'
    for known in (etag, f'"x", W/{etag}', "*"):
        reply = await read(caller, made, if_none_match=known, range="bytes=0-1")
        assert (reply.status_code, reply.content, reply.headers["etag"]) == (304, b"", etag)
    assert (await read(caller, made, if_none_match='"x"')).status_code == 200
    assert (await read(caller, made, range="bytes=0-1", if_range=etag)).status_code == 206
    assert (await read(caller, made, range="bytes=0-1", if_range='"x"')).content == PNG


async def test_it_is_its_owners_alone(gate: RunningGate, caller: Batcher) -> None:
    made, other = await upload(caller), Batcher(gate.http, await gate.key())
    for who in (other, Batcher(gate.http, gate.http.headers["authorization"].removeprefix("Bearer "))):
        for method, below in (("GET", ""), ("DELETE", ""), ("GET", "/metadata")):
            assert error(await who.ask(method, f"/v1/artifacts/{made['id']}{below}")) == (404, "not_found")
    assert error(await Batcher(gate.http, "agk-nobody").ask("GET", f"/v1/artifacts/{made['id']}")) == (401, "invalid_api_key")
    assert (await read(caller, made)).status_code == 200


async def test_a_link_is_good_for_anybody_until_it_expires(gate: RunningGate, caller: Batcher) -> None:
    made, other = await upload(caller), await upload(caller, SVG)
    async with httpx2.AsyncClient(base_url=gate.url, trust_env=False) as anybody:
        reply = await anybody.get(made["url"], headers={"range": "bytes=0-3"})
        assert (reply.status_code, reply.content) == (206, PNG[:4])
        assert (await anybody.head(made["url"])).status_code == 200
        path, _, query = made["url"].partition("?")
        for bad in (
            f"/v1/artifacts/{other['id']}?{query}",
            made["url"].replace("expires=", "expires=9"),
            made["url"][:-1] + ("A" if made["url"][-1] != "A" else "B"),
            f"{path}?expires=99999999999&signature=",
            f"{path}?expires=99999999999&signature=%C3%A9",
            gate.app.archive.links.path(made["id"], time.time() - 1),
        ):
            assert error(await anybody.get(bad)) == (403, "link_invalid")
        assert error(await anybody.get(path)) == (401, "missing_api_key")
        assert (await anybody.delete(made["url"])).status_code == 401
        await caller.ask("DELETE", f"/v1/artifacts/{made['id']}")
        assert error(await anybody.get(made["url"])) == (404, "not_found")


def test_links_of_another_installation_are_none() -> None:
    ours, theirs = Links(b"a" * 32), Links(b"b" * 32)
    path = theirs.path("art-1", 2_000.5)
    query = dict(pair.split("=") for pair in path.partition("?")[2].split("&"))
    assert query["expires"] == "2001"
    theirs.check("art-1", now=2_000.9, **query)
    with pytest.raises(LinkInvalid):
        theirs.check("art-1", now=2_001, **query)
    with pytest.raises(LinkInvalid):
        ours.check("art-1", now=0, **query)


@pytest.mark.parametrize("content", [b"", b"MZ\x90\0", b"<html><script>", b"%PDF-1.7", b'{"a": 1}'])
async def test_what_it_is_called_does_not_matter(gate: RunningGate, caller: Batcher, content: bytes) -> None:
    before = contents(gate)
    reply = await caller.ask("POST", "/v1/artifacts?name=a.png", content=content, headers={"content-type": "image/png"})
    assert error(reply) == (415, "unsupported_media_type") and contents(gate) == before


async def test_bounds(gate: RunningGate, caller: Batcher) -> None:
    assert error(await caller.ask("POST", "/v1/artifacts", content=PNG + b"x" * 100_000)) == (413, "body_too_large")

    async def chunks():
        for _ in range(110):
            yield PNG

    assert error(await caller.ask("POST", "/v1/artifacts", content=chunks())) == (413, "body_too_large")
    for number in range(2):
        await upload(caller, PNG + bytes([number]) * 98_000)
    assert error(await caller.ask("POST", "/v1/artifacts", content=PNG + b"y" * 98_000)) == (403, "storage_quota_exceeded")
    assert not [path for path in contents(gate).values() if path.parent.name == "incoming"]
    assert gate.app.gate.metrics.gauges["aldgate_request_bytes_held"][1]() == 0
    form = await caller.ask("POST", "/v1/artifacts", files={"file": ("a.png", PNG)})
    assert error(form) == (415, "unsupported_media_type")
    without = Batcher(gate.http, await gate.key(scopes=["image"]))
    assert error(await without.ask("POST", "/v1/artifacts", content=PNG)) == (403, "scope_denied")


async def test_who_leaves_leaves_nothing(gate: RunningGate) -> None:
    key = await gate.key()
    async with wire(gate.port) as connection:
        fields = ("host: gate", f"authorization: Bearer {key}", "content-length: 50000")
        connection.send(head("POST /v1/artifacts HTTP/1.1", *fields) + PNG)
        while not [path for path in contents(gate).values() if path.parent.name == "incoming"]:
            await gate.http.get("/health")
    while [path for path in contents(gate).values() if path.parent.name == "incoming"]:
        await gate.http.get("/health")
    assert (await Batcher(gate.http, key).ask("GET", "/v1/artifacts")).json()["data"] == []


async def test_they_are_listed(caller: Batcher) -> None:
    made = [(await upload(caller, PNG + bytes([number])))["id"] for number in range(4)]
    listed = (await caller.ask("GET", "/v1/artifacts?limit=3")).json()
    assert ([each["id"] for each in listed["data"]], listed["has_more"]) == (made[:0:-1], True)
    rest = (await caller.ask("GET", f"/v1/artifacts?after={listed['last_id']}")).json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (made[:1], False)
    assert (await caller.ask("GET", "/v1/artifacts?limit=0")).status_code == 400
    assert (await caller.ask("GET", "/v1/artifacts?after=art-x")).status_code == 404


async def test_what_a_job_made_is_kept_over_the_quota_and_says_where_it_is_from(gate: RunningGate, caller: Batcher) -> None:
    archive = gate.app.archive
    account = (await gate.app.identity.identify(caller.headers["authorization"].removeprefix("Bearer ").encode())).account
    picture = io.BytesIO()
    Image.effect_noise((290, 290), 90).save(picture, "PNG")
    origin = Provenance(job_id="job-1", operation="image", engine="builtin", model="svg", seed=3, cost_microusd=5)
    for number in (4, 3, 2, 1):  # one job that makes the same twice has made one
        whose = replace(origin, job_id=f"job-{number}")
        made = await archive.keep(
            account, picture.getvalue(), mime="image/jpeg", name="p.png", provenance=whose, facts={"width": 290}, retention_s=60
        )
    assert made.mime == "image/png" and made.expires_at == made.created_at + 60
    with pytest.raises(StorageFull):
        await archive.check_room(account)
    shown = (await caller.ask("GET", f"/v1/artifacts/{made.id}/metadata")).json()
    assert shown["provenance"]["job_id"] == "job-1" and shown["facts"] == {"width": 290}
    expires = int(shown["url"].partition("expires=")[2].partition("&")[0])
    assert expires <= made.created_at + 61


async def test_a_policy_says_how_long_uploads_are_kept(gate: RunningGate) -> None:
    short = Batcher(gate.http, await gate.key(policy={"retention_s": 100}))
    made = await upload(short)
    assert made["expires_at"] == pytest.approx(made["created_at"] + 100, abs=1)


async def test_the_sweep_takes_what_nothing_has_and_no_more(gate: RunningGate, caller: Batcher) -> None:
    archive, files = gate.app.archive, gate.app.files
    mine = await upload(caller, PNG + b"mine")
    file = await Batcher(gate.http, caller.headers["authorization"].removeprefix("Bearer ")).file(PNG + b"file")
    shared = await upload(caller, PNG + b"file")
    dropped = await upload(caller, PNG + b"dropped")
    young = await upload(caller, PNG + b"young")
    held = await upload(caller, PNG + b"held")
    await gate.app.store.hold_artifacts("job-1", [held["id"]])
    assert error(await caller.ask("DELETE", f"/v1/artifacts/{held['id']}")) == (409, "conflict")
    for gone in (shared, dropped, young):
        await caller.ask("DELETE", f"/v1/artifacts/{gone['id']}")
    for made in (mine, shared, dropped, held):
        os.utime(contents(gate)[made["sha256"]], (0, 0))
    await asyncio.gather(archive.sweep(), files.sweep())
    left = contents(gate)
    assert {mine["sha256"], shared["sha256"], young["sha256"], held["sha256"]} <= set(left) and dropped["sha256"] not in left
    await caller.ask("DELETE", f"/v1/files/{file['id']}")
    assert shared["sha256"] not in contents(gate)
    assert (await read(caller, mine)).content == PNG + b"mine"


async def test_an_expired_one_that_a_job_needs_stays(gate: RunningGate, caller: Batcher) -> None:
    archive, store = gate.app.archive, gate.app.store
    made = await upload(caller, PNG + b"needed")
    kept = await archive.find(None, made["id"])
    await store.delete_artifact(kept.account, kept.id)
    await store.add_artifact(replace(kept, expires_at=time.time() - 5), None)
    await store.hold_artifacts("job-2", [kept.id])
    os.utime(contents(gate)[kept.sha256], (0, 0))
    await archive.sweep()
    assert b"".join([piece async for piece in archive.read(kept)]) == PNG + b"needed"
    await store.release_artifacts("job-2")
    await archive.sweep()
    assert kept.sha256 not in contents(gate)
