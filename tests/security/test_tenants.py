"""Two tenants and an administrator: nobody finds by its id what is another's, at any route that takes ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from aldgate.surfaces.http.openapi import Path
from tests.security.routes import BEARING_IDS, GUARDED, asked, fields_of, name_of
from tests.support import RunningGate, anonymous

pytestmark = pytest.mark.anyio
PASSWORD = "correct horse battery"
OF_A_KEY = {
    "/v1/artifacts": "artifact",
    "/v1/files": "file",
    "/v1/batches": "batch",
    "/v1/jobs": "job",
    "/v1/videos": "video",
    "/jobs": "job",
    "/v1/responses": "response",
}
"""What is kept under a key, by where it is asked for."""
OF_A_USER = {"/v1/users/tokens": "token"}
OF_ADMINS = {
    "/admin/keys": "key",
    "/auth/keys": "key",
    "/admin/clients": "client",
    "/admin/teams": "team",
    "/admin/organisations": "organisation",
    "/admin/users": "name",
    "/admin/statements": "client",
}
PIXEL = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89"
    b"\0\0\0\rIDATx\x9cc`\0\x02\0\0\x05\0\x01\xe2&\x05\x9b\0\0\0\0IEND\xaeB`\x82"
)
"""A picture of a single pixel."""
JOB = {"model": "builtin/svg", "prompt": "a fox", "size": "64x64", "background": True}
FILM = {"model": "builtin/clip", "prompt": "a fox", "size": "64x48", "seconds": "1"}
NAMES = {"model", "provider"}
"""Fields that name what all know, not what somebody keeps."""


@dataclass
class Tenants:
    """What the first tenant has, and the second's credentials."""

    http: httpx2.AsyncClient
    ids: dict[str, str]
    first: dict[str, str]
    first_user: dict[str, str]
    second: dict[str, str]
    second_user: dict[str, str]
    admin: dict[str, str]


@pytest.fixture(scope="module")
async def tenants(gate: RunningGate) -> AsyncIterator[Tenants]:
    async with anonymous(gate, {}) as http:

        async def made(path: str, headers: dict[str, str], body: Any) -> dict[str, Any]:
            reply = await http.post(path, json=body, headers=headers)
            assert reply.status_code in (200, 201), reply.text
            return reply.json()

        admin = dict([next(item for item in gate.http.headers.items() if item[0] == "authorization")])
        ids: dict[str, str] = {}
        for kind in ("organisation", "team", "client"):
            ids[kind] = (await made(f"/admin/{kind}s", admin, {"name": f"first-{kind}"}))["id"]
        await made("/admin/clients", admin, {"name": "second"})
        keys = [
            await made("/admin/keys", admin, {"name": "k", "owner": f"client:{owner}"}) for owner in ("first-client", "second")
        ]
        first, second = ({"authorization": f"Bearer {key['key']}"} for key in keys)
        ids["key"], ids["name"] = keys[0]["id"], "ada"
        users: list[dict[str, str]] = []
        for name in ("ada", "bert"):
            await made("/admin/users", admin, {"name": name, "password": PASSWORD})
            token = (await made("/v1/users/login", {}, {"username": name, "password": PASSWORD}))["token"]
            users.append({"authorization": f"Bearer {token}"})
        ids["token"] = (await made("/v1/users/tokens", users[0], {"name": "mine"}))["info"]["id"]
        await http.put("/v1/provider-credentials/lab", json={"api_key": "sk-of-ada-0123456789"}, headers=users[0])
        line = b'{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4.1","messages":[]}}\n'
        upload = await http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", line)}, headers=first)
        ids["file"] = upload.json()["id"]
        brought = await http.post("/v1/artifacts", content=PIXEL, headers=first)
        ids["artifact"] = brought.json()["id"]
        ids["job"] = (await http.post("/v1/images/generations", json=JOB, headers=first)).json()["id"]
        while (await http.get(f"/v1/jobs/{ids['job']}", headers=first)).json()["state"] != "succeeded":
            await asyncio.sleep(0)
        ids["video"] = (await made("/v1/videos", first, FILM))["id"]
        await http.get(f"/v1/jobs/{ids['video'].replace('video_', 'job-')}", params={"wait": 30}, headers=first)
        wanted = {"input_file_id": ids["file"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        ids["batch"] = (await made("/v1/batches", first, wanted))["id"]
        while (await http.get(f"/v1/batches/{ids['batch']}", headers=first)).json()["status"] != "completed":
            await asyncio.sleep(0)
        ids["response"] = (await made("/v1/responses", first, {"model": "gpt-4.1", "input": "hello"}))["id"]
        yield Tenants(http, ids, first, users[0], second, users[1], admin)


def kept_at(path: Path) -> str | None:
    """What is kept at a path, None: nothing that is somebody's."""
    places = {**OF_A_KEY, **OF_A_USER, **OF_ADMINS}
    return next((kind for place, kind in places.items() if path.path.startswith(place + "/{")), None)


def test_cve_2026_45349_every_route_with_an_id_is_known() -> None:
    """A route that is new is in the sweep, or names only what all know."""
    assert [name_of(path) for path in BEARING_IDS if kept_at(path) is None and not set(fields_of(path)) <= NAMES] == []


def kept(reply: httpx2.Response) -> Any:
    """What a look at something kept must go on to tell."""
    if reply.headers.get("content-type") != "application/json":
        return reply.status_code, reply.content
    told = reply.json()
    return told.get("id"), told.get("status")


def ids_for(path: Path, tenants: Tenants) -> dict[str, str]:
    kind = kept_at(path)
    assert kind is not None
    return dict.fromkeys(fields_of(path), tenants.ids[kind])


SWEPT = [path for path in BEARING_IDS if kept_at(path)]


@pytest.mark.parametrize("path", [path for path in SWEPT if path.method == "get"], ids=name_of)
async def test_cve_2026_45349_nothing_of_another_is_read(tenants: Tenants, path: Path) -> None:
    """Another tenant's key or user is told that there is nothing, or that it may not ask; its owner finds it."""
    ids = ids_for(path, tenants)
    for other in (tenants.second, tenants.second_user):
        reply = await asked(tenants.http, path, other, ids)
        assert reply.status_code in (403, 404), reply.text
    owner = tenants.admin if path.tag == "admin" else tenants.first
    found = await asked(tenants.http, path, owner, ids)
    is_ended = path.path.endswith("/preview")  # of what has ended there is no picture any more
    assert found.status_code in (200, 400) or is_ended, found.text  # a statement asks which month


@pytest.mark.parametrize("path", [path for path in SWEPT if path.method != "get"], ids=name_of)
async def test_cve_2026_45671_nothing_of_another_is_changed_or_deleted(tenants: Tenants, path: Path) -> None:
    """Neither by a key nor by a user, at any verb; and what was asked for is still there as it was."""
    ids = ids_for(path, tenants)
    looks = [look for look in SWEPT if look.method == "get" and look.path == "/".join(path.path.split("/")[:4])]
    owner = tenants.admin if path.tag == "admin" else tenants.first
    before = [kept(await asked(tenants.http, look, owner, ids)) for look in looks]
    for other in (tenants.second, tenants.second_user):
        reply = await asked(tenants.http, path, other, ids)
        assert reply.status_code in (403, 404), reply.text
    assert [kept(await asked(tenants.http, look, owner, ids)) for look in looks] == before
    mine = await tenants.http.get("/v1/users/tokens", headers=tenants.first_user)
    assert tenants.ids["token"] in mine.text
    assert (await tenants.http.get("/v1/models", headers=tenants.first)).status_code == 200


async def test_cve_2026_45349_nothing_of_another_is_continued(tenants: Tenants) -> None:
    """By its id, as the start of a conversation, or as the input of a batch."""
    for other in (tenants.second, tenants.second_user):
        body = {"model": "gpt-4.1", "input": "go on", "previous_response_id": tenants.ids["response"]}
        assert (await tenants.http.post("/v1/responses", json=body, headers=other)).status_code in (400, 404)
        wanted = {"input_file_id": tenants.ids["file"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        assert (await tenants.http.post("/v1/batches", json=wanted, headers=other)).status_code in (400, 404)


LISTS = [path for path in GUARDED if path.method == "get" and "{" not in path.path and path.tag != "admin"]


@pytest.mark.parametrize("path", LISTS, ids=name_of)
async def test_cve_2026_45349_nothing_of_another_is_listed(tenants: Tenants, path: Path) -> None:
    """No list that another tenant may read holds an id of the first's."""
    for other in (tenants.second, tenants.second_user):
        told = (await asked(tenants.http, path, other)).text
        assert not [one for kind, one in tenants.ids.items() if kind != "name" and one in told]


async def test_cve_2026_45671_a_credential_of_another_stays(tenants: Tenants) -> None:
    """Who names a provider means their own credential there."""
    await tenants.http.delete("/v1/provider-credentials/lab", headers=tenants.second_user)
    mine = await tenants.http.get("/v1/provider-credentials", headers=tenants.first_user)
    assert "lab" in mine.text and "sk-of-ada" not in mine.text


@pytest.mark.parametrize(
    "path", [path for path in SWEPT if path.method == "get" and kept_at(path) in {*OF_A_KEY.values()} - {"job"}], ids=name_of
)
async def test_contextforge_4341_an_admin_is_no_owner(tenants: Tenants, path: Path) -> None:
    """What a tenant keeps is not shown to who administers, but for jobs: who runs the engines sees what they work on."""
    assert (await asked(tenants.http, path, tenants.admin, ids_for(path, tenants))).status_code == 404
